package store

import (
	"context"
	"fmt"
	"time"
)

// Upload is a message that a client hands over for a mailbox. The draft stays the
// client's to close.
type Upload struct {
	Draft *Draft
	Flags FlagSet
	Date  time.Time // internal date, whose zone is kept; zero: now, in UTC
	// UniqueID: see [NewMessage].
	UniqueID string
}

// AppendAll keeps drafts and puts them into a mailbox in their order, all of them
// or none, in one transaction: see [Tx.Append].
func (s *Store) AppendAll(ctx context.Context, id Identity, dst MailboxRef, list []Upload) (done []Appended, err error) {
	for _, u := range list {
		u.Draft.Finish()
	}
	err = s.Update(ctx, func(tx *Tx) error {
		done = done[:0]
		for _, u := range list {
			a, err := tx.upload(&id, dst, u)
			if err != nil {
				return err
			}
			done = append(done, a)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("appending to mailbox %q: %w", dst.Name, err)
	}
	return done, nil
}

func (tx *Tx) upload(id *Identity, dst MailboxRef, u Upload) (Appended, error) {
	b, err := tx.Keep(u.Draft)
	if err != nil {
		return Appended{}, err
	}
	return tx.append(id, dst, NewMessage{Body: b, Flags: u.Flags, Date: u.Date, UniqueID: u.UniqueID}, u.Draft.Size(), keywordsAll)
}

// Replace expunges a message of the view and puts another into a mailbox, the same
// or a different one, in one transaction (RFC 8508). It needs [RightDelete] here
// and [RightInsert] there. The view learns of it by Refresh. [ErrNoMessage]: the
// message is gone already, and nothing was appended.
func (v *View) Replace(ctx context.Context, old UID, dst MailboxRef, u Upload) (done Appended, err error) {
	if v.readOnly {
		return Appended{}, ErrReadOnlyView
	}
	u.Draft.Finish()
	err = v.s.Update(ctx, func(tx *Tx) error {
		removed, err := tx.expunge(v, UIDSet{{old, old}}, true)
		if err != nil {
			return err
		}
		if len(removed) == 0 {
			return ErrNoMessage
		}
		done, err = tx.upload(&v.id, dst, u)
		return err
	})
	if err != nil {
		return Appended{}, fmt.Errorf("replacing message %d of %q: %w", old, v.box.Name, err)
	}
	return done, nil
}
