package store

import (
	"context"
	"errors"
	"fmt"

	"tripost/message"
	"tripost/store/engine"
)

// Draft takes a message's octets once, into the engine and through the scanner.
// It is not for concurrent use. Close gives its memory back, and discards the
// octets unless a transaction has kept them.
type Draft struct {
	s       *Store
	draft   engine.Draft
	scanner *message.Scanner
	summary *message.Summary
	record  []byte // the summary, encoded
	names   []byte // the individuals that it is for, encoded; nil: none
	inter   bool   // see International
}

// Draft makes room for a message, outside any transaction. size is a hint in
// octets, 0 when it is not known; one that is said to be large is not held in
// memory.
func (s *Store) Draft(ctx context.Context, size int64) (*Draft, error) {
	d, err := s.engine.Draft(ctx, size)
	if err != nil {
		return nil, err
	}
	return &Draft{s: s, draft: d, scanner: s.scanners.Get().(*message.Scanner)}, nil
}

// errFinished is a broken invariant of the caller.
var errFinished = errors.New("draft is finished")

// Write takes the next octets.
func (d *Draft) Write(p []byte) (int, error) {
	if d.scanner == nil {
		return 0, errFinished
	}
	n, err := d.draft.Write(p)
	if n > 0 {
		d.scanner.Write(p[:n]) // never fails
	}
	return n, err
}

// Size returns the octets written so far.
func (d *Draft) Size() int64 { return d.draft.Size() }

// International tells, before Finish, that the message was submitted as
// internationalized mail (RFC 6531). What came in otherwise and has octets above
// 127 in its header is old broken mail, which is kept and served as it is.
func (d *Draft) International() { d.inter = true }

// Finish ends the writing and returns what the scan found. It may be called
// again.
func (d *Draft) Finish() *message.Summary {
	if d.scanner != nil {
		d.summary = d.scanner.Finish()
		d.summary.International = d.inter
		d.record = d.summary.Append(nil)
		if names := individualNames(d.summary.Kept); len(names) > 0 {
			d.names = appendNames(names)
		}
		d.release()
	}
	return d.summary
}

// release gives the scanner back.
func (d *Draft) release() {
	d.scanner.Reset()
	d.s.scanners.Put(d.scanner)
	d.scanner = nil
}

// Close ends the draft. What a transaction kept stays.
func (d *Draft) Close() error {
	if d.scanner != nil {
		d.release()
	}
	return d.draft.Close()
}

// Keep makes a draft a stored body with one reference, which is the caller's,
// and stores the draft's summary beside it. The draft must be closed after the
// transaction.
func (tx *Tx) Keep(d *Draft) (Body, error) {
	d.Finish()
	b, err := tx.tx.Keep(d.draft)
	if err != nil {
		return 0, fmt.Errorf("keeping a message: %w", err)
	}
	tx.tx.Put(summaryKey(b), d.record)
	if d.names != nil {
		tx.tx.Put(namesKey(b), d.names)
	}
	tx.kept, tx.keptTraits = b, traits{d.summary.NoFinalCRLF, d.summary.International && d.summary.HeaderEightBit, d.names != nil}
	return b, nil
}

// Share adds one reference to a body.
func (tx *Tx) Share(b Body) error { return tx.tx.Share(b) }

// Drop takes one reference away from a body. With the last one the body and its
// summary go.
func (tx *Tx) Drop(b Body) error {
	last, err := tx.tx.Drop(b)
	if err != nil {
		return fmt.Errorf("dropping body %d: %w", b, err)
	}
	if !last {
		return nil
	}
	tx.tx.Delete(summaryKey(b))
	names, err := tx.r.Get(namesKey(b))
	if err == nil && names != nil {
		tx.tx.Delete(namesKey(b))
	}
	return err
}

// letGo drops a message's reference to its body. A body that is lost already
// must not keep the message from going.
func (tx *Tx) letGo(b Body) error {
	err := tx.Drop(b)
	if errors.Is(err, engine.ErrNoBlob) {
		return nil
	}
	return err
}
