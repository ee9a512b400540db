package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"tripost/store/engine"
)

// Mailbox is what is known of a name.
type Mailbox struct {
	Account     AccountID
	ID          MailboxID
	Name        string
	Selectable  bool   // false: directory-only
	Children    bool   // has children that the identity may look up
	SpecialUse  string // "\\Sent" and the like (RFC 6154), or ""
	UIDValidity uint32 // 0 while directory-only
	Rights      Rights // of the identity that asked
}

// State is a mailbox's counters, kept in one record that every change writes.
type State struct {
	UIDValidity   uint32
	UIDNext       UID
	Exists        uint32
	Unseen        uint32 // messages without \Seen
	Deleted       uint32 // messages with \Deleted
	Octets        int64
	Unended       uint32 // messages whose last line does not end with CRLF
	RecentBase    UID    // messages from this UID on are \Recent for the next read-write session
	Recent        uint32 // how many these are
	HighestModSeq ModSeq
	Floor         ModSeq // changes up to this one may have been forgotten
	Keywords      []string
}

// SentOctets returns the sum of the messages' [Message.SentSize].
func (s *State) SentOctets() int64 { return s.Octets + 2*int64(s.Unended) }

func (m *mailbox) describe(k boxKey, r Rights) Mailbox {
	return Mailbox{
		Account:     k.account,
		ID:          k.mailbox,
		Name:        m.name,
		Selectable:  m.kind == kindSelectable,
		SpecialUse:  m.specialUse,
		UIDValidity: m.validity,
		Rights:      r,
	}
}

// namedMailbox is a mailbox's record with its id.
type namedMailbox struct {
	id MailboxID
	mailbox
}

// readMailboxes reads the records of all names of an account, in the order of
// their ids.
func readMailboxes(r engine.Reader, a AccountID) ([]namedMailbox, error) {
	prefix := appendAccountPart(nil, a, partMailbox)
	var list []namedMailbox
	for item, err := range r.Range(prefix, prefixEnd(prefix)) {
		if err != nil {
			return nil, err
		}
		m := namedMailbox{id: MailboxID(binary.BigEndian.Uint32(item.Key[len(prefix):]))}
		if err := m.decode(item.Value); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// Mailboxes returns the names of an account that the identity may look up, by
// name, each before its children, INBOX first. Of another's account nothing is
// told but that, so one that does not exist has no mailboxes.
func (s *Store) Mailboxes(ctx context.Context, id Identity, a AccountID) ([]Mailbox, error) {
	var list []Mailbox
	err := s.engine.View(ctx, func(r engine.Reader) error {
		all, err := readMailboxes(r, a)
		if err != nil {
			return err
		}
		for i := range all {
			m := &all[i]
			if rights, err := gate(&id, a, &m.mailbox, RightLookup); err == nil {
				list = append(list, m.describe(boxKey{a, m.id}, rights))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the mailboxes of account %d: %w", a, err)
	}
	slices.SortFunc(list, func(a, b Mailbox) int { return inboxFirst(a.Name, b.Name) })
	for i := range list {
		list[i].Children = i+1 < len(list) && within(list[i+1].Name, list[i].Name)
	}
	return list, nil
}

// Mailbox returns a name and, with [RightRead], its state; the state of a
// directory-only name is zero. It needs [RightLookup].
func (s *Store) Mailbox(ctx context.Context, id Identity, ref MailboxRef) (Mailbox, State, error) {
	var box Mailbox
	var st state
	err := s.engine.View(ctx, func(r engine.Reader) error {
		k, m, rights, err := enter(r, &id, ref, RightLookup)
		if err != nil {
			return err
		}
		box = m.describe(k, rights)
		if box.Children, err = hasChild(r, &id, k.account, m.name); err != nil {
			return err
		}
		if rights&RightRead == 0 || !box.Selectable {
			return nil
		}
		st, err = readWholeState(r, k)
		return err
	})
	if err != nil {
		return Mailbox{}, State{}, fmt.Errorf("mailbox %q: %w", ref.Name, err)
	}
	return box, st.State, nil
}

// readWholeState reads a mailbox's state with its keywords.
func readWholeState(r engine.Reader, k boxKey) (state, error) {
	st, found, err := readState(r, k)
	if err != nil {
		return st, err
	}
	if !found {
		return st, ErrNotSelectable
	}
	if st.keywords > 0 {
		st.Keywords, err = readKeywords(r, k)
	}
	return st, err
}

// hasChild tells whether id may look up any name below name.
func hasChild(r engine.Reader, id *Identity, a AccountID, name string) (bool, error) {
	lo, hi := subtreeRange(a, name)
	for item, err := range r.Range(lo, hi) {
		if err != nil {
			return false, err
		}
		if id.owns(a) {
			return true, nil
		}
		child, err := decodeID(item.Value)
		if err != nil {
			return false, err
		}
		if _, _, err := enterByID(r, id, boxKey{a, MailboxID(child)}, RightLookup); err == nil {
			return true, nil
		}
	}
	return false, nil
}

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

// Delete removes a mailbox; its messages are kept for [Options.Undelete] as
// expunged ones are. Children stay: the name then remains directory-only until
// the last of them goes. It needs [RightCreate] on the level above (at the top
// level the owner) and [RightDelete].
func (s *Store) Delete(ctx context.Context, id Identity, ref MailboxRef) error {
	err := s.Update(ctx, func(tx *Tx) error { return tx.deleteMailbox(&id, ref) })
	if err != nil {
		return fmt.Errorf("deleting mailbox %q: %w", ref.Name, err)
	}
	// The mailbox is gone. What is left to do is done again by Run where it
	// fails here.
	if err := s.clearRemoved(ctx); err != nil && ctx.Err() == nil {
		s.o.Logf(levelProblem, "clearing a removed mailbox: "+err.Error())
	}
	return nil
}

func (tx *Tx) deleteMailbox(id *Identity, ref MailboxRef) error {
	k, m, _, err := enter(tx.r, id, ref, RightLookup)
	if err != nil {
		return err
	}
	if m.name == Inbox {
		return ErrInbox
	}
	if err := tx.maySever(id, k, &m); err != nil {
		return err
	}
	acct, err := readAccount(tx.r, k.account)
	if err != nil {
		return err
	}
	children, err := hasChild(tx.r, &Identity{Admin: true}, k.account, m.name)
	if err != nil {
		return err
	}
	if children && m.kind != kindSelectable {
		return ErrHasChildren
	}
	if err := tx.dropContents(&acct, k, &m); err != nil {
		return err
	}
	if children {
		// A new id: what was known of the old one is no longer true.
		acct.names--
		_, err = tx.addMailbox(k.account, &acct, m.name, kindRemains, m.acl, "")
	} else {
		err = tx.dropName(k.account, &acct, m.name)
	}
	if err != nil {
		return err
	}
	acct.modSeq++
	tx.putAccount(k.account, &acct)
	return nil
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
	if children, err := hasChild(tx.r, &Identity{Admin: true}, a, p); err != nil || children {
		return err
	}
	tx.tx.Delete(mailboxKey(a, id))
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
