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
	DeletedOctets int64  // of the messages with \Deleted
	Unended       uint32 // messages whose last line does not end with CRLF
	UTF8Headers   uint32 // internationalized messages with an octet above 127 in a header
	UniqueIDs     uint32 // messages whose unique-id is not the ordinary one: see [View.AppendUniqueID]
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

// eachMailbox calls fn with the record of each name of an account, in the order
// of their ids. The record is fn's only while it runs: with their ACLs those of
// all names could take much memory.
func eachMailbox(r engine.Reader, a AccountID, fn func(boxKey, *mailbox) error) error {
	prefix := appendAccountPart(nil, a, partMailbox)
	for item, err := range r.Range(prefix, prefixEnd(prefix)) {
		var m mailbox
		if err == nil {
			err = m.decode(item.Value)
		}
		if err == nil {
			err = fn(boxKey{a, MailboxID(binary.BigEndian.Uint32(item.Key[len(prefix):]))}, &m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// HasMailbox tells whether an account has a name, of whatever kind. No right is
// asked.
func (r *Snapshot) HasMailbox(ref MailboxRef) (bool, error) {
	_, err := find(r.r, ref)
	if err == ErrNoMailbox {
		return false, nil
	}
	return err == nil, err
}

// Mailboxes returns the names of an account that the identity may look up, by
// name, each before its children, INBOX first. Of another's account nothing is
// told but that, so one that does not exist has no mailboxes.
func (s *Store) Mailboxes(ctx context.Context, id Identity, a AccountID) ([]Mailbox, error) {
	var list []Mailbox
	err := s.engine.View(ctx, func(r engine.Reader) error {
		return eachMailbox(r, a, func(k boxKey, m *mailbox) error {
			if rights, err := gate(&id, a, m, RightLookup); err == nil {
				list = append(list, m.describe(k, rights))
			}
			return nil
		})
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
