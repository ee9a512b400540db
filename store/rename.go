package store

import (
	"context"
	"fmt"
	"slices"
)

// Rename gives a mailbox and all below it other names. No message moves:
// UIDVALIDITY and UIDs stay. Missing levels above the new name are made.
// Renaming INBOX gives what it holds the new name and leaves a new, empty INBOX
// with a new UIDVALIDITY; INBOX's children stay where they are (RFC 9051
// section 6.3.6). It needs [RightDelete] on the mailbox and [RightCreate] on
// the levels above the old and the new name.
func (s *Store) Rename(ctx context.Context, id Identity, ref MailboxRef, to string) error {
	err := s.Update(ctx, func(tx *Tx) error { return tx.rename(&id, ref, to) })
	if err != nil {
		return fmt.Errorf("renaming mailbox %q to %q: %w", ref.Name, to, err)
	}
	return nil
}

func (tx *Tx) rename(id *Identity, ref MailboxRef, to string) error {
	k, m, _, err := enter(tx.r, id, ref, RightLookup)
	if err != nil {
		return err
	}
	if to, _, err = canonicalName(to); err != nil {
		return err
	}
	if err := tx.maySever(id, k, &m); err != nil {
		return err
	}
	if m.name != Inbox && within(to, m.name) {
		return fmt.Errorf("%w: it lies below the mailbox itself", ErrBadName)
	}
	if err := enterParent(tx.r, id, k.account, to); err != nil {
		return err
	}
	if taken, err := readName(tx.r, k.account, to); err != nil || taken != 0 {
		if err == nil {
			err = ErrMailboxExists
		}
		return err
	}
	acct, err := readAccount(tx.r, k.account)
	if err != nil {
		return err
	}
	if m.name == Inbox {
		err = tx.moveInbox(k, &acct, m, to)
	} else {
		err = tx.moveTree(k, &acct, m, to)
	}
	if err != nil {
		return err
	}
	acct.modSeq++
	tx.putAccount(k.account, &acct)
	return nil
}

// moveInbox gives INBOX's store another name and makes a new INBOX, with the same
// metadata (RFC 5464 section 4.1).
func (tx *Tx) moveInbox(k boxKey, acct *account, m mailbox, to string) error {
	if _, err := tx.addParents(k.account, acct, to, 1); err != nil {
		return err
	}
	inbox, err := tx.addMailbox(k.account, acct, Inbox, kindSelectable, m.acl, m.specialUse)
	if err != nil {
		return err
	}
	if err := tx.copyMetadata(acct, k, inbox); err != nil {
		return err
	}
	m.specialUse = ""
	tx.place(k, &m, to)
	return nil
}

// moveTree gives a mailbox and all below it other names.
func (tx *Tx) moveTree(k boxKey, acct *account, m mailbox, to string) error {
	children, err := tx.subtree(k.account, m.name)
	if err != nil {
		return err
	}
	from := m.name
	for _, c := range children {
		if _, _, err := canonicalName(to + c.name[len(from):]); err != nil {
			return fmt.Errorf("%q: %w", c.name, err)
		}
	}
	if _, err := tx.addParents(k.account, acct, to, 0); err != nil {
		return err
	}
	for _, c := range slices.Backward(children) {
		tx.tx.Delete(nameKey(k.account, c.name))
		tx.place(boxKey{k.account, c.id}, &c.mailbox, to+c.name[len(from):])
	}
	tx.place(k, &m, to)
	acct.names++ // dropName counts the old name off, but the mailbox stays
	return tx.dropName(k.account, acct, from)
}

// place writes a mailbox under a name.
func (tx *Tx) place(k boxKey, m *mailbox, name string) {
	m.name = name
	tx.putName(k.account, name, k.mailbox)
	tx.putMailbox(k, m)
}

// subtree reads the mailboxes below name.
func (tx *Tx) subtree(a AccountID, name string) ([]namedMailbox, error) {
	lo, hi := subtreeRange(a, name)
	var list []namedMailbox
	for item, err := range tx.r.Range(lo, hi) {
		if err != nil {
			return nil, err
		}
		id, err := decodeID(item.Value)
		if err != nil {
			return nil, err
		}
		list = append(list, namedMailbox{id: MailboxID(id)})
	}
	for i := range list {
		m, found, err := readMailbox(tx.r, boxKey{a, list[i].id})
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, fmt.Errorf("mailbox %d below %q: %w", list[i].id, name, ErrNoMailbox)
		}
		list[i].mailbox = m
	}
	return list, nil
}
