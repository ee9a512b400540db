package imap

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"tripost/store"
)

// A client that enables METADATA is told which annotations others have changed: of
// the server, of the user's mailboxes and those subscribed, and of the selected
// one. It is told after its commands, and in IDLE at once. One that has said by
// NOTIFY what it wants to hear of is told that and nothing else. RFC 5464 sections
// 4.1 and 4.4.2.

// watchAnnotations begins to do so.
func (s *session) watchAnnotations(ctx context.Context) error {
	if s.notify != nil {
		return nil
	}
	s.stopAnnotations()
	n := &notify{groups: []notifyGroup{
		{filter: "PERSONAL", events: eventMetadata | eventServerMetadata},
		{filter: "SUBSCRIBED", events: eventMetadata},
	}}
	if s.view != nil && strings.HasPrefix(s.opened, "~") {
		n.groups = append(n.groups, notifyGroup{filter: "MAILBOXES", names: []string{s.opened}, events: eventMetadata})
	}
	if err := s.watch(ctx, n); err != nil {
		n.stop()
		return err
	}
	s.annotations = n
	return nil
}

// followAnnotations watches the mailbox that has just been selected, if it is
// another's.
func (s *session) followAnnotations(ctx context.Context) error {
	if n := s.annotations; n == nil || !strings.HasPrefix(s.opened, "~") || n.events(s.opened, false) != 0 {
		return nil
	}
	return s.watchAnnotations(ctx)
}

func (s *session) stopAnnotations() {
	if s.annotations != nil {
		s.annotations.stop()
		s.annotations = nil
	}
}

// tellAnnotations tells what others have changed since the client was last told.
func (s *session) tellAnnotations(ctx context.Context) error {
	n := s.annotations
	if n == nil || !n.dirty.Swap(false) {
		return nil
	}
	now, err := s.lookOver(ctx, n)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.errorToResponse(err)
		s.stopAnnotations()
		return nil
	}
	old := n.seen
	n.seen = now
	s.tellMetadataChanges(n, &old, &now)
	return nil
}

// tellMetadataChanges tells of annotations that are not as they were.
func (s *session) tellMetadataChanges(n *notify, old, now *noticed) {
	for _, name := range now.names {
		before, m := old.boxes[name], now.boxes[name]
		if before == nil || n.events(name, now.subscribed[name])&eventMetadata == 0 {
			continue
		}
		if changed := changedEntries(before.Metadata, m.Metadata); len(changed) > 0 {
			s.tellChangedMetadata(name, changed)
		}
	}
	if changed := changedEntries(old.server, now.server); len(changed) > 0 {
		s.tellChangedMetadata("", changed)
	}
}

// annotated notes what this session has changed itself, which its client knows.
func (n *notify) annotated(ref store.MailboxRef, entries []store.MetadataEntry) {
	if n == nil {
		return
	}
	if ref.Name == "" {
		n.seen.server = withEntries(n.seen.server, entries)
		return
	}
	for _, m := range n.seen.boxes {
		if m.Account == ref.Account && m.Name == ref.Name {
			m.Metadata = withEntries(m.Metadata, entries)
		}
	}
}

// withEntries returns annotations after some have been set, or removed where there
// is no value.
func withEntries(have, set []store.MetadataEntry) []store.MetadataEntry {
	have = slices.Clone(have)
	for _, e := range set {
		have = slices.DeleteFunc(have, func(old store.MetadataEntry) bool { return old.Name == e.Name })
		if e.Value != nil {
			have = append(have, store.MetadataEntry{Name: e.Name, Value: bytes.Clone(e.Value)})
		}
	}
	return have
}
