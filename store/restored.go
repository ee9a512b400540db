package store

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// How far numbers jump when a store goes on from an older copy of itself: more
// than was given out between the copy and its return, as far as can be told.
const (
	skippedUIDs    = 1 << 20
	skippedModSeqs = 1 << 32
)

// SkipAhead makes a store that was restored from an older copy safe for clients
// that knew it later than the copy: no UID and no modseq that they may have
// seen since is given out a second time, for another message or another change
// (RFC 9051 section 2.3.1.1, RFC 7162 section 3). A mailbox without room for
// that gets a new UIDVALIDITY. What changed before is forgotten, so that clients
// compare the whole mailbox once; [Store.Tidy] removes the records of it. It works an account at a time; run again, it
// skips again.
func (s *Store) SkipAhead(ctx context.Context) error {
	return s.eachAccount(ctx, func(a AccountID) error {
		err := s.Update(ctx, func(tx *Tx) error { return tx.skipAhead(a) })
		if err != nil && !errors.Is(err, ErrNoAccount) { // removed: nobody knows it any more
			return fmt.Errorf("account %d: %w", a, err)
		}
		return nil
	})
}

func (tx *Tx) skipAhead(a AccountID) error {
	acct, err := readAccount(tx.r, a)
	if err != nil {
		return err
	}
	acct.modSeq += skippedModSeqs
	var boxes []boxKey
	err = eachMailbox(tx.r, a, func(k boxKey, m *mailbox) error {
		if m.kind == kindSelectable {
			boxes = append(boxes, k)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range boxes {
		if err := tx.skipMailbox(k, &acct); err != nil {
			return fmt.Errorf("mailbox %d: %w", k.mailbox, err)
		}
	}
	tx.putAccount(a, &acct)
	return nil
}

func (tx *Tx) skipMailbox(k boxKey, acct *account) error {
	st, found, err := readState(tx.r, k)
	if err != nil || !found {
		return err
	}
	st.HighestModSeq, st.Floor = acct.modSeq, acct.modSeq
	if st.UIDNext < math.MaxUint32-skippedUIDs {
		st.UIDNext += skippedUIDs
		tx.putState(k, &st)
		return nil
	}
	m, found, err := readMailbox(tx.r, k)
	if err != nil || !found {
		return err
	}
	if st.UIDValidity, err = acct.newValidity(uint32(tx.now.Unix())); err != nil {
		return err
	}
	m.validity = st.UIDValidity
	tx.putMailbox(k, &m)
	tx.putState(k, &st)
	return nil
}
