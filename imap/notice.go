package imap

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"tripost/store"
)

// noticed is how the mailboxes stand of which a client wants to hear.
type noticed struct {
	names      []string // in order
	boxes      map[string]*store.Overview
	subscribed map[string]bool
	server     []store.MetadataEntry
}

// notifyOwners are whose mailboxes are to be looked at, as in names: "" and "~boss/".
func (n *notify) owners(subscribed []string) []string {
	owners := map[string]bool{}
	for _, g := range n.groups {
		switch names := g.names; g.filter {
		case "INBOXES", "PERSONAL":
			owners[""] = true
		case "SUBSCRIBED":
			owners[""] = true
			names = subscribed
			fallthrough
		default:
			for _, name := range names {
				owner, _ := foreign(name)
				owners[owner] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(owners))
}

// errNotifyMuch is the answer where too much is to be watched. RFC 5465 section 5.8.
var errNotifyMuch = refuse(no("NOTIFICATIONOVERFLOW", "That is too much to watch"))

// notifyAccounts finds the accounts that are to be watched: the user's own, which
// has the subscriptions, among them.
func (s *session) notifyAccounts(ctx context.Context, n *notify) ([]store.AccountID, error) {
	subscriptions, err := s.srv.cfg.Store.Subscriptions(ctx, s.user.Account)
	if err != nil {
		return nil, err
	}
	list := []store.AccountID{s.user.Account}
	for _, owner := range n.owners(subscriptions) {
		if owner == "" {
			continue
		}
		ref, err := s.resolve(ctx, owner+"INBOX")
		if isMissing(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if list = append(list, ref.Account); len(list) > maxNotifyAccounts {
			return nil, errNotifyMuch
		}
	}
	return list, nil
}

// lookOver reads how everything stands now of which groups speak.
func (s *session) lookOver(ctx context.Context, n *notify) (noticed, error) {
	now := noticed{boxes: map[string]*store.Overview{}, subscribed: map[string]bool{}}
	subscriptions, err := s.srv.cfg.Store.Subscriptions(ctx, s.user.Account)
	if err != nil {
		return now, err
	}
	for _, name := range subscriptions {
		now.subscribed[name] = true
	}
	for _, owner := range n.owners(subscriptions) {
		ref, err := s.resolve(ctx, owner+"INBOX")
		if isMissing(err) {
			continue
		}
		if err != nil {
			return now, err
		}
		boxes, err := s.srv.cfg.Store.Overview(ctx, s.user, ref.Account, n.wants(eventMetadata))
		if err != nil {
			return now, err
		}
		for i := range boxes {
			name := owner + boxes[i].Name
			if box := (store.MailboxRef{Account: ref.Account, Name: boxes[i].Name}); s.individual(box) != "" {
				if _, boxes[i].State, err = s.mailboxState(ctx, box); err != nil {
					return now, err
				}
			}
			now.names = append(now.names, name)
			now.boxes[name] = &boxes[i]
		}
		if len(now.names) > maxNotifyMailboxes {
			return now, errNotifyMuch
		}
	}
	if n.wants(eventServerMetadata) {
		now.server, err = s.srv.cfg.Store.Metadata(ctx, s.user, store.MailboxRef{})
	}
	return now, err
}

// tellNotices tells what has happened in mailboxes other than the selected one.
func (s *session) tellNotices(ctx context.Context) error {
	n := s.notify
	if n == nil {
		return nil
	}
	defer func() { n.ownNames = nil }() // a commit is noticed before the command that made it ends
	if !n.dirty.Swap(false) {
		return nil
	}
	now, err := s.lookOver(ctx, n)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.errorToResponse(err)
		s.stopNotify()
		s.notify = new(notify) // as after NOTIFY NONE
		s.untagged("OK", "NOTIFICATIONOVERFLOW", "Notifications have ended")
		return nil
	}
	old := n.seen
	n.seen = now
	s.tellNames(&old, &now)
	for _, name := range now.names {
		if before := old.boxes[name]; before != nil {
			s.tellNotice(name, before, now.boxes[name], n.events(name, now.subscribed[name]))
		}
	}
	s.tellMetadataChanges(n, &old, &now)
	return nil
}

// isSelected says whether a mailbox is the selected one, of which groups do not
// speak.
func (s *session) isSelected(m *store.Overview) bool {
	if s.view == nil {
		return false
	}
	box := s.view.Mailbox()
	return box.Account == m.Account && box.ID == m.ID
}

// noticeItems are the STATUS items that tell of events.
func (s *session) noticeItems(e notifyEvents) []string {
	var items []string
	if e&eventNew != 0 {
		items = append(items, "MESSAGES", "UIDNEXT")
	}
	items = append(items, "UIDVALIDITY")
	if e&eventFlags != 0 {
		items = append(items, "UNSEEN")
	}
	if s.has(featureCondstore) {
		items = append(items, "HIGHESTMODSEQ")
	}
	return items
}

// tellNotice tells what has happened to the messages of one mailbox. RFC 5465
// sections 5.1 to 5.3.
func (s *session) tellNotice(name string, old, now *store.Overview, events notifyEvents) {
	if events&messageEvents == 0 || s.isSelected(now) {
		return
	}
	readable := now.Rights&store.RightRead != 0
	if readable != (old.Rights&store.RightRead != 0) {
		attrs := `\NoAccess`
		if readable {
			attrs = attributes(&now.Mailbox)
		}
		s.listLine("LIST", attrs, name, "")
	}
	was, is := &old.State, &now.State
	switch {
	case !readable || !now.Selectable:
	case was.UIDNext != is.UIDNext || was.Exists != is.Exists || was.UIDValidity != is.UIDValidity:
		s.tellStatus(name, &now.Mailbox, is, s.noticeItems(events))
	case events&eventFlags == 0 || was.HighestModSeq == is.HighestModSeq:
	case s.has(featureCondstore) || was.Unseen != is.Unseen:
		s.tellStatus(name, &now.Mailbox, is, s.noticeItems(eventFlags))
	}
}

// tellNames tells of names that came, went or changed, and of subscriptions. RFC
// 5465 sections 5.4 and 5.5.
func (s *session) tellNames(old, now *noticed) {
	n := s.notify
	if !n.wants(eventName | eventSubscription) {
		return
	}
	type number struct {
		account store.AccountID
		mailbox store.MailboxID
	}
	before := map[number]string{}
	for name, m := range old.boxes {
		before[number{m.Account, m.ID}] = name
	}
	renamed := map[string]string{} // old names by new ones
	gone := map[string]bool{}      // old names that are new ones now
	for _, name := range now.names {
		m := now.boxes[name]
		if from := before[number{m.Account, m.ID}]; from != "" && from != name {
			renamed[name], gone[from] = from, true
		}
	}
	tell := func(name, from string, e notifyEvents) {
		if !n.ownNames[name] && n.events(name, now.subscribed[name] || old.subscribed[name])&e != 0 {
			s.tellName(name, from, now)
		}
	}
	for _, name := range now.names {
		m, was := now.boxes[name], old.boxes[name]
		from := renamed[name]
		switch {
		case from != "":
			if top := renamed[parentOf(name)]; top == "" || top != parentOf(from) {
				tell(name, from, eventName)
			}
		case was == nil, was.ID != m.ID && name != "INBOX", was.Children != m.Children, was.Selectable != m.Selectable:
			tell(name, "", eventName)
		}
	}
	for _, name := range old.names {
		if now.boxes[name] == nil && !gone[name] {
			tell(name, "", eventName)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now.subscribed)) {
		if !old.subscribed[name] {
			tell(name, "", eventSubscription)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old.subscribed)) {
		if !now.subscribed[name] {
			tell(name, "", eventSubscription)
		}
	}
}

// tellName writes LIST for a name as it is now.
func (s *session) tellName(name, from string, now *noticed) {
	attrs := `\NonExistent`
	if m := now.boxes[name]; m != nil {
		attrs = attributes(&m.Mailbox)
	}
	if now.subscribed[name] {
		attrs += ` \Subscribed`
	}
	s.listLine("LIST", attrs, name, s.oldName(from))
}

// changedEntries names the entries that are not the same.
func changedEntries(old, now []store.MetadataEntry) (names []string) {
	have := map[string][]byte{}
	for _, e := range old {
		have[e.Name] = e.Value
	}
	for _, e := range now {
		if value, found := have[e.Name]; !found || !bytes.Equal(value, e.Value) {
			names = append(names, e.Name)
		}
		delete(have, e.Name)
	}
	return append(names, slices.Sorted(maps.Keys(have))...)
}

// tellChangedMetadata writes METADATA with names of entries. RFC 5464 section 4.4.2.
func (s *session) tellChangedMetadata(name string, entries []string) {
	b := s.appendMailbox(append(s.c.Out(), "* METADATA "...), name)
	for _, e := range entries {
		b = appendAstring(append(b, ' '), []byte(e))
	}
	s.c.Done(append(b, "\r\n"...))
}

// fetchArrived tells of the messages from a number on what NOTIFY asked for, but for those
// that this session has put there.
func (s *session) fetchArrived(ctx context.Context, from int) error {
	if s.notify == nil || s.notify.plan == nil || s.view == nil || from > s.view.Len() {
		return nil
	}
	var arrived seqSet
	for seq, m := range s.view.Range(from, s.view.Len()) {
		switch n := len(arrived); {
		case s.notify.own.Contains(m.UID):
		case n > 0 && arrived[n-1].hi == seq-1:
			arrived[n-1].hi = seq
		default:
			arrived = append(arrived, seqRange{seq, seq})
		}
	}
	s.notify.own = nil
	f := fetcher{s: s, plan: s.notify.plan}
	return f.run(ctx, arrived)
}

// ownMessages notes which messages this session puts into the selected mailbox: it need
// not be told what they are. RFC 5465 section 5.2.
func (s *session) ownMessages(target store.MailboxRef, uids store.UIDSet) {
	if s.notify == nil || s.notify.plan == nil || s.view == nil {
		return
	}
	if box := s.view.Mailbox(); box.Account == target.Account && box.Name == target.Name {
		s.notify.own = uids
	}
}

// ownNames notes what names of the user's own this session changes, of which, and of whose
// parents, it need not be told. RFC 5465 section 5.
func (s *session) ownNames(a store.AccountID, names ...string) {
	if s.notify == nil || a != s.user.Account {
		return
	}
	if s.notify.ownNames == nil {
		s.notify.ownNames = make(map[string]bool)
	}
	for _, name := range names {
		for ; name != ""; name = parentOf(name) {
			s.notify.ownNames[name] = true
		}
	}
}
