package imap

import (
	"context"

	"tripost/store"
)

// An account that several people share has an individual name for each of them. Who
// signs in by one sees of INBOX what is for that name: numbers without gaps, UIDs
// the mailbox's own. Other mailboxes are shared by all of them.

// individual returns the name by which a mailbox is filtered, "" for none.
func (s *session) individual(ref store.MailboxRef) string {
	if ref.Account == s.user.Account && canonicalName(ref.Name) == "INBOX" {
		return s.only
	}
	return ""
}

// openMailbox opens a mailbox, or the part of it that is for the session.
func (s *session) openMailbox(ctx context.Context, ref store.MailboxRef, readOnly bool) (*store.View, error) {
	if name := s.individual(ref); name != "" {
		return s.srv.cfg.Store.OpenIndividual(ctx, s.user, ref, name, readOnly)
	}
	return s.srv.cfg.Store.Open(ctx, s.user, ref, readOnly)
}

// mailboxState returns a mailbox with its counters, which are those of the part
// that is for the session. See [store.Store.Mailbox].
func (s *session) mailboxState(ctx context.Context, ref store.MailboxRef) (store.Mailbox, store.State, error) {
	box, state, err := s.srv.cfg.Store.Mailbox(ctx, s.user, ref)
	if s.individual(ref) == "" || err != nil {
		return box, state, err
	}
	part, err := s.openMailbox(ctx, ref, true)
	if err != nil {
		return box, state, err
	}
	defer part.Close()
	return box, part.State(), nil
}
