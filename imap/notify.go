package imap

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"tripost/store"
)

// NOTIFY, RFC 5465: the client says once of which events in which mailboxes it wants
// to hear, and is told of them at any time.

// notifyEvents is a set of events, RFC 5465 section 5.
type notifyEvents uint8

const (
	eventNew notifyEvents = 1 << iota
	eventExpunge
	eventFlags
	eventName
	eventSubscription
	eventMetadata
	eventServerMetadata

	messageEvents = eventNew | eventExpunge | eventFlags
)

var eventNames = []struct {
	name  string
	event notifyEvents
}{
	{"MessageNew", eventNew}, {"MessageExpunge", eventExpunge}, {"FlagChange", eventFlags},
	{"MailboxName", eventName}, {"SubscriptionChange", eventSubscription},
	{"MailboxMetadataChange", eventMetadata}, {"ServerMetadataChange", eventServerMetadata},
}

// Bounds of one NOTIFY.
const (
	maxNotifyGroups    = 50
	maxNotifyNames     = 500  // in all groups
	maxNotifyMailboxes = 2000 // of the accounts that are looked at
	maxNotifyAccounts  = 20
)

// notify is what a client wants to hear of.
type notify struct {
	named    bool         // some group speaks of the selected mailbox
	selected notifyEvents // in it; 0: none
	delayed  bool         // EXPUNGE there waits for a command
	plan     *fetchPlan   // what is told of new messages there, or nil
	groups   []notifyGroup

	own      store.UIDSet    // messages that the session has just put into the selected mailbox
	ownNames map[string]bool // names that it has just changed

	dirty atomic.Bool // something may have changed in the accounts that are watched
	stops []func()    // of their watches
	seen  noticed     // what the client has been told

	view   *store.View // that is watched, or nil
	unview func()
}

// notifyGroup is what is asked for of some mailboxes other than the selected one.
type notifyGroup struct {
	filter string   // INBOXES, PERSONAL, SUBSCRIBED, SUBTREE, MAILBOXES
	names  []string // of the last two
	events notifyEvents
}

// covers says whether a group speaks of a mailbox. Rules and addresses can put mail
// into any mailbox, so that all of the user's are inboxes (RFC 5465 section 6.3).
func (g *notifyGroup) covers(name string, subscribed bool) bool {
	switch g.filter {
	case "INBOXES", "PERSONAL":
		return !strings.HasPrefix(name, "~")
	case "SUBSCRIBED":
		return subscribed
	case "MAILBOXES":
		return slices.Contains(g.names, name)
	}
	return slices.ContainsFunc(g.names, func(top string) bool {
		return name == top || strings.HasPrefix(name, top) && name[len(top)] == '/'
	})
}

// events are those that are asked for of a mailbox.
func (n *notify) events(name string, subscribed bool) (e notifyEvents) {
	for i := range n.groups {
		if n.groups[i].covers(name, subscribed) {
			e |= n.groups[i].events
		}
	}
	return e
}

// wants says whether any group asks for one of the events.
func (n *notify) wants(e notifyEvents) bool {
	return slices.ContainsFunc(n.groups, func(g notifyGroup) bool { return g.events&e != 0 })
}

// setNotify answers NOTIFY. RFC 5465 section 3.1.
func (s *session) setNotify(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	switch p.word() {
	case "NONE":
		if err := p.end(); err != nil {
			return completion{}, err
		}
		s.stopNotify()
		s.stopAnnotations()
		s.notify = new(notify)
		return ok("You will hear of nothing"), nil
	case "SET":
	default:
		p.fail("Expected SET or NONE")
	}
	p.space()
	status := p.acceptWord("STATUS")
	if status {
		p.space()
	}
	n, err := p.notifyGroups(s.srv.cfg.Limits.FetchItems)
	if err != nil {
		return completion{}, err
	}
	s.stopNotify()
	s.stopAnnotations()
	s.notify = n
	s.stale = s.view != nil // what has come together is told now
	return s.beginNotify(ctx, status)
}

// notifyGroups consumes groups to the end of the command.
func (p *parser) notifyGroups(items int) (*notify, error) {
	n := new(notify)
	names, supported := maxNotifyNames, true
	for first := true; p.err == nil && (first || p.accept(' ')); first = false {
		p.notifyGroup(n, items, &names, &supported)
		if len(n.groups) > maxNotifyGroups || names < 0 {
			return nil, refuse(no("NOTIFICATIONOVERFLOW", "That is too much to watch"))
		}
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	if !supported {
		return nil, refuse(no("BADEVENT ("+supportedEvents()+")", "Some of these events are not known here"))
	}
	return n, nil
}

func supportedEvents() string {
	var names []string
	for _, e := range eventNames {
		names = append(names, e.name)
	}
	return strings.Join(names, " ")
}

// notifyGroup consumes one group. names is how many mailboxes may still be named.
func (p *parser) notifyGroup(n *notify, items int, names *int, supported *bool) {
	p.expect('(')
	g := notifyGroup{filter: p.word()}
	switch g.filter {
	case "SELECTED", "SELECTED-DELAYED":
		if n.named {
			p.fail("The selected mailbox twice")
		}
		n.named = true
	case "INBOXES", "PERSONAL", "SUBSCRIBED":
	case "SUBTREE", "MAILBOXES":
		p.space()
		one := func() { g.names = append(g.names, p.mailbox()); *names-- }
		if p.peek() == '(' {
			p.list(false, one)
		} else {
			one()
		}
	default:
		p.fail("Unknown mailboxes")
	}
	p.space()
	var plan *fetchPlan
	g.events, plan = p.notifyEvents(items, supported)
	p.expect(')')
	switch both := eventNew | eventExpunge; {
	case p.err != nil:
	case g.events&both != 0 && g.events&both != both, g.events&eventFlags != 0 && g.events&both == 0:
		p.fail("MessageNew and MessageExpunge are only to be had together, FlagChange only with them")
	case !strings.HasPrefix(g.filter, "SELECTED"):
		if plan != nil {
			p.fail("Items of new messages are told of the selected mailbox alone")
		}
		n.groups = append(n.groups, g)
	case g.events&^messageEvents != 0:
		p.fail("Of the selected mailbox there are only events of messages")
	default:
		n.selected, n.plan, n.delayed = g.events, plan, g.filter == "SELECTED-DELAYED"
	}
}

// notifyEvents consumes NONE or a list of events, with or without parentheses, as
// the RFC's examples have both.
func (p *parser) notifyEvents(items int, supported *bool) (events notifyEvents, plan *fetchPlan) {
	if p.acceptWord("NONE") {
		return 0, nil
	}
	one := func() {
		name := p.word()
		i := slices.IndexFunc(eventNames, func(e struct {
			name  string
			event notifyEvents
		}) bool {
			return strings.EqualFold(e.name, name)
		})
		if i < 0 {
			*supported = *supported && p.err != nil
			return
		}
		events |= eventNames[i].event
		if rest := p.b[p.i:]; eventNames[i].event == eventNew && len(rest) > 1 && rest[0] == ' ' && rest[1] == '(' {
			p.i++
			made := p.fetchPlan(items)
			made.marks = false
			plan = &made
		}
	}
	if p.peek() == '(' {
		p.list(false, one)
		return events, plan
	}
	for one(); p.err == nil && p.accept(' '); {
		one()
	}
	return events, plan
}

// beginNotify looks over what is to be watched, and with status tells how it stands.
func (s *session) beginNotify(ctx context.Context, status bool) (completion, error) {
	n := s.notify
	if len(n.groups) == 0 {
		return ok("Done"), nil
	}
	if err := s.watch(ctx, n); err != nil {
		s.stopNotify()
		return completion{}, err
	}
	for _, name := range n.seen.names {
		m := n.seen.boxes[name]
		events := n.events(name, n.seen.subscribed[name])
		switch {
		case events&messageEvents == 0 || !m.Selectable || s.isSelected(m):
		case m.Rights&store.RightRead == 0:
			s.listLine("LIST", `\NoAccess`, name, "")
		case status:
			s.tellStatus(name, &m.Mailbox, &m.State, s.firstItems(events))
		}
	}
	return ok("Done"), nil
}

// firstItems are those of [session.noticeItems] that STATUS tells at the beginning: who
// wants to hear of flags needs the mod-sequence to begin with, asked for before or not.
// RFC 5465 section 3.1.
func (s *session) firstItems(events notifyEvents) []string {
	items := s.noticeItems(events | eventNew)
	if events&eventFlags != 0 && !s.has(featureCondstore) {
		items = append(items, "HIGHESTMODSEQ")
	}
	return items
}

// watch begins to watch the accounts that groups speak of, and looks them over.
func (s *session) watch(ctx context.Context, n *notify) error {
	accounts, err := s.notifyAccounts(ctx, n)
	if err != nil {
		return err
	}
	for _, a := range accounts { // before the first look, so that nothing is missed
		n.stops = append(n.stops, s.srv.cfg.Store.WatchAccount(a, func() {
			n.dirty.Store(true)
			s.c.Wake()
		}))
	}
	n.seen, err = s.lookOver(ctx, n)
	return err
}

// stop ends the watches of accounts.
func (n *notify) stop() {
	for _, stop := range n.stops {
		stop()
	}
	n.stops = nil
}

// stopNotify ends the watches, and goes back to how it is without NOTIFY.
func (s *session) stopNotify() {
	if s.notify == nil {
		return
	}
	s.unwatchSelected()
	s.notify.stop()
	s.notify = nil
}

// wantsChanges says whether the client is to hear of changes in the selected mailbox
// that others make.
func (s *session) wantsChanges() bool { return s.notify == nil || s.notify.selected != 0 }

// wantsFlags says so of flags.
func (s *session) wantsFlags() bool { return s.notify == nil || s.notify.selected&eventFlags != 0 }

// watchSelected makes changes of the selected mailbox wake the session, where the
// client wants to hear of them at any time. It returns whether there are some that
// came before it began to.
func (s *session) watchSelected() bool {
	n := s.notify
	if n == nil || n.view == s.view {
		return false
	}
	s.unwatchSelected()
	if n.selected == 0 || s.view == nil {
		return false
	}
	n.view, n.unview = s.view, s.view.Watch(s.c.Wake)
	return n.view.Changed()
}

// due says whether there may be something to tell.
func (n *notify) due() bool {
	return n != nil && (n.dirty.Load() || n.view != nil && n.view.Changed())
}

// unwatchSelected must be called before the view is closed.
func (s *session) unwatchSelected() {
	if n := s.notify; n != nil && n.unview != nil {
		n.unview()
		n.view, n.unview = nil, nil
	}
}
