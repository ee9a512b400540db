package imap

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"tripost/imap/search"
	"tripost/store"
)

// sources are the mailboxes that an ESEARCH command is to look through. RFC 7377
// section 2.2.
type sources struct {
	selected bool
	others   []source
}

// source is one specifier with the name that it has, if it takes one.
type source struct{ kind, name string }

// maxSources bounds the specifiers and names of one ESEARCH.
const maxSources = 1000

// multiSearch answers ESEARCH: UID SEARCH in several mailboxes, with a response for
// each where something is found. RFC 7377.
func (s *session) multiSearch(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	from := p.sources()
	ret := p.returns()
	if !ret.asked {
		ret = returns{asked: true, all: true}
	}
	if ret.save && len(from.others) > 0 {
		p.fail("SAVE is for the selected mailbox alone")
	}
	if from.selected && s.view == nil {
		p.fail("Select a mailbox first")
	}
	root, err := p.searchProgram(s.searchTerms())
	if err == nil {
		err = scorable(&ret, nil, root)
	}
	var lowest store.UID
	if err == nil {
		lowest, err = s.searchSources(ctx, cmd, &from, &ret, root)
	}
	done, err := s.searched(&ret, err)
	if err == nil {
		done = s.asFarAs(done, lowest)
	}
	return done, err
}

// sources consumes IN with its list, if it is there.
func (p *parser) sources() (from sources) {
	if !p.acceptSpaced("IN") {
		return sources{selected: true}
	}
	p.space()
	p.list(false, func() {
		switch kind := p.word(); kind {
		case "SELECTED":
			from.selected = true
		case "INBOXES", "PERSONAL", "SUBSCRIBED":
			from.others = append(from.others, source{kind, ""})
		case "SUBTREE", "SUBTREE-ONE", "MAILBOXES":
			p.space()
			p.sourceNames(func(name string) { from.others = append(from.others, source{kind, name}) })
		default:
			p.fail("Unknown mailboxes to search")
		}
		if len(from.others) > maxSources {
			p.limit("Too many mailboxes are named")
		}
	})
	return from
}

// sourceNames consumes one mailbox name or a list of them.
func (p *parser) sourceNames(take func(string)) {
	if p.peek() == '(' {
		p.list(false, func() { take(p.mailbox()) })
		return
	}
	take(p.mailbox())
}

// searchSources searches one mailbox after the other, each once. Together they may
// read as much as one search, and look at as many messages. It returns the lowest UID
// that was looked at, if that is not all: of one mailbox alone.
func (s *session) searchSources(ctx context.Context, cmd *command, from *sources, ret *returns, root *search.Key) (store.UID, error) {
	names, err := s.sourceMailboxes(ctx, from)
	if err != nil {
		return 0, err
	}
	m := &multiSearched{octets: s.srv.cfg.Limits.SearchOctets, seen: make(map[mailboxKey]bool)}
	m.only = from.selected && len(names) == 0 || !from.selected && len(names) == 1
	if from.selected {
		if err := s.searchSelected(ctx, cmd, m, ret, root); err != nil {
			return 0, err
		}
	}
	for _, name := range names {
		if m.octets <= 0 {
			return 0, search.ErrTooMuch
		}
		if err := s.searchNamed(ctx, cmd, name, m, ret, root); err != nil && !unsearchable(err) {
			return 0, err
		}
	}
	return m.lowest, nil
}

// multiSearched is how far an ESEARCH has come.
type multiSearched struct {
	seen     map[mailboxKey]bool
	octets   int64 // that may still be read
	messages int   // that were looked at
	only     bool  // there is but one mailbox
	lowest   store.UID
}

// within keeps a search of one mailbox within the limit of messages. Of several mailboxes
// no UID could say how far it came, so these are refused where the limit is passed.
func (m *multiSearched) within(s *session, root *search.Key, v *store.View) error {
	limit := s.srv.cfg.Limits.Messages
	if limit == 0 {
		return nil
	}
	if m.only {
		m.lowest = s.cutSearch(root, v)
		return nil
	}
	_, n := looksAt(root, v, limit-m.messages)
	m.messages += n
	return s.withinLimit(m.messages)
}

// searchSelected searches the selected mailbox.
func (s *session) searchSelected(ctx context.Context, cmd *command, m *multiSearched, ret *returns, root *search.Key) error {
	m.seen[keyOf(s.view)] = true
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := m.within(s, root, s.view); err != nil {
		return err
	}
	e := s.searching(cmd, root)
	name, err := s.selectedName(ctx)
	if err != nil {
		return err
	}
	f, err := s.searchSource(ctx, cmd, e, s.view, name, ret, root)
	if err != nil {
		return err
	}
	if ret.save {
		s.saved = uidSet(f.kept(ret), s.view)
	}
	m.octets -= e.Octets()
	return nil
}

// mailboxKey is what a mailbox is whatever it is called.
type mailboxKey struct {
	account store.AccountID
	id      store.MailboxID
}

func keyOf(v *store.View) mailboxKey { return mailboxKey{v.Mailbox().Account, v.Mailbox().ID} }

// selectedName is the selected mailbox's name as the user writes it, also when it
// has been renamed since it was selected.
func (s *session) selectedName(ctx context.Context) (string, error) {
	owner, _ := foreign(s.opened)
	boxes, err := s.mailboxesOf(ctx, owner)
	for _, box := range boxes {
		if (mailboxKey{box.Account, box.ID}) == keyOf(s.view) {
			return owner + box.Name, nil
		}
	}
	return s.opened, err // an alias
}

// unsearchable says whether an error means that the user cannot search a mailbox, which
// is then as good as not there.
func unsearchable(err error) bool {
	return isMissing(err) || errors.Is(err, store.ErrNoRight) || errors.Is(err, store.ErrNotSelectable)
}

// searchNamed searches a mailbox that is opened for it.
func (s *session) searchNamed(ctx context.Context, cmd *command, name string, m *multiSearched, ret *returns, root *search.Key) error {
	ref, err := s.resolve(ctx, name)
	if err != nil {
		return err
	}
	view, err := s.openMailbox(ctx, ref, true)
	if err != nil {
		return err
	}
	defer view.Close()
	if m.seen[keyOf(view)] {
		return nil
	}
	m.seen[keyOf(view)] = true
	if err := view.Load(ctx); err != nil {
		return err
	}
	if err := m.within(s, root, view); err != nil {
		return err
	}
	o := s.searchOptions(cmd, view)
	o.Octets = m.octets
	e := search.New(view, root, o)
	_, err = s.searchSource(ctx, cmd, e, view, name, ret, root)
	m.octets -= e.Octets()
	return err
}

// searchSource searches one mailbox and tells what it found, if anything.
func (s *session) searchSource(ctx context.Context, cmd *command, e *search.Search, v *store.View, name string, ret *returns, root *search.Key) (*findings, error) {
	var f findings
	if err := f.search(ctx, e, ret); err != nil || !f.any || !ret.tells() {
		return &f, err
	}
	modSeq := store.ModSeq(0)
	if root.Has(search.ModSeq) {
		modSeq = f.modSeq(ret, v)
	}
	c := strconv.AppendQuote([]byte("(TAG "), cmd.tag)
	c = s.appendMailbox(append(c, " MAILBOX "...), name)
	c = strconv.AppendUint(append(c, " UIDVALIDITY "...), uint64(v.State().UIDValidity), 10)
	s.tellExtended(append(c, ')'), true, ret, &f, numbering(v, true), modSeq)
	return &f, nil
}

// sourceMailboxes returns the names of the mailboxes besides the selected one, each
// once.
func (s *session) sourceMailboxes(ctx context.Context, from *sources) (names []string, err error) {
	seen := make(map[string]bool)
	for _, src := range from.others {
		some := []string{src.name}
		switch src.kind {
		case "INBOXES":
			some = []string{"INBOX"}
		case "SUBSCRIBED":
			some, err = s.srv.cfg.Store.Subscriptions(ctx, s.user.Account)
		case "PERSONAL":
			some, err = s.below(ctx, "", true)
		case "SUBTREE", "SUBTREE-ONE":
			some, err = s.below(ctx, src.name, src.kind == "SUBTREE")
		}
		if err != nil {
			return nil, err
		}
		for _, name := range some {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// below lists a name and those below it that can be selected, all or those one level
// down; "" is above all of the user's own.
func (s *session) below(ctx context.Context, name string, deep bool) (names []string, err error) {
	owner, root := foreign(name)
	boxes, err := s.mailboxesOf(ctx, owner)
	if err != nil {
		return nil, err
	}
	for _, box := range boxes {
		rest, under := strings.CutPrefix(box.Name, root+"/")
		if root == "" {
			rest, under = box.Name, true
		}
		if box.Selectable && (box.Name == root || under && (deep || !strings.Contains(rest, "/"))) {
			names = append(names, owner+box.Name)
		}
	}
	return names, nil
}
