package rules

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tripost/store"
	"tripost/store/engine"
)

const (
	keyRules    = 'R'
	keyAnswered = 'V'
	keyCount    = 'N'
	digestSize  = 8
)

func accountKey(kind byte, a store.AccountID) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, uint64(a))
}

func rulesKey(a store.AccountID) []byte { return accountKey(keyRules, a) }
func countKey(a store.AccountID) []byte { return accountKey(keyCount, a) }

// answeredKey is for one sender and one reply: with another text the sender is
// told again.
func answeredKey(a store.AccountID, sender string, reply *Action) []byte {
	sum := sha256.Sum256([]byte(strings.ToLower(sender) + "\x00" + reply.Subject + "\x00" + reply.Text))
	return append(accountKey(keyAnswered, a), sum[:digestSize]...)
}

// maxAnswered bounds the senders that an account remembers. Where there are more
// none is answered until the oldest are forgotten.
const maxAnswered = 10_000

// Answer tells whether a sender may be answered now, and remembers that it is.
// It belongs into the transaction that keeps the reply.
func (s *Rules) Answer(tx *store.Tx, a store.AccountID, sender string, reply *Action) (bool, error) {
	key := answeredKey(a, sender, reply)
	last, known, err := readNumber(&tx.Snapshot, key)
	if err != nil {
		return false, err
	}
	now := tx.Now().Unix()
	if known && now < int64(last)+int64(s.days(reply))*secondsOfDay && now >= int64(last) {
		return false, nil
	}
	if !known {
		n, _, err := readNumber(&tx.Snapshot, countKey(a))
		if err != nil || n >= maxAnswered {
			return false, err
		}
		putNumber(tx, countKey(a), n+1)
	}
	putNumber(tx, key, uint64(now))
	return true, nil
}

const secondsOfDay = 24 * 60 * 60

func (s *Rules) days(reply *Action) int {
	if reply.Days > 0 {
		return reply.Days
	}
	return s.o.VacationDays
}

func readNumber(r *store.Snapshot, key []byte) (n uint64, known bool, err error) {
	b, err := r.Get(store.SpaceRules, key)
	if err != nil || b == nil {
		return 0, false, err
	}
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, false, fmt.Errorf("record %q: %w", key[0], errRecord)
	}
	return n, true, nil
}

func putNumber(tx *store.Tx, key []byte, n uint64) {
	tx.Put(store.SpaceRules, key, binary.AppendUvarint(nil, n))
}

// forgetEvery is how often Run forgets who was answered long ago.
const forgetEvery = 6 * time.Hour

// Run forgets, until ctx ends, what is no longer needed.
func (s *Rules) Run(ctx context.Context) error {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		if err := s.Forget(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, engine.ErrReadOnly) {
			s.o.Logf("forgetting who was answered: %v", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// forgetChunk is how many records one transaction looks at.
const forgetChunk = 1000

// Forget removes the records of senders who may be answered again whatever the
// rule, and the rules of accounts that are gone.
func (s *Rules) Forget(ctx context.Context) error {
	if err := s.forgetGone(ctx); err != nil {
		return err
	}
	oldest := s.o.Now().Add(-maxDays * 24 * time.Hour).Unix()
	from := []byte{keyAnswered}
	for from != nil {
		var due [][]byte
		err := s.store.View(ctx, func(r *store.Snapshot) (err error) {
			days := make(map[store.AccountID]int64)
			due, from, err = s.outdated(r, from, oldest, days)
			return err
		})
		if err == nil && len(due) > 0 {
			err = s.store.Update(ctx, func(tx *store.Tx) error { return forget(tx, due) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// outdated reads one page and returns where the next one begins; nil: nowhere.
// Records are kept as long as the account's longest pause.
func (s *Rules) outdated(r *store.Snapshot, from []byte, oldest int64, pause map[store.AccountID]int64) (due [][]byte, next []byte, err error) {
	now := s.o.Now().Unix()
	n := 0
	for it, err := range r.Range(store.SpaceRules, from, []byte{keyAnswered + 1}) {
		if err != nil {
			return nil, nil, err
		}
		if n++; n > forgetChunk {
			return due, slices.Clone(it.Key), nil
		}
		last, size := binary.Uvarint(it.Value)
		if len(it.Key) != 1+8+digestSize || size <= 0 || int64(last) <= oldest {
			due = append(due, slices.Clone(it.Key))
			continue
		}
		a := store.AccountID(binary.BigEndian.Uint64(it.Key[1:]))
		keep, known := pause[a]
		if !known {
			if keep, err = s.longest(r, a); err != nil {
				return nil, nil, err
			}
			pause[a] = keep
		}
		if int64(last)+keep <= now {
			due = append(due, slices.Clone(it.Key))
		}
	}
	return due, nil, nil
}

// longest returns the longest pause between two replies to one sender that the
// account's rules ask for, in seconds.
func (s *Rules) longest(r *store.Snapshot, a store.AccountID) (int64, error) {
	list, err := s.Of(r, a)
	if errors.Is(err, errRecord) {
		return maxDays * secondsOfDay, nil
	}
	days := s.o.VacationDays
	for _, rule := range list {
		for i := range rule.Actions {
			if one := &rule.Actions[i]; one.Do == Vacation {
				days = max(days, s.days(one))
			}
		}
	}
	return int64(days) * secondsOfDay, err
}

func forget(tx *store.Tx, keys [][]byte) error {
	gone := make(map[store.AccountID]uint64)
	for _, key := range keys {
		b, err := tx.Get(store.SpaceRules, key)
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		tx.Delete(store.SpaceRules, key)
		if len(key) >= 9 {
			gone[store.AccountID(binary.BigEndian.Uint64(key[1:]))]++
		}
	}
	for a, n := range gone {
		have, known, err := readNumber(&tx.Snapshot, countKey(a))
		switch {
		case err != nil:
			return err
		case known && have > n:
			putNumber(tx, countKey(a), have-n)
		default:
			tx.Delete(store.SpaceRules, countKey(a))
		}
	}
	return nil
}

// forgetGone removes the rules of accounts that were removed and cannot be
// restored any more.
func (s *Rules) forgetGone(ctx context.Context) error {
	from := []byte{keyRules}
	for from != nil {
		var gone []store.AccountID
		err := s.store.View(ctx, func(r *store.Snapshot) error {
			removed, err := s.directory.In(r).RemovedAccounts(s.o.Now())
			if err != nil {
				return err
			}
			restorable := make(map[store.AccountID]bool, len(removed))
			for _, was := range removed {
				restorable[was.Account.ID] = true
			}
			n, next := 0, []byte(nil)
			for it, err := range r.Range(store.SpaceRules, from, []byte{keyRules + 1}) {
				if err != nil {
					return err
				}
				if n++; n > forgetChunk {
					next = slices.Clone(it.Key)
					break
				}
				if len(it.Key) != 9 {
					continue
				}
				a := store.AccountID(binary.BigEndian.Uint64(it.Key[1:]))
				if _, err := r.Usage(a); errors.Is(err, store.ErrNoAccount) && !restorable[a] {
					gone = append(gone, a)
				} else if err != nil && !errors.Is(err, store.ErrNoAccount) {
					return err
				}
			}
			from = next
			return nil
		})
		if err == nil && len(gone) > 0 {
			err = s.store.Update(ctx, func(tx *store.Tx) error {
				for _, a := range gone {
					tx.Delete(store.SpaceRules, rulesKey(a))
				}
				return nil
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
