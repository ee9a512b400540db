package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"tripost/store/engine"
)

// clearChunk is how many messages of a removed mailbox one transaction clears
// away.
const clearChunk = 1000

// clearRemoved clears away the contents of all mailboxes that were removed. It
// may be cut short at any point and be run by several at once. One that cannot
// be cleared does not hold the others up.
func (s *Store) clearRemoved(ctx context.Context) error {
	var failed setbacks
	for next := (boxKey{}); ; next.mailbox++ {
		k, found, err := s.nextRemoved(ctx, next)
		if err != nil || !found {
			return failed.err(err)
		}
		if err := s.clearMailbox(ctx, k); err != nil {
			err = fmt.Errorf("mailbox %d of account %d: %w", k.mailbox, k.account, err)
			if !failed.add(ctx, err) {
				return failed.err(nil)
			}
		}
		next = k
	}
}

// clearMailbox clears away the contents of one removed mailbox.
func (s *Store) clearMailbox(ctx context.Context, k boxKey) error {
	for more := true; more; {
		err := s.Update(ctx, func(tx *Tx) (err error) {
			more, err = tx.clearSome(k)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// nextRemoved finds the first mailbox from lo on whose contents are to be
// cleared away.
func (s *Store) nextRemoved(ctx context.Context, lo boxKey) (k boxKey, found bool, err error) {
	from, end := appendRemovedKey(nil, lo.account, lo.mailbox), prefixEnd([]byte{spaceStore, partRemoved})
	err = s.engine.View(ctx, func(r engine.Reader) error {
		for item, err := range r.Range(from, end) {
			if err != nil {
				return err
			}
			k = removedOf(item.Key)
			found = true
			break
		}
		return nil
	})
	return k, found, err
}

func removedOf(key []byte) boxKey {
	return boxKey{
		AccountID(binary.BigEndian.Uint64(key[2:])),
		MailboxID(binary.BigEndian.Uint32(key[10:])),
	}
}

// clearSome throws some messages of a removed mailbox away, or when there are
// none left the rest of its contents. more is false when nothing is left.
func (tx *Tx) clearSome(k boxKey) (more bool, err error) {
	note := appendRemovedKey(nil, k.account, k.mailbox)
	value, err := tx.r.Get(note)
	if err != nil || value == nil { // somebody else has done it
		return false, err
	}
	var gone removed
	if err := gone.decode(value); err != nil {
		return false, err
	}
	entries, err := tx.firstMessages(k, clearChunk)
	if err != nil {
		return false, err
	}
	b := bin{account: k.account, mailbox: k.mailbox, modSeq: gone.modSeq, at: gone.at, name: gone.name}
	if any, err := tx.hasUniqueIDs(k); err != nil {
		return false, err
	} else if any {
		if b.ids, err = tx.takeUniqueIDs(k, entries); err != nil {
			return false, err
		}
	}
	for i := range entries {
		tx.tx.Delete(messageKey(k.account, k.mailbox, entries[i].UID))
		tx.dropIndividuals(k, &entries[i]) // while the bodies tell their names
	}
	if err := tx.throwAway(&b, entries); err != nil {
		return false, err
	}
	if len(entries) == clearChunk {
		tx.tx.Put(note, gone.append(nil)) // whoever runs beside us conflicts
		return true, nil
	}
	if more, err = tx.forgetChanges(k, ^ModSeq(0), clearChunk); err != nil || more {
		return more, err
	}
	if more, err = tx.forgetFlagBlocks(k, clearChunk); err != nil || more {
		return more, err
	}
	tx.tx.Delete(keywordsKey(k.account, k.mailbox))
	tx.tx.Delete(note)
	return false, nil
}

// firstMessages reads the n messages with the lowest UIDs.
func (tx *Tx) firstMessages(k boxKey, n int) ([]entry, error) {
	lo, hi := messageRange(k.account, k.mailbox, 1, ^UID(0))
	var entries []entry
	flags := flagReader{r: tx.r, k: k}
	for item, err := range tx.r.Range(lo, hi) {
		if err != nil {
			return nil, err
		}
		if len(entries) == n {
			break
		}
		var e entry
		if err := flags.decode(&e, uidOf(item.Key), item.Value); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// forgetChanges deletes at most n of a mailbox's change records up to a modseq,
// the oldest first, and tells whether there are more.
func (tx *Tx) forgetChanges(k boxKey, upTo ModSeq, n int) (more bool, err error) {
	lo, hi := changeRange(k.account, k.mailbox, 0)
	if upTo < ^ModSeq(0) {
		hi = changeKey(k.account, k.mailbox, upTo+1)
	}
	return tx.deleteSome(lo, hi, n)
}

// deleteSome deletes the first n keys of a range, and tells whether there are more.
func (tx *Tx) deleteSome(lo, hi []byte, n int) (more bool, err error) {
	var keys [][]byte
	for item, err := range tx.r.Range(lo, hi) {
		if err != nil {
			return false, err
		}
		if len(keys) == n {
			more = true
			break
		}
		keys = append(keys, slices.Clone(item.Key))
	}
	for _, key := range keys {
		tx.tx.Delete(key)
	}
	return more, nil
}
