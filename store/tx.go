package store

import (
	"context"
	"fmt"
	"iter"
	"time"

	"tripost/message"
	"tripost/store/engine"
)

// Space is a part of the key space that one room above the store has to itself.
type Space byte

// The spaces. Other values are refused.
const (
	SpaceDirectory Space = 'D' // accounts
	SpaceQueue     Space = 'Q' // smtp/queue
	SpaceRouter    Space = 'R' // router
	SpaceAlerts    Space = 'L' // alerts
	SpaceHistory   Space = 'H' // what became of messages
	SpaceScreen    Space = 'G' // smtp/screen
	SpaceKeys      Space = 'K' // smtp/dkim
	SpaceRules     Space = 'U' // rules
)

func (sp Space) check() error {
	switch sp {
	case SpaceDirectory, SpaceQueue, SpaceRouter, SpaceAlerts, SpaceHistory, SpaceScreen, SpaceKeys, SpaceRules:
		return nil
	}
	return fmt.Errorf("%q is not a space of the key space", rune(sp))
}

// key puts the space in front of a key.
func (sp Space) key(key []byte) []byte {
	return append(append(make([]byte, 0, 1+len(key)), byte(sp)), key...)
}

// bounds puts the space in front of a range's bounds.
func (sp Space) bounds(lo, hi []byte) (from, to []byte) {
	if hi == nil {
		return sp.key(lo), []byte{byte(sp) + 1}
	}
	return sp.key(lo), sp.key(hi)
}

// Snapshot reads one state of the store. It is not for concurrent use, and
// valid only inside the function that it was passed to, as is every slice that
// it returns.
type Snapshot struct {
	r   engine.Reader
	key []byte // of the last Get
}

// Get returns the value of key in a space, nil when there is none.
func (r *Snapshot) Get(sp Space, key []byte) ([]byte, error) {
	if err := sp.check(); err != nil {
		return nil, err
	}
	r.key = append(append(r.key[:0], byte(sp)), key...)
	return r.r.Get(r.key)
}

// Range yields the items of a space with lo <= key < hi in ascending order, the
// keys as they were given to Put; hi nil means to the end of the space.
func (r *Snapshot) Range(sp Space, lo, hi []byte) iter.Seq2[engine.Item, error] {
	from, to := sp.bounds(lo, hi)
	return sp.strip(r.r.Range(from, to))
}

// Reverse yields what Range yields in descending order.
func (r *Snapshot) Reverse(sp Space, lo, hi []byte) iter.Seq2[engine.Item, error] {
	from, to := sp.bounds(lo, hi)
	return sp.strip(r.r.Reverse(from, to))
}

// strip takes the space off the keys of a sequence.
func (sp Space) strip(items iter.Seq2[engine.Item, error]) iter.Seq2[engine.Item, error] {
	return func(yield func(engine.Item, error) bool) {
		if err := sp.check(); err != nil {
			yield(engine.Item{}, err)
			return
		}
		for item, err := range items {
			if err == nil {
				item.Key = item.Key[1:]
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// Usage returns what an account holds and may hold.
func (r *Snapshot) Usage(a AccountID) (Usage, error) {
	acct, err := readAccount(r.r, a)
	if err != nil {
		return Usage{}, err
	}
	return acct.usage(), nil
}

// Record returns the stored summary of a body.
func (r *Snapshot) Record(b Body) (message.Record, error) { return readSummary(r.r, b) }

// Tx is a Snapshot that sees its own writes, and writes. Keys and values passed
// in are kept until the commit: the caller must not change them afterwards.
// Where a method returns one of this package's errors, it has changed nothing.
type Tx struct {
	Snapshot
	tx      engine.Tx
	s       *Store
	now     time.Time
	slab    slab
	err     error // of a call that returns none
	cleared bool  // a mailbox was removed: there is something to clear away

	kept       Body   // the last one
	keptTraits traits // of it
}

// Now returns the transaction's time, the same whenever it is asked.
func (tx *Tx) Now() time.Time { return tx.now }

// Put sets the value of key in a space.
func (tx *Tx) Put(sp Space, key, value []byte) {
	if err := sp.check(); err != nil {
		tx.err = err
		return
	}
	tx.tx.Put(sp.key(key), value)
}

// Delete removes key from a space; it need not be there.
func (tx *Tx) Delete(sp Space, key []byte) {
	if err := sp.check(); err != nil {
		tx.err = err
		return
	}
	tx.tx.Delete(sp.key(key))
}

// View runs fn on one durable state. fn must not wait for the network.
func (s *Store) View(ctx context.Context, fn func(*Snapshot) error) error {
	return s.engine.View(ctx, func(r engine.Reader) error { return fn(&Snapshot{r: r}) })
}

// Update runs fn in a transaction and returns once its changes are durable; an
// error of fn undoes all of it and is returned. fn may run again: it must
// depend on nothing but tx and constants, assign results rather than add them
// up, and not block.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	now := s.o.Now()
	cleared := false
	err := s.engine.Update(ctx, func(etx engine.Tx) error {
		tx := Tx{Snapshot: Snapshot{r: etx}, tx: etx, s: s, now: now}
		if err := fn(&tx); err != nil {
			return err
		}
		cleared = tx.cleared
		return tx.err
	})
	if err == nil && cleared {
		select {
		case s.clearing <- struct{}{}:
		default: // Run has been told already
		}
	}
	return err
}

// Watch calls wake after durable commits that may have changed key in a space;
// calls may be merged or come without need. wake must not block. After stop has
// returned, wake is not called again.
func (s *Store) Watch(sp Space, key []byte, wake func()) (stop func()) {
	return s.engine.Watch(sp.key(key), wake)
}
