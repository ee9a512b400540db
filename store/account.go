package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"tripost/store/engine"
)

// Usage is what an account holds in its mailboxes, and may hold. What was
// expunged and can be restored does not count.
type Usage struct {
	Octets, Messages         int64
	OctetLimit, MessageLimit int64 // 0: none
	Mailboxes                int64 // names, those without messages included
	Pool                     PoolID
}

func (a *account) usage() Usage {
	return Usage{a.octets, a.messages, a.octetLimit, a.messageLimit, int64(a.names), a.pool}
}

// newValidity gives out a UIDVALIDITY: the time in seconds, or one more than
// the last where that is later, so that no two mailboxes of the account and no
// two mailboxes of one name ever have the same.
func (a *account) newValidity(now uint32) (uint32, error) {
	if a.lastValidity == math.MaxUint32 {
		return 0, fmt.Errorf("account has no UIDVALIDITY left")
	}
	a.lastValidity = max(now, a.lastValidity+1)
	return a.lastValidity, nil
}

// CreateAccount makes an account with its INBOX.
func (tx *Tx) CreateAccount() (AccountID, error) {
	value, err := tx.r.Get(nextAccountKey())
	if err != nil {
		return 0, err
	}
	id := uint64(1)
	if value != nil {
		if id, err = decodeID(value); err != nil {
			return 0, err
		}
	}
	tx.tx.Put(nextAccountKey(), appendID(nil, id+1))
	a, acct := AccountID(id), account{nextMailbox: 1}
	if _, err := tx.addMailbox(a, &acct, Inbox, kindSelectable, nil, ""); err != nil {
		return 0, err
	}
	acct.modSeq++
	tx.putAccount(a, &acct)
	return a, nil
}

// RemoveAccount takes an account away with all its mailboxes. Its messages are
// kept for [Options.Undelete] like other expunged ones; they are moved there
// after the transaction, by [Store.Run]. Until [Tx.ForgetAccount] it is known
// what [Tx.ReviveAccount] needs.
func (tx *Tx) RemoveAccount(a AccountID) error {
	acct, err := readAccount(tx.r, a)
	if err != nil {
		return fmt.Errorf("removing account %d: %w", a, err)
	}
	var boxes []namedMailbox
	err = eachMailbox(tx.r, a, func(k boxKey, m *mailbox) error {
		boxes = append(boxes, namedMailbox{k.mailbox, *m})
		return nil
	})
	if err != nil {
		return err
	}
	subscribed, err := readSubscriptions(tx.r, a)
	if err != nil {
		return err
	}
	for i := range boxes {
		if err := tx.dropContents(&acct, boxKey{a, boxes[i].id}, &boxes[i].mailbox); err != nil {
			return err
		}
	}
	for _, part := range []byte{partName, partSubscription} { // metadata stays where it is
		if err := tx.deletePart(a, part); err != nil {
			return err
		}
	}
	tx.countChange(&acct)
	tx.tx.Delete(accountKey(a))
	was := removedAccount{account: acct, boxes: boxes, subscribed: subscribed}
	tx.tx.Put(removedAccountKey(a), was.append(nil))
	return nil
}

// ReviveAccount makes an account that was removed again, with the names that its
// mailboxes had, their access control lists and metadata, and the subscriptions. They are empty
// and have a new UIDVALIDITY; [Store.Restore] brings back what is kept of its
// messages. It is in no pool. ErrNoAccount: there is no such account, or it is forgotten.
func (tx *Tx) ReviveAccount(a AccountID) error {
	value, err := tx.r.Get(removedAccountKey(a))
	if err == nil && value == nil {
		err = ErrNoAccount
	}
	var was removedAccount
	if err == nil {
		err = was.decode(value)
	}
	if err != nil {
		return fmt.Errorf("reviving account %d: %w", a, err)
	}
	acct := was.account
	acct.octets, acct.messages, acct.names, acct.metadata, acct.pool = 0, 0, 0, 0, 0
	slices.SortFunc(was.boxes, func(x, y namedMailbox) int { return cmp.Compare(x.name, y.name) })
	err = tx.moveMetadata(&acct, boxKey{account: a}, boxKey{account: a}) // of the server
	for i := range was.boxes {
		if err == nil {
			err = tx.reviveMailbox(a, &acct, &was.boxes[i])
		}
	}
	if err != nil {
		return fmt.Errorf("reviving account %d: %w", a, err)
	}
	for _, name := range was.subscribed {
		tx.tx.Put(subscriptionKey(a, name), []byte{recordVersion})
	}
	acct.modSeq++ // that of the mailboxes
	tx.putAccount(a, &acct)
	tx.tx.Delete(removedAccountKey(a))
	return nil
}

// reviveMailbox makes a mailbox again, with what it had under its former id.
func (tx *Tx) reviveMailbox(a AccountID, acct *account, was *namedMailbox) error {
	k, err := tx.addMailbox(a, acct, was.name, was.kind, was.acl, was.specialUse)
	if err != nil || was.id == 0 {
		return err
	}
	return tx.moveMetadata(acct, boxKey{a, was.id}, k)
}

// ForgetAccount drops what is kept of an account for [Tx.ReviveAccount]. Its
// messages go when their time is over.
func (tx *Tx) ForgetAccount(a AccountID) error {
	tx.tx.Delete(removedAccountKey(a))
	return tx.deletePart(a, partMetadata)
}

// removedAccount is what was known of an account that was removed.
type removedAccount struct {
	account    account
	boxes      []namedMailbox // their ids are 0 where they are not known any more
	subscribed []string
}

func (r *removedAccount) append(b []byte) []byte {
	b = append(b, recordVersion)
	b = appendText(b, string(r.account.append(nil)))
	b = binary.AppendUvarint(b, uint64(len(r.boxes)))
	for i := range r.boxes {
		b = appendText(b, string(r.boxes[i].append(nil)))
	}
	b = appendTexts(b, r.subscribed)
	for i := range r.boxes {
		b = binary.AppendUvarint(b, uint64(r.boxes[i].id))
	}
	return b
}

func (r *removedAccount) decode(b []byte) error {
	d := newDecoder(b)
	err := r.account.decode([]byte(d.text()))
	for range d.count() {
		var m namedMailbox
		err = errors.Join(err, m.decode([]byte(d.text())))
		r.boxes = append(r.boxes, m)
	}
	r.subscribed = d.texts()
	for i := 0; i < len(r.boxes) && len(d.b) > 0; i++ { // records that are older end here
		r.boxes[i].id = MailboxID(d.uint())
	}
	return errors.Join(err, d.err("record of a removed account"))
}

// deletePart deletes an account's keys of one part.
func (tx *Tx) deletePart(a AccountID, part byte) error {
	prefix := appendAccountPart(nil, a, part)
	var keys [][]byte
	for item, err := range tx.r.Range(prefix, prefixEnd(prefix)) {
		if err != nil {
			return err
		}
		keys = append(keys, append([]byte(nil), item.Key...))
	}
	for _, k := range keys {
		tx.tx.Delete(k)
	}
	return nil
}

// SetQuota limits what an account may hold; 0 is no limit. What it holds beyond
// a new limit stays.
func (tx *Tx) SetQuota(a AccountID, octets, messages int64) error {
	if octets < 0 || messages < 0 {
		return fmt.Errorf("setting the quota of account %d: below zero", a)
	}
	acct, err := readAccount(tx.r, a)
	if err != nil {
		return fmt.Errorf("setting the quota of account %d: %w", a, err)
	}
	acct.octetLimit, acct.messageLimit = octets, messages
	tx.putAccount(a, &acct)
	return nil
}

// Usage returns what an account holds and may hold.
func (s *Store) Usage(ctx context.Context, a AccountID) (u Usage, err error) {
	err = s.engine.View(ctx, func(r engine.Reader) error {
		acct, err := readAccount(r, a)
		u = acct.usage()
		return err
	})
	return u, err
}
