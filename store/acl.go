package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tripost/store/engine"
)

// Identity is who acts. It is filled in at sign-in, so that the store needs no
// directory.
type Identity struct {
	Account AccountID
	Name    string   // canonical, lower case: "jsmith@company.test"
	Groups  []string // canonical: "#sales@company.test"
	Admin   bool     // all rights everywhere
	Actor   Actor    // decides nothing; the history has it
}

// System is the server itself: it delivers and administers.
func System() Identity { return Identity{Admin: true} }

// domain returns what follows the name's last '@'.
func (id *Identity) domain() string { return id.Name[strings.LastIndexByte(id.Name, '@')+1:] }

// ACLEntry grants rights, or with a '-' in front of ID takes them away. ID is
// canonical: "name@domain", "#group@domain", "anyone", "anyone@domain",
// "owner".
type ACLEntry struct {
	ID     string
	Rights Rights
}

const (
	maxACL   = 200 // entries of one mailbox
	maxACLID = 255 // octets
)

// matches tells whether an entry's identifier, without its '-', names id.
func (id *Identity) matches(identifier string) bool {
	switch {
	case identifier == "anyone":
		return true
	case strings.HasPrefix(identifier, "#"):
		return slices.Contains(id.Groups, identifier)
	case strings.HasPrefix(identifier, "anyone@"):
		return id.Name != "" && id.domain() == identifier[len("anyone@"):]
	default: // "owner" is nobody's name: who owns the mailbox does not come here
		return id.Name != "" && id.Name == identifier
	}
}

// rightsIn returns the rights of id in a mailbox of account a: all for its owner
// and for administrators; else all that match less all that are taken away.
func (id *Identity) rightsIn(a AccountID, acl []ACLEntry) Rights {
	if id.owns(a) {
		return AllRights
	}
	var granted, taken Rights
	for _, e := range acl {
		if identifier, negative := strings.CutPrefix(e.ID, "-"); negative {
			if id.matches(identifier) {
				taken |= e.Rights
			}
		} else if id.matches(identifier) {
			granted |= e.Rights
		}
	}
	return granted &^ taken
}

// Explain returns the rights of id in a mailbox of account a by its access control
// list, and the entries that decide: those that name id, whether they grant or
// take away. The owner and administrators have all rights, by no entry.
func (id *Identity) Explain(a AccountID, acl []ACLEntry) (rights Rights, by []ACLEntry) {
	for _, e := range acl {
		if !id.owns(a) && id.matches(strings.TrimPrefix(e.ID, "-")) {
			by = append(by, e)
		}
	}
	return id.rightsIn(a, acl), by
}

// owns tells whether id has all rights in an account, whatever the ACLs say.
func (id *Identity) owns(a AccountID) bool { return id.Admin || id.Account == a && a != 0 }

// gate is the one place where rights are decided. Who may not look a mailbox up
// is told that there is none.
func gate(id *Identity, a AccountID, m *mailbox, need Rights) (Rights, error) {
	have := id.rightsIn(a, m.acl)
	if have&RightLookup == 0 {
		return 0, ErrNoMailbox
	}
	if missing := need &^ have; missing != 0 {
		return have, &RightError{Right: missing.lowest(), Mailbox: m.name}
	}
	return have, nil
}

// enter finds the mailbox of a name and asks the gate.
func enter(r engine.Reader, id *Identity, ref MailboxRef, need Rights) (boxKey, mailbox, Rights, error) {
	k, err := find(r, ref)
	if err != nil {
		return k, mailbox{}, 0, err
	}
	m, rights, err := enterByID(r, id, k, need)
	return k, m, rights, err
}

// find returns the mailbox of a name. No right is asked.
func find(r engine.Reader, ref MailboxRef) (boxKey, error) {
	name, _, err := canonicalName(ref.Name)
	if err != nil {
		return boxKey{}, ErrNoMailbox // there is none by a name that cannot be
	}
	m, err := readName(r, ref.Account, name)
	if err != nil {
		return boxKey{}, err
	}
	if m == 0 {
		return boxKey{}, ErrNoMailbox
	}
	return boxKey{ref.Account, m}, nil
}

// enterByID asks the gate for a mailbox that was found before.
func enterByID(r engine.Reader, id *Identity, k boxKey, need Rights) (mailbox, Rights, error) {
	m, found, err := readMailbox(r, k)
	if err != nil {
		return m, 0, err
	}
	if !found {
		return m, 0, ErrNoMailbox
	}
	rights, err := gate(id, k.account, &m, need)
	return m, rights, err
}

// enterState asks the gate for a mailbox that was found before, and returns its
// state. Who owns the mailbox needs no look at its ACL.
func enterState(r engine.Reader, id *Identity, k boxKey, need Rights) (st state, rights Rights, err error) {
	rights = AllRights
	owns := id.owns(k.account)
	if !owns {
		if _, rights, err = enterByID(r, id, k, need); err != nil {
			return st, rights, err
		}
	}
	st, found, err := readState(r, k)
	if err != nil || found {
		return st, rights, err
	}
	if owns {
		if _, _, err := enterByID(r, id, k, need); err != nil {
			return st, rights, err
		}
	}
	return st, rights, ErrNotSelectable
}

// enterParent asks for the right to create below the nearest level above name
// that exists. Above the top level there is only the owner's right.
func enterParent(r engine.Reader, id *Identity, a AccountID, name string) error {
	if id.owns(a) {
		return nil
	}
	for p := parentName(name); p != ""; p = parentName(p) {
		_, _, _, err := enter(r, id, MailboxRef{a, p}, RightCreate)
		if err == nil {
			return nil
		}
		if m, e := readName(r, a, p); e != nil || m != 0 {
			return err
		}
	}
	return ErrNoMailbox
}

// ACL returns a mailbox's entries, ordered by identifier. It needs
// [RightAdmin].
func (s *Store) ACL(ctx context.Context, id Identity, ref MailboxRef) ([]ACLEntry, error) {
	var acl []ACLEntry
	err := s.engine.View(ctx, func(r engine.Reader) error {
		_, m, _, err := enter(r, &id, ref, RightAdmin)
		acl = m.acl
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ACL of %q: %w", ref.Name, err)
	}
	return acl, nil
}

// RightsOp says what SetACL does with an entry's rights.
type RightsOp uint8

// What SetACL can do. An entry that is left without rights goes.
const (
	RightsReplace RightsOp = iota
	RightsAdd
	RightsRemove
)

// SetACL changes one entry of a mailbox's ACL. It needs [RightAdmin]. Sessions
// that have the mailbox open learn of it by their next Refresh.
func (s *Store) SetACL(ctx context.Context, id Identity, ref MailboxRef, e ACLEntry, op RightsOp) error {
	if err := e.check(); err != nil {
		return err
	}
	err := s.Update(ctx, func(tx *Tx) error {
		k, m, _, err := enter(tx.r, &id, ref, RightAdmin)
		if err != nil {
			return err
		}
		if m.acl = changeACL(m.acl, e, op); len(m.acl) > maxACL {
			return fmt.Errorf("more than %d entries: %w", maxACL, ErrBadACL)
		}
		tx.putMailbox(k, &m)
		return tx.touch(k)
	})
	if err != nil {
		return fmt.Errorf("setting the ACL of %q: %w", ref.Name, err)
	}
	return nil
}

func (e *ACLEntry) check() error {
	name := strings.TrimPrefix(e.ID, "-")
	switch {
	case name == "", len(e.ID) > maxACLID, !utf8.ValidString(e.ID):
	case strings.HasPrefix(name, "-"), strings.IndexFunc(name, unicode.IsControl) >= 0:
	case e.Rights&^AllRights != 0:
	default:
		return nil
	}
	return fmt.Errorf("%q: %w", e.ID, ErrBadACL)
}

func changeACL(acl []ACLEntry, e ACLEntry, op RightsOp) []ACLEntry {
	i, found := slices.BinarySearchFunc(acl, e.ID, func(have ACLEntry, id string) int {
		return strings.Compare(have.ID, id)
	})
	var had Rights
	if found {
		had = acl[i].Rights
	}
	switch op {
	case RightsAdd:
		e.Rights |= had
	case RightsRemove:
		e.Rights = had &^ e.Rights
	}
	switch {
	case e.Rights != 0 && found:
		acl[i] = e
		return acl
	case e.Rights != 0:
		return slices.Insert(acl, i, e)
	case found:
		return slices.Delete(acl, i, i+1)
	}
	return acl
}

// touch writes the account's record and the mailbox's state under a new modseq,
// so that whoever watches the mailbox looks.
func (tx *Tx) touch(k boxKey) error {
	acct, err := readAccount(tx.r, k.account)
	if err != nil {
		return err
	}
	acct.modSeq++
	tx.putAccount(k.account, &acct)
	st, found, err := readState(tx.r, k)
	if err != nil || !found {
		return err
	}
	st.HighestModSeq = acct.modSeq
	tx.putState(k, &st)
	return nil
}
