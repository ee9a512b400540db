package local

import (
	"bytes"
	"errors"

	"go.etcd.io/bbolt"
)

// Waiting returns how many Updates wait for the committer.
func (e *Engine) Waiting() int { return len(e.requests) }

// Hold has the committer's turn until release is closed, and returns when it has it.
func (e *Engine) Hold(release <-chan struct{}) {
	held := make(chan struct{})
	go e.onCommitter(func() { close(held); <-release })
	<-held
}

// Settle does what the committer does behind its last answer, if it has not yet.
func (e *Engine) Settle() error { return e.onCommitter(e.committer.doChores) }

// Checkpoint brings the index up to the journal's end.
func (e *Engine) Checkpoint() error { return e.checkpoint() }

// Still runs fn while no checkpoint and no copy of the index is written, so that a
// copy of the files is what a kill at one moment leaves.
func (e *Engine) Still(fn func() error) error {
	e.copies.writing.Lock()
	defer e.copies.writing.Unlock()
	e.checkpoints.mu.Lock()
	defer e.checkpoints.mu.Unlock()
	return fn()
}

// ReadCopy reads a copy of an index and counts its keys.
func ReadCopy(name string) (keys int, err error) {
	r, err := openCopy(name, OS{})
	if err != nil {
		return 0, err
	}
	defer r.file.Close()
	for more := true; more && err == nil; {
		more, err = r.next(func(key, value []byte) error { return nil })
	}
	return int(r.keys), err
}

// Tallied reports whether the last checkpoint has a tally, and opening the tally it
// went by.
func (e *Engine) Tallied() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.checkpoints.tallied
}

// Recount returns options with which opening reads the whole body map.
func (o Options) Recount() Options {
	o.recount = true
	return o
}

// ChangeTally changes the tally in an index that nobody has open. fn gets nil where
// there is none.
func ChangeTally(name string, fn func([]byte) []byte) error {
	db, err := openBolt(name, Options{}.withDefaults())
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		return meta.Put(metaTally, fn(bytes.Clone(meta.Get(metaTally))))
	})
	return errors.Join(err, db.Close())
}

// ReadTally reads what an index has for a tally, and writes it again.
func ReadTally(b []byte) ([]byte, error) {
	t, err := parseTally(b)
	if err != nil {
		return nil, err
	}
	return t.encode(), nil
}
