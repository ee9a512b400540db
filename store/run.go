package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"tripost/store/engine"
)

// levelProblem is the System Log's level for what an administrator should look
// at but nobody lost anything by.
const levelProblem = 3

// tidyEvery is how often Run looks for what has come of age. Messages that can
// no longer be restored stay that much longer at most.
const tidyEvery = 10 * time.Minute

// Run does the background work until ctx ends: it clears away the contents of
// removed mailboxes, purges what can no longer be restored, and forgets old
// change records. A failure is logged and tried again the next time.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		if err := s.Tidy(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, engine.ErrReadOnly) {
			s.o.Logf(levelProblem, "tidying the store: "+err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.clearing:
		}
	}
}

// Tidy does once what [Store.Run] does again and again. What is damaged in one
// account or mailbox does not keep it from the others.
func (s *Store) Tidy(ctx context.Context) error {
	err := s.clearRemoved(ctx)
	return errors.Join(err, s.eachAccount(ctx, func(a AccountID) error {
		return errors.Join(s.purge(ctx, a), s.trim(ctx, a))
	}))
}

// setbacks are the errors about some of many things, of which the others can
// still be done. The first few stand for all.
type setbacks struct {
	first []error
	more  int
}

// add notes an error, and tells whether to go on.
func (b *setbacks) add(ctx context.Context, err error) bool {
	const most = 10
	if len(b.first) < most {
		b.first = append(b.first, err)
	} else {
		b.more++
	}
	return ctx.Err() == nil && !errors.Is(err, engine.ErrReadOnly) && !errors.Is(err, engine.ErrClosed)
}

// err returns all of them, and last where that is an error.
func (b *setbacks) err(last error) error {
	if b.more > 0 {
		last = errors.Join(fmt.Errorf("and %d errors more", b.more), last)
	}
	return errors.Join(append(b.first, last)...)
}

// eachAccount calls fn with every account that has anything in the store, also
// those that were removed. It goes from key to key without reading what lies
// between. An error of fn is returned in the end.
func (s *Store) eachAccount(ctx context.Context, fn func(AccountID) error) error {
	const page = 1000
	var failed setbacks
	for next, more := AccountID(0), true; more; {
		var found []AccountID
		err := s.engine.View(ctx, func(r engine.Reader) (err error) {
			for len(found) < page && more {
				var a AccountID
				if a, more, err = accountFrom(r, next); err != nil || !more {
					return err
				}
				found = append(found, a)
				next = a + 1
			}
			return nil
		})
		if err != nil {
			return failed.err(err)
		}
		for _, a := range found {
			if err := fn(a); err != nil && !failed.add(ctx, fmt.Errorf("account %d: %w", a, err)) {
				return failed.err(nil)
			}
		}
	}
	return failed.err(nil)
}

// accountFrom returns the first account from id lo on that has any key.
func accountFrom(r engine.Reader, lo AccountID) (AccountID, bool, error) {
	for item, err := range r.Range(accountKey(lo), []byte{spaceAccounts + 1}) {
		if err != nil {
			return 0, false, err
		}
		return AccountID(binary.BigEndian.Uint64(item.Key[1:])), true, nil
	}
	return 0, false, nil
}

// purge drops an account's expunged messages whose time is over.
func (s *Store) purge(ctx context.Context, a AccountID) error {
	now := s.o.Now().Unix()
	for {
		var due [][]byte
		err := s.engine.View(ctx, func(r engine.Reader) error {
			due = nil
			_, err := trashPage(r, a, nil, -1, func(key []byte, t *trashed) bool {
				switch {
				case t.until <= now:
					due = append(due, slices.Clone(key))
				case t.at <= now:
					return false // those behind it went later
				} // else a clock was ahead when it went: look further
				return len(due) < restoreChunk
			})
			return err
		})
		if err != nil || len(due) == 0 {
			return err
		}
		if err := s.Update(ctx, func(tx *Tx) error { return tx.purge(due) }); err != nil {
			return err
		}
	}
}

// purge drops the trash records that are still there.
func (tx *Tx) purge(keys [][]byte) error {
	for _, key := range keys {
		value, err := tx.r.Get(key)
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		var t trashed
		if err := t.decode(uidOf(key), value); err != nil {
			return err
		}
		if err := tx.letGo(t.Body); err != nil {
			return err
		}
		tx.tx.Delete(key)
	}
	return nil
}

// trim forgets an account's change records that are too old or too many.
func (s *Store) trim(ctx context.Context, a AccountID) error {
	var due []boxKey
	oldest := s.o.Now().Add(-s.o.KeepChangesFor).Unix()
	err := s.engine.View(ctx, func(r engine.Reader) error {
		return eachMailbox(r, a, func(k boxKey, _ *mailbox) error {
			st, found, err := readState(r, k)
			if err != nil || !found || st.changes == 0 {
				return err
			}
			upTo, _, err := s.outdated(r, k, &st, oldest)
			if upTo > 0 {
				due = append(due, k)
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	for _, k := range due {
		for more := true; more; {
			err := s.Update(ctx, func(tx *Tx) (err error) {
				more, err = tx.trim(k, oldest)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// outdated finds the change records to forget, those up to the floor among them, at
// most clearChunk at once: the modseq of the last of them, 0 for none, and how many
// they are.
func (s *Store) outdated(r engine.Reader, k boxKey, st *state, oldest int64) (upTo ModSeq, n int, err error) {
	extra := int(st.changes) - s.o.KeepChanges
	err = readChanges(r, k, 0, false, func(q ModSeq, c *change) bool {
		if n >= extra && c.at >= oldest && q > st.Floor || n == clearChunk {
			return false
		}
		upTo = q
		n++
		return true
	})
	return upTo, n, err
}

func (tx *Tx) trim(k boxKey, oldest int64) (more bool, err error) {
	st, found, err := readState(tx.r, k)
	if err != nil || !found {
		return false, err
	}
	upTo, n, err := tx.s.outdated(tx.r, k, &st, oldest)
	if err != nil || n == 0 {
		return false, err
	}
	if _, err := tx.forgetChanges(k, upTo, n); err != nil {
		return false, err
	}
	st.changes -= uint32(n)
	st.Floor = max(st.Floor, upTo)
	tx.putState(k, &st)
	return n == clearChunk, nil
}
