package store

import (
	"context"
	"fmt"
	"slices"
)

// CreateOptions are what a new mailbox can be given.
type CreateOptions struct {
	// SpecialUse is an attribute of RFC 6154 such as "\\Sent", or "".
	SpecialUse string
}

func (o CreateOptions) check() error {
	if len(o.SpecialUse) > maxSpecialUse || o.SpecialUse != "" && (o.SpecialUse[0] != '\\' || !validKeyword(o.SpecialUse[1:])) {
		return fmt.Errorf("special use %q: %w", o.SpecialUse, ErrBadName)
	}
	return nil
}

// Create makes a mailbox in a transaction of its own: see [Tx.CreateMailbox].
func (s *Store) Create(ctx context.Context, id Identity, ref MailboxRef, o CreateOptions) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.CreateMailbox(id, ref, o) })
}

// CreateMailbox makes a mailbox. Missing levels above it are made as
// directory-only names. A name that ends in '/' is made directory-only itself;
// a directory-only name that is there already becomes a mailbox. New names take
// the ACL of the nearest level above them. It needs [RightCreate] there, and at
// the top level the owner.
func (tx *Tx) CreateMailbox(id Identity, ref MailboxRef, o CreateOptions) error {
	if err := tx.createMailbox(&id, ref, o); err != nil {
		return fmt.Errorf("creating mailbox %q: %w", ref.Name, err)
	}
	return nil
}

func (tx *Tx) createMailbox(id *Identity, ref MailboxRef, o CreateOptions) error {
	name, directory, err := canonicalName(ref.Name)
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	if err := enterParent(tx.r, id, ref.Account, name); err != nil {
		return err
	}
	acct, err := readAccount(tx.r, ref.Account)
	if err != nil {
		return err
	}
	existing, err := readName(tx.r, ref.Account, name)
	if err != nil {
		return err
	}
	switch {
	case existing != 0 && directory:
		return ErrMailboxExists
	case existing != 0:
		err = tx.addStore(boxKey{ref.Account, existing}, &acct, o)
	default:
		kind := kindSelectable
		if directory {
			kind = kindDirectory
		}
		err = tx.addName(ref.Account, &acct, name, kind, o)
	}
	if err != nil {
		return err
	}
	acct.modSeq++
	tx.putAccount(ref.Account, &acct)
	return nil
}

// addStore makes a directory-only name a mailbox.
func (tx *Tx) addStore(k boxKey, acct *account, o CreateOptions) error {
	m, found, err := readMailbox(tx.r, k)
	if err != nil {
		return err
	}
	if !found || m.kind == kindSelectable {
		return ErrMailboxExists
	}
	m.kind, m.specialUse = kindSelectable, o.SpecialUse
	return tx.putNew(k, acct, &m)
}

// addName makes a name and the missing ones above it.
func (tx *Tx) addName(a AccountID, acct *account, name string, kind mailboxKind, o CreateOptions) error {
	acl, err := tx.addParents(a, acct, name, 1)
	if err != nil {
		return err
	}
	_, err = tx.addMailbox(a, acct, name, kind, acl, o.SpecialUse)
	return err
}

// addParents makes the missing names above name directory-only, and returns the
// ACL that a child inherits. It makes sure that as many more names as the caller
// adds are within the limit.
func (tx *Tx) addParents(a AccountID, acct *account, name string, more int) ([]ACLEntry, error) {
	missing, acl, err := tx.missingParents(a, name)
	if err != nil {
		return nil, err
	}
	if int64(acct.names)+int64(len(missing)+more) > int64(tx.s.o.MaxMailboxes) {
		return nil, fmt.Errorf("the account has %d: %w", acct.names, ErrTooManyMailboxes)
	}
	for _, p := range slices.Backward(missing) {
		if _, err := tx.addMailbox(a, acct, p, kindDirectory, acl, ""); err != nil {
			return nil, err
		}
	}
	return acl, nil
}

// missingParents returns the names above name that do not exist, from the
// lowest up, and the ACL of the first one that does.
func (tx *Tx) missingParents(a AccountID, name string) (missing []string, acl []ACLEntry, err error) {
	for p := parentName(name); p != ""; p = parentName(p) {
		id, err := readName(tx.r, a, p)
		if err != nil {
			return nil, nil, err
		}
		if id != 0 {
			m, _, err := readMailbox(tx.r, boxKey{a, id})
			return missing, m.acl, err
		}
		missing = append(missing, p)
	}
	return missing, nil, nil
}

// addMailbox makes one new name.
func (tx *Tx) addMailbox(a AccountID, acct *account, name string, kind mailboxKind, acl []ACLEntry, use string) (boxKey, error) {
	k := boxKey{a, acct.nextMailbox}
	acct.nextMailbox++
	acct.names++
	tx.putName(a, name, k.mailbox)
	m := mailbox{name: name, kind: kind, acl: acl, specialUse: use}
	return k, tx.putNew(k, acct, &m)
}

// putNew writes a mailbox's record, and where it holds messages its first state.
func (tx *Tx) putNew(k boxKey, acct *account, m *mailbox) error {
	if m.kind == kindSelectable {
		validity, err := acct.newValidity(validityAt(tx.now))
		if err != nil {
			return err
		}
		m.validity = validity
		st := state{State: State{UIDValidity: validity, UIDNext: 1, RecentBase: 1, HighestModSeq: acct.modSeq + 1, Floor: acct.modSeq + 1}}
		tx.putState(k, &st)
	}
	tx.putMailbox(k, m)
	return nil
}
