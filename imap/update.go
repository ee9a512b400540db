package imap

import (
	"context"
	"errors"

	"tripost/store"
)

// tellChanges tells the client what others have changed in the selected mailbox
// since it was last told. With hold, messages that were removed keep their numbers
// until a later command: RFC 3501 section 7.4.1 forbids EXPUNGE in the responses
// to FETCH, STORE and SEARCH, whose numbers it would shift.
//
// When the mailbox has been removed, or may no longer be read, the client gets an
// untagged OK [CLOSED], and the session goes back to the authenticated state:
// commands that need a mailbox are answered NO [CLOSED] until another is selected.
// (The code is that of RFC 9051 section 7.1; RFC 2180 section 3 would also allow to
// end the connection, which the client's other business need not suffer.)
func (s *session) tellChanges(ctx context.Context, hold bool) error {
	if s.view == nil || !s.stale && (!s.view.Changed() || !s.wantsChanges()) {
		return nil
	}
	_, err := s.refresh(ctx, hold)
	return err
}

// refresh brings the view to the present and tells what that changed. It returns
// the sequence numbers of the messages whose flags were told.
func (s *session) refresh(ctx context.Context, hold bool) (flags []int, err error) {
	had := s.view.Len()
	changes, err := s.view.Refresh(ctx, hold)
	switch {
	case errors.Is(err, store.ErrNoMailbox), errors.Is(err, store.ErrNoRight),
		errors.Is(err, store.ErrNotSelectable), errors.Is(err, store.ErrTooLate):
		s.lose()
		return nil, nil
	case err != nil:
		// The command itself is done and will be answered; the changes are
		// told when they can be read.
		s.errorToResponse(err)
		return nil, nil
	}
	s.stale = changes.Pending
	s.tell(&changes)
	return changes.Flags, s.fetchArrived(ctx, had-len(changes.Expunged)+1)
}

// lose gives up a mailbox that cannot be followed any more.
func (s *session) lose() {
	s.deselect()
	s.lost = true
	s.untagged("OK", "CLOSED", "The selected mailbox is no longer there")
}

// tell writes the changes in the order in which the view made them.
func (s *session) tell(c *store.Changes) {
	s.tellExpunged(c)
	if c.Exists {
		s.counted(s.view.Len(), "EXISTS")
	}
	if recent := s.view.Recent(); recent != s.recent && c.Exists && !s.has(featureRev2) {
		s.recent = recent
		s.counted(recent, "RECENT")
	}
	s.tellRights()
	s.tellKeywords()
	if s.wantsFlags() {
		s.tellFlags(c.Flags, fetchFlags|fetchUID)
	}
}

// tellKeywords writes FLAGS when the mailbox has got keywords that the client does
// not know yet.
func (s *session) tellKeywords() {
	if len(s.view.Keywords()) != s.keywords {
		s.tellFlagNames()
	}
}

// tellRights writes what has become of FLAGS, PERMANENTFLAGS, READ-WRITE and
// READ-ONLY when the user's rights in the selected mailbox have changed. RFC 4314
// section 5.1.1.
func (s *session) tellRights() {
	had := s.rights
	if s.view.ReadOnly() || had == s.view.Mailbox().Rights {
		return
	}
	s.tellFlagNames()
	switch now := s.writable(); {
	case now && had&changing == 0:
		s.untagged("OK", "READ-WRITE", "The mailbox can be changed now")
	case !now && had&changing != 0:
		s.untagged("OK", "READ-ONLY", "The mailbox can only be read now")
	}
}
