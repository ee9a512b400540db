package store

import (
	"context"
	"fmt"
)

// Delete removes a mailbox; its messages are kept for [Options.Undelete] as
// expunged ones are. Children stay: the name then remains directory-only until
// the last of them goes. It needs [RightCreate] on the level above (at the top
// level the owner) and [RightDelete].
func (s *Store) Delete(ctx context.Context, id Identity, ref MailboxRef) error {
	var k boxKey
	err := s.Update(ctx, func(tx *Tx) (err error) {
		k, err = tx.deleteMailbox(&id, ref)
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting mailbox %q: %w", ref.Name, err)
	}
	// The mailbox is gone. What is left to do is done again by Run where it
	// fails here.
	if err := s.clearMailbox(ctx, k); err != nil && ctx.Err() == nil {
		s.o.Logf(levelProblem, "clearing a removed mailbox: "+err.Error())
	}
	return nil
}

func (tx *Tx) deleteMailbox(id *Identity, ref MailboxRef) (boxKey, error) {
	k, m, _, err := enter(tx.r, id, ref, RightLookup)
	if err != nil {
		return k, err
	}
	if m.name == Inbox {
		return k, ErrInbox
	}
	if err := tx.maySever(id, k, &m); err != nil {
		return k, err
	}
	acct, err := readAccount(tx.r, k.account)
	if err != nil {
		return k, err
	}
	children, err := tx.hasAnyChild(k.account, m.name)
	if err != nil {
		return k, err
	}
	if children && m.kind != kindSelectable {
		return k, ErrHasChildren
	}
	if err := tx.dropMetadata(&acct, k); err != nil {
		return k, err
	}
	if err := tx.dropContents(&acct, k, &m); err != nil {
		return k, err
	}
	if children {
		// A new id: what was known of the old one is no longer true.
		acct.names--
		_, err = tx.addMailbox(k.account, &acct, m.name, kindRemains, m.acl, "")
	} else {
		err = tx.dropName(k.account, &acct, m.name)
	}
	if err != nil {
		return k, err
	}
	acct.modSeq++
	tx.putAccount(k.account, &acct)
	return k, tx.note(&Action{
		Op: OpRemove, By: *id, Account: k.account, Mailbox: k.mailbox, Name: m.name, UIDs: UIDSet{{1, lastUID}},
	})
}

// hasAnyChild tells whether there is a name below name, whoever may see it.
func (tx *Tx) hasAnyChild(a AccountID, name string) (bool, error) {
	system := System()
	return hasChild(tx.r, &system, a, name)
}

// maySever asks for the rights to take a mailbox away from its place:
// [RightDelete] on it and [RightCreate] on the level above.
func (tx *Tx) maySever(id *Identity, k boxKey, m *mailbox) error {
	if _, err := gate(id, k.account, m, RightLookup|RightDelete); err != nil {
		return err
	}
	err := enterParent(tx.r, id, k.account, m.name)
	if err == ErrNoMailbox { // the level above is hidden, this mailbox is not
		return &RightError{Right: RightCreate, Mailbox: parentName(m.name)}
	}
	return err
}

// dropName takes a name away, and above it what a deletion left only for its
// sake.
func (tx *Tx) dropName(a AccountID, acct *account, name string) error {
	tx.tx.Delete(nameKey(a, name))
	acct.names--
	p := parentName(name)
	if p == "" {
		return nil
	}
	id, err := readName(tx.r, a, p)
	if err != nil || id == 0 {
		return err
	}
	k := boxKey{a, id}
	m, _, err := readMailbox(tx.r, k)
	if err != nil || m.kind != kindRemains {
		return err
	}
	if children, err := tx.hasAnyChild(a, p); err != nil || children {
		return err
	}
	tx.tx.Delete(mailboxKey(a, id))
	if err := tx.dropMetadata(acct, k); err != nil {
		return err
	}
	return tx.dropName(a, acct, p)
}

// dropContents deletes a mailbox's record and state, so that it is gone for
// everybody, takes what it holds off the account's usage, and notes that its
// contents are to be cleared away.
func (tx *Tx) dropContents(acct *account, k boxKey, m *mailbox) error {
	tx.tx.Delete(mailboxKey(k.account, k.mailbox))
	st, found, err := readState(tx.r, k)
	if err != nil || !found {
		return err
	}
	acct.octets -= st.Octets
	acct.messages -= int64(st.Exists)
	acct.modSeq++
	tx.tx.Delete(stateKey(k.account, k.mailbox))
	note := removed{name: m.name, at: tx.now.Unix(), modSeq: acct.modSeq}
	tx.tx.Put(appendRemovedKey(nil, k.account, k.mailbox), note.append(nil))
	tx.cleared = true
	return nil
}
