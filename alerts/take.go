package alerts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tripost/accounts"
	"tripost/store"
)

// giveBackTime bounds how long giving an alert back may wait for the store: the
// session that does so is ending.
const giveBackTime = 10 * time.Second

// Take returns the text of the next alert for an account and records that it
// was shown, so that no other session gets it. ok is false when there is none,
// which costs no write. When the line could not be written to the client,
// giveBack makes the alert due again; it may be called more than once, and is
// nil when ok is false. It needs ctx no longer.
func (a *Alerts) Take(ctx context.Context, acct accounts.Account) (text string, giveBack func(), ok bool, err error) {
	now := a.o.Now()
	due, err := a.take(ctx, acct, now)
	if errors.Is(err, store.ErrNoAccount) { // it was removed: its session will notice
		return "", nil, false, nil
	}
	if err != nil {
		return "", nil, false, fmt.Errorf("taking an alert for %s: %w", acct.Address(), err)
	}
	if due.alert == nil {
		return "", nil, false, nil
	}
	a.logShown(ctx, acct, due.alert)
	return due.alert.Text, sync.OnceFunc(func() { a.giveBack(ctx, acct, due) }), true, nil
}

func (a *Alerts) take(ctx context.Context, acct accounts.Account, now time.Time) (due *turn, err error) {
	err = a.store.View(ctx, func(r *store.Snapshot) error {
		due, err = a.next(r, acct, now)
		return err
	})
	if err != nil || due.alert == nil && !due.settle {
		return due, err
	}
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Usage(acct.ID); err != nil { // nothing is recorded for an account that is gone
			return err
		}
		due, err = a.next(&tx.Snapshot, acct, now)
		if err == nil && (due.alert != nil || due.settle) {
			due.record(tx, acct.ID, now)
		}
		return err
	})
	return due, err
}

// turn is what an account is to be shown next, and what it was shown before.
type turn struct {
	alert  *Alert // nil: nothing
	posted posted // its record, where it was posted
	before shown
	settle bool // the usage has gone below the threshold, which is to be noted
}

// next finds the next alert for an account.
func (a *Alerts) next(r *store.Snapshot, acct accounts.Account, now time.Time) (*turn, error) {
	s, err := readShown(r, acct.ID)
	if err != nil {
		return nil, err
	}
	due := &turn{before: s}
	id, err := nextPosted(r, acct, &s)
	if err != nil {
		return nil, err
	}
	if id == 0 {
		return due, a.nextQuota(r, acct, due, now)
	}
	p, found, err := readPosted(r, id)
	if err == nil && !found {
		err = errRecord
	}
	if err != nil {
		return nil, err
	}
	due.posted = p
	due.alert = &Alert{ID: id, Target: Target{Scope: p.scope, Name: p.domain}, Text: p.text}
	if p.scope == Account {
		due.alert.Target.Name = acct.Address()
	}
	return due, nil
}

// nextPosted returns the oldest posted alert for an account, 0 for none.
func nextPosted(r *store.Snapshot, acct accounts.Account, s *shown) (ID, error) {
	oldest, err := firstFor(r, accountPrefix(acct.ID), 0, 0)
	if err != nil {
		return 0, err
	}
	for _, prefix := range [][]byte{{keyServer}, domainPrefix(acct.Domain)} {
		id, err := firstFor(r, prefix, uint64(s.mark)+1, acct.ID)
		if err != nil {
			return 0, err
		}
		if id != 0 && (oldest == 0 || id < oldest) {
			oldest = id
		}
	}
	for _, id := range s.returned {
		if oldest != 0 && id > oldest {
			break
		}
		if _, found, err := readPosted(r, id); err != nil || found {
			return id, err
		}
	}
	return oldest, nil
}

// record writes that what is due was shown.
func (t *turn) record(tx *store.Tx, a store.AccountID, now time.Time) {
	s := t.before
	switch {
	case t.alert == nil:
		s.told = false
	case t.alert.Target.Scope == Quota:
		s.told, s.toldAt = true, now
	case t.posted.scope == Account:
		del(tx, postedKey(t.alert.ID))
		del(tx, stampKey(t.posted.prefix(), uint64(t.alert.ID)))
	default:
		s.returned = slices.DeleteFunc(slices.Clone(s.returned), func(id ID) bool { return id <= t.alert.ID })
		s.mark = max(s.mark, t.alert.ID)
		put(tx, seenKey(t.alert.ID, a), encodeNumber(uint64(max(now.Unix(), 0))))
	}
	put(tx, shownKey(a), s.encode())
}

// giveBack makes an alert due again that was taken and could not be shown.
func (a *Alerts) giveBack(ctx context.Context, acct accounts.Account, t *turn) {
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTime)
	defer cancel()
	err := a.store.Update(wait, func(tx *store.Tx) error { return t.restore(tx, acct.ID) })
	a.logGivenBack(ctx, acct, t.alert, err)
}

func (t *turn) restore(tx *store.Tx, a store.AccountID) error {
	if _, err := tx.Usage(a); err != nil { // nobody is left to be shown it
		return err
	}
	s, err := readShown(&tx.Snapshot, a)
	if err != nil {
		return err
	}
	switch id := t.alert.ID; {
	case t.alert.Target.Scope == Quota:
		s.told, s.toldAt = t.before.told, t.before.toldAt
	case t.posted.scope == Account:
		put(tx, postedKey(id), t.posted.encode())
		put(tx, stampKey(t.posted.prefix(), uint64(id)), encodeNumber(0))
	default:
		_, found, err := readPosted(&tx.Snapshot, id)
		if err != nil || !found { // removed meanwhile
			return err
		}
		if i, there := slices.BinarySearch(s.returned, id); !there {
			s.returned = slices.Insert(s.returned, i, id)
		}
		del(tx, seenKey(id, a))
	}
	put(tx, shownKey(a), s.encode())
	return nil
}
