package imap

import (
	"context"
	"slices"
	"strconv"

	"tripost/store"
)

// statusCounts are the items of STATUS that stand in the mailbox's counters: RFC
// 3501 section 6.3.10, SIZE of RFC 8438, DELETED of RFC 9051 section 6.3.11,
// DELETED-STORAGE of RFC 9208 section 5.1, HIGHESTMODSEQ of RFC 7162 section 3.1.7.
var statusCounts = map[string]func(*store.State) uint64{
	"MESSAGES":        func(st *store.State) uint64 { return uint64(st.Exists) },
	"RECENT":          func(st *store.State) uint64 { return uint64(st.Recent) },
	"UIDNEXT":         func(st *store.State) uint64 { return uint64(st.UIDNext) },
	"UIDVALIDITY":     func(st *store.State) uint64 { return uint64(st.UIDValidity) },
	"UNSEEN":          func(st *store.State) uint64 { return uint64(st.Unseen) },
	"DELETED":         func(st *store.State) uint64 { return uint64(st.Deleted) },
	"DELETED-STORAGE": func(st *store.State) uint64 { return uint64(max(st.DeletedOctets, 0)) },
	"SIZE":            func(st *store.State) uint64 { return uint64(st.Octets) },
	"HIGHESTMODSEQ":   func(st *store.State) uint64 { return uint64(st.HighestModSeq) },
}

// Items that are not counted: RFC 8474 section 4.3, RFC 7889 section 4.
const (
	statusMailboxID   = "MAILBOXID"
	statusAppendLimit = "APPENDLIMIT"
)

// maxStatusItems bounds the items of one STATUS.
const maxStatusItems = 32

// statusItems consumes a list of items.
func (p *parser) statusItems() []string {
	var items []string
	p.list(false, func() {
		item := p.word()
		if p.err == nil && statusCounts[item] == nil && item != statusMailboxID && item != statusAppendLimit {
			p.fail("Unknown STATUS item")
		}
		if items = append(items, item); len(items) > maxStatusItems {
			p.limit("Too many STATUS items")
		}
	})
	return items
}

// status answers STATUS from the mailbox's counters. RFC 3501 section 6.3.10.
func (s *session) status(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	name := p.mailbox()
	p.space()
	items := p.statusItems()
	if err := p.end(); err != nil {
		return completion{}, err
	}
	if slices.Contains(items, "HIGHESTMODSEQ") {
		s.enableCondstore()
	}
	ref, err := s.resolve(ctx, name)
	if err != nil {
		return completion{}, err
	}
	box, state, err := s.mailboxState(ctx, ref)
	switch {
	case err != nil:
		return completion{}, err
	case !box.Selectable:
		return completion{}, store.ErrNotSelectable
	case box.Rights&store.RightRead == 0:
		return completion{}, store.ErrNoRight
	}
	s.tellStatus(name, &box, &state, items)
	return ok("Done"), nil
}

// tellStatus writes STATUS.
func (s *session) tellStatus(name string, box *store.Mailbox, state *store.State, items []string) {
	b := s.appendMailbox(append(s.c.Out(), "* STATUS "...), name)
	b = append(b, " ("...)
	for _, item := range items {
		b = append(append(spaced(b), item...), ' ')
		switch item {
		case statusMailboxID:
			b = append(append(append(b, '('), mailboxID(box)...), ')')
		case statusAppendLimit:
			b = strconv.AppendInt(b, s.srv.cfg.Limits.Message, 10)
		default:
			b = strconv.AppendUint(b, statusCounts[item](state), 10)
		}
	}
	s.c.Done(append(b, ")\r\n"...))
}
