package imap

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"tripost/accounts"
	"tripost/store"
)

// list answers LIST. A pattern that begins with "~account/" lists that account's
// mailboxes which the user may know of; others only the user's own, as other
// accounts cannot be enumerated. RFC 3501 section 6.3.8, RFC 5258.
func (s *session) list(ctx context.Context, cmd *command) (completion, error) {
	r := cmd.args.listRequest(s.srv.cfg.Limits.Pattern)
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	if r.root() {
		root, _ := foreign(r.reference)
		s.listLine("LIST", `\Noselect`, root, "")
		return ok("Done"), nil
	}
	if slices.Contains(r.status, "HIGHESTMODSEQ") {
		s.enableCondstore()
	}
	names, err := s.listNames(ctx, &r)
	if err != nil {
		return completion{}, err
	}
	names.choose(&r)
	for _, n := range names.list {
		if err := ctx.Err(); err != nil {
			return completion{}, err
		}
		if n.told {
			if err := s.tellListed(ctx, &r, names, n); err != nil {
				return completion{}, err
			}
		}
	}
	return ok("Done"), nil
}

// listed is a name that LIST looks at.
type listed struct {
	name       string
	box        *store.Mailbox // nil: there is none
	subscribed bool

	selected bool
	above    bool // a name below it is selected
	told     bool
}

// readable tells whether it is a mailbox whose messages the user may know of.
func (n *listed) readable() bool {
	return n.box != nil && n.box.Selectable && n.box.Rights&store.RightRead != 0
}

// listing is the names that LIST looks at, in the order in which they are told.
type listing struct {
	list    []*listed
	byName  map[string]*listed
	parents map[string]bool // names that have mailboxes below them
}

func (l *listing) add(name string, box *store.Mailbox) *listed {
	n := l.byName[name]
	if n == nil {
		n = &listed{name: name, box: box}
		l.byName[name] = n
		l.list = append(l.list, n)
		if box != nil {
			for p := parentOf(name); p != "" && !l.parents[p]; p = parentOf(p) {
				l.parents[p] = true
			}
		}
	}
	return n
}

// listNames gathers the mailboxes of the accounts that the patterns name, and the
// user's subscriptions where they matter.
func (s *session) listNames(ctx context.Context, r *listRequest) (*listing, error) {
	l := &listing{byName: make(map[string]*listed), parents: make(map[string]bool)}
	for _, owner := range r.owners() {
		boxes, err := s.mailboxesOf(ctx, owner)
		if err != nil {
			return nil, err
		}
		for i := range boxes {
			l.add(owner+boxes[i].Name, &boxes[i])
		}
		if owner == "" {
			if err := s.listAliases(ctx, l); err != nil {
				return nil, err
			}
		}
	}
	if !r.tellSubscribed {
		return l, nil
	}
	names, err := s.srv.cfg.Store.Subscriptions(ctx, s.user.Account)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		n := l.byName[name]
		if n == nil && r.subscribed && (r.recursive || r.matches(name, true)) {
			box, err := s.lookUp(ctx, name)
			if err != nil {
				return nil, err
			}
			n = l.add(name, box)
		}
		if n != nil {
			n.subscribed = true
		}
	}
	return l, nil
}

// listAliases adds the user's own names for mailboxes of others and for what is
// below them, as far as these may be known. What is named like one of them cannot
// be reached.
func (s *session) listAliases(ctx context.Context, l *listing) error {
	aliases, err := s.srv.cfg.Directory.MailboxAliases(ctx, s.user.Account)
	if err != nil {
		return err
	}
	of := make(map[store.AccountID][]store.Mailbox)
	for _, a := range aliases {
		ref, err := s.resolve(ctx, a.Name)
		if isMissing(err) {
			continue
		}
		if err != nil {
			return err
		}
		boxes, known := of[ref.Account]
		if !known {
			if boxes, err = s.srv.cfg.Store.Mailboxes(ctx, s.user, ref.Account); err != nil {
				return err
			}
			of[ref.Account] = boxes
		}
		for i := range boxes {
			below, found := strings.CutPrefix(boxes[i].Name, ref.Name)
			if found && (below == "" || below[0] == '/') {
				l.add(a.Name+below, &boxes[i]).box = &boxes[i]
				l.addAbove(a.Name + below)
			}
		}
	}
	return nil
}

// addAbove adds the levels above a name by an alias which are no mailboxes, or none
// that may be known.
func (l *listing) addAbove(name string) {
	for p := parentOf(name); p != ""; p = parentOf(p) {
		l.add(p, &store.Mailbox{})
	}
}

// mailboxesOf lists the mailboxes of an account, "" for the user's own, as far as
// the user may know of them.
func (s *session) mailboxesOf(ctx context.Context, owner string) ([]store.Mailbox, error) {
	account := s.user.Account
	if owner != "" {
		ref, err := s.resolve(ctx, owner+"INBOX")
		if isMissing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		account = ref.Account
	}
	return s.srv.cfg.Store.Mailboxes(ctx, s.user, account)
}

// lookUp finds a mailbox by its name, nil where there is none for the user.
func (s *session) lookUp(ctx context.Context, name string) (*store.Mailbox, error) {
	ref, err := s.resolve(ctx, name)
	var box store.Mailbox
	if err == nil {
		box, _, err = s.srv.cfg.Store.Mailbox(ctx, s.user, ref)
	}
	if isMissing(err) {
		return nil, nil
	}
	return &box, err
}

// isMissing tells whether an error says that there is no such mailbox or account.
func isMissing(err error) bool {
	return errors.Is(err, store.ErrNoMailbox) || errors.Is(err, accounts.ErrNoMailbox) || errors.Is(err, store.ErrBadName)
}

// choose finds which names are told: those that match and are selected, and with
// RECURSIVEMATCH those that match and are above selected ones of which not all are
// told. RFC 5258 sections 3.1, 3.3 and 3.5.
func (l *listing) choose(r *listRequest) {
	for _, n := range l.list {
		n.selected = (!r.subscribed || n.subscribed) && (!r.specialUse || n.box != nil && n.box.SpecialUse != "")
		n.told = n.selected && r.matches(n.name, n.subscribed && r.subscribed)
	}
	if !r.recursive {
		return
	}
	for _, n := range slices.Clone(l.list) {
		if !n.selected {
			continue
		}
		for name := parentOf(n.name); name != ""; name = parentOf(name) {
			above := l.byName[name]
			if above == nil && n.told {
				continue // which is not there, and need not be known
			}
			if above == nil {
				above = l.add(name, nil)
			}
			above.above = true
			if !n.told && r.matches(name, true) {
				above.told = true
			}
		}
	}
}

// children tells whether there are mailboxes below a name that is none itself.
func (l *listing) children(name string) string {
	if l.parents[name] {
		return `\HasChildren`
	}
	return `\HasNoChildren`
}

// parentOf returns the name of the level above, "" at the top.
func parentOf(name string) string {
	return name[:max(strings.LastIndexByte(name, '/'), 0)]
}

// tellListed tells of a name: LIST, and what else is asked for. Counters are told of
// what is selected, not of names above it; what cannot be counted as the user may not
// read it is said to be \Noselect then. RFC 9051 sections 6.3.9.2 and 6.3.9.8.
func (s *session) tellListed(ctx context.Context, r *listRequest, names *listing, n *listed) error {
	attrs := `\NonExistent ` + names.children(n.name)
	if n.box != nil {
		box := *n.box
		box.Children = box.Children || names.parents[n.name]
		attrs = attributes(&box)
		if r.status != nil && n.box.Selectable && !n.readable() {
			attrs = `\Noselect ` + attrs
		}
	}
	if n.subscribed {
		attrs += ` \Subscribed`
	}
	more := ""
	if n.above {
		more = `"CHILDINFO" (` + r.criteria() + ")"
	}
	s.listLine("LIST", attrs, n.name, more)
	if n.box == nil {
		return nil
	}
	if r.tellRights && n.box.Rights != 0 {
		s.tellMyRights(n.name, n.box.Rights)
	}
	if r.metadata != nil && n.box.Rights&store.RightRead != 0 {
		want := metadataWant{entries: r.metadata, maxSize: math.MaxInt64}
		_, err := s.tellMetadata(ctx, n.name, store.MailboxRef{Account: n.box.Account, Name: n.box.Name}, want)
		if err != nil && !isMissing(err) && !errors.Is(err, store.ErrNoRight) {
			return err
		}
	}
	if r.status == nil || !n.selected || !n.readable() {
		return nil
	}
	box, state, err := s.mailboxState(ctx, store.MailboxRef{Account: n.box.Account, Name: n.box.Name})
	if isMissing(err) {
		return nil // it has gone meanwhile
	}
	if err == nil && box.Selectable && box.Rights&store.RightRead != 0 {
		s.tellStatus(n.name, &box, &state, r.status)
	}
	return err
}

// joinReference puts a reference before a pattern. A pattern that names another
// account is complete.
func joinReference(reference, pattern string) string {
	if strings.HasPrefix(pattern, "~") {
		return pattern
	}
	return reference + pattern
}

// attributes tells what a mailbox is: RFC 3501 section 7.2.2, children of RFC 3348,
// special use of RFC 6154.
func attributes(m *store.Mailbox) string {
	a := `\HasNoChildren`
	if m.Children {
		a = `\HasChildren`
	}
	if !m.Selectable {
		a = `\Noselect ` + a
	}
	if m.SpecialUse != "" {
		a += " " + m.SpecialUse
	}
	return a
}

// listLine writes one LIST or LSUB response, with extended data items where there
// are some.
func (s *session) listLine(kind, attributes, name, extended string) {
	b := append(s.c.Out(), "* "...)
	b = append(b, kind...)
	b = append(b, " ("...)
	b = append(b, attributes...)
	b = append(b, `) "/" `...)
	b = s.appendMailbox(b, name)
	if extended != "" {
		b = append(append(append(b, " ("...), extended...), ')')
	}
	s.c.Done(append(b, "\r\n"...))
}
