package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"tripost/store/engine"
)

// Expunged is a message that is gone from its mailbox and can be restored. Its
// ModSeq is that of the expunge.
type Expunged struct {
	Message
	Keywords  []string // the names of the message's keywords
	Mailbox   string   // its name at the time
	MailboxID MailboxID
	At        time.Time
	Until     time.Time
}

// bin says from where, when and under which modseq messages are thrown away.
type bin struct {
	account AccountID
	mailbox MailboxID
	modSeq  ModSeq
	at      int64 // Unix seconds
	name    string
	ids     map[UID]string // the unique-ids of messages that have their own
}

// throwAway keeps messages that left a mailbox for [Options.Undelete], each
// with its reference to the body; with no such time it drops the bodies.
func (tx *Tx) throwAway(b *bin, entries []entry) error {
	keep := int64(tx.s.o.Undelete / time.Second)
	var table []string
	for i := range entries {
		e := &entries[i]
		if keep <= 0 {
			if err := tx.letGo(e.Body); err != nil {
				return err
			}
			continue
		}
		if table == nil && e.Flags>>FirstKeyword != 0 {
			var err error
			if table, err = readKeywords(tx.r, boxKey{b.account, b.mailbox}); err != nil {
				return err
			}
		}
		key := tx.slab.keep(appendTrashKey(tx.slab.room(maxFixedKey), b.account, b.modSeq, b.mailbox, e.UID))
		var record [maxMessageRecord]byte
		value := appendTrashed(nil, e.append(record[:0]), b.at, b.at+keep, b.name, keywordNames(table, e.Flags), b.ids[e.UID])
		tx.tx.Put(key, value)
	}
	return nil
}

// restoreChunk is how many messages one transaction restores or purges.
const restoreChunk = 1000

// trashPage reads trash records of an account from key lo on.
func trashPage(r engine.Reader, a AccountID, lo []byte, n int, fn func(key []byte, t *trashed) bool) (next []byte, err error) {
	prefix := appendAccountPart(nil, a, partTrash)
	if lo == nil {
		lo = prefix
	}
	for item, err := range r.Range(lo, prefixEnd(prefix)) {
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return slices.Clone(item.Key), nil
		}
		n--
		var t trashed
		if err := t.decode(uidOf(item.Key), item.Value); err != nil {
			return nil, err
		}
		if !fn(item.Key, &t) {
			return nil, nil
		}
	}
	return nil, nil
}

// Expunged yields what an account can restore, the longest gone first. It reads
// in pages and holds no transaction while the caller works.
func (s *Store) Expunged(ctx context.Context, a AccountID) iter.Seq2[Expunged, error] {
	return func(yield func(Expunged, error) bool) {
		var next []byte
		for {
			var page []Expunged
			err := s.engine.View(ctx, func(r engine.Reader) (err error) {
				next, err = trashPage(r, a, next, restoreChunk, func(key []byte, t *trashed) bool {
					page = append(page, t.expunged(key))
					return true
				})
				return err
			})
			if err != nil {
				yield(Expunged{}, fmt.Errorf("expunged messages of account %d: %w", a, err))
				return
			}
			for _, x := range page {
				if !yield(x, nil) {
					return
				}
			}
			if next == nil {
				return
			}
		}
	}
}

// expunged describes a trash record by its key and value.
func (t *trashed) expunged(key []byte) Expunged {
	x := Expunged{Message: t.Message, Keywords: t.keywords, Mailbox: t.mailbox, At: time.Unix(t.at, 0), Until: time.Unix(t.until, 0)}
	x.ModSeq = ModSeq(binary.BigEndian.Uint64(key[len(key)-16:]))
	x.MailboxID = MailboxID(binary.BigEndian.Uint32(key[len(key)-8:]))
	return x
}

func (x *Expunged) key(a AccountID) []byte {
	return appendTrashKey(nil, a, x.ModSeq, x.MailboxID, x.UID)
}

// Restore puts expunged messages back, in the order in which they lay, with
// their flags, dates and unique-ids of their own but without \Deleted, with their keywords as far as
// there is room, and under new UIDs: into the mailbox each was in, under
// whatever name that has now, or where it is gone into one of its name at the
// time, made anew if need be. It returns how many were restored; those that are
// no longer among the expunged ones, and those whose body is lost, are passed
// over. It works in chunks, each a transaction. The account's quota holds.
func (s *Store) Restore(ctx context.Context, a AccountID, items []Expunged) (int, error) {
	return s.restore(ctx, a, items, Allowance{})
}

// RestoreBeyondQuota is [Store.Restore] whatever the quota: what an account held
// when it was removed comes back with it, though less may be allowed by now.
func (s *Store) RestoreBeyondQuota(ctx context.Context, a AccountID, items []Expunged) (int, error) {
	return s.restore(ctx, a, items, Allowance{Octets: math.MaxInt64, Messages: math.MaxInt64})
}

func (s *Store) restore(ctx context.Context, a AccountID, items []Expunged, beyond Allowance) (int, error) {
	items = slices.Clone(items)
	slices.SortFunc(items, func(x, y Expunged) int {
		return cmp.Or(cmp.Compare(x.MailboxID, y.MailboxID), cmp.Compare(x.UID, y.UID))
	})
	total := 0
	for chunk := range slices.Chunk(items, restoreChunk) {
		n := 0
		err := s.Update(ctx, func(tx *Tx) error {
			n = 0
			for i := range chunk {
				done, err := tx.restore(a, &chunk[i], beyond)
				if err != nil {
					return err
				}
				if done {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return total, fmt.Errorf("restoring messages of account %d: %w", a, err)
		}
		total += n
	}
	return total, nil
}

// restore puts one message back; false when it is not there any more.
func (tx *Tx) restore(a AccountID, x *Expunged, beyond Allowance) (bool, error) {
	key := x.key(a)
	value, err := tx.r.Get(key)
	if err != nil || value == nil {
		return false, err
	}
	var t trashed
	if err := t.decode(x.UID, value); err != nil {
		return false, err
	}
	if _, err := readSummary(tx.r, t.Body); errors.Is(err, engine.ErrNoBlob) {
		return false, nil
	}
	ref, err := tx.restoreTo(a, x.MailboxID, t.mailbox)
	if err != nil {
		return false, err
	}
	system := System()
	m := NewMessage{
		Body:  t.Body,
		Flags: FlagSet{System: t.Flags &^ FlagDeleted, Keywords: t.keywords},
		Date:  time.Unix(t.Date, 0).In(t.Zone.Location()),

		UniqueID: t.uniqueID,
		Beyond:   beyond,
	}
	done, err := tx.append(&system, ref, m, t.Size, keywordsFit)
	if err != nil {
		return false, err
	}
	tx.tx.Delete(key)
	return true, tx.note(&Action{
		Op: OpRestore, By: system, Account: a, Mailbox: x.MailboxID, Name: t.mailbox, UIDs: UIDSet{{x.UID, x.UID}},
		To: ref, ToID: done.Mailbox, Targets: UIDSet{{done.UID, done.UID}},
	})
}

// restoreTo returns the mailbox for a restored message.
func (tx *Tx) restoreTo(a AccountID, m MailboxID, name string) (MailboxRef, error) {
	box, found, err := readMailbox(tx.r, boxKey{a, m})
	if err != nil {
		return MailboxRef{}, err
	}
	if found && box.kind == kindSelectable {
		return MailboxRef{a, box.name}, nil
	}
	ref := MailboxRef{a, name}
	k, err := find(tx.r, ref)
	if err == nil {
		var there bool
		if _, there, err = readState(tx.r, k); err != nil || there {
			return ref, err
		}
	} else if err != ErrNoMailbox {
		return ref, err
	}
	return ref, tx.CreateMailbox(System(), ref, CreateOptions{})
}
