package imap

import (
	"context"
	"errors"

	"tripost/store"
)

// expunge answers EXPUNGE, and UID EXPUNGE for the messages named only. The
// EXPUNGE responses are told with the other changes. RFC 3501 section 6.4.3,
// RFC 4315 section 2.1.
func (s *session) expunge(ctx context.Context, cmd *command) (completion, error) {
	var set []numRange
	if cmd.uid {
		cmd.args.space()
		set = cmd.args.set(s.srv.cfg.Limits.SetRanges)
	}
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	if s.view.ReadOnly() {
		return completion{}, store.ErrReadOnlyView
	}
	var uids store.UIDSet
	var lowest store.UID
	if cmd.uid {
		q, err := s.messages(ctx, true, set)
		if err != nil {
			return completion{}, err
		}
		if len(q) == 0 {
			return ok("No such messages"), nil
		}
		if s.srv.cfg.Limits.Messages > 0 {
			q, lowest = s.cutDeleted(q)
		}
		uids = uidSet(q, s.view)
	}
	s.stale = true // also when it fails: it may have removed some
	if _, err := s.view.Expunge(ctx, uids, false); err != nil {
		return completion{}, err
	}
	return s.asFarAs(ok("Done"), lowest), nil
}

// tellExpunged writes EXPUNGE, or VANISHED in its place to who has enabled it (RFC
// 7162 section 3.2.10.2).
func (s *session) tellExpunged(c *store.Changes) {
	if s.has(featureQresync | featureUIDOnly) {
		s.tellVanished("", c.ExpungedUIDs)
		s.modSeqs.vanished = s.has(featureQresync) && len(c.ExpungedUIDs) > 0
		return
	}
	for _, seq := range c.Expunged {
		s.counted(seq, "EXPUNGE")
	}
}

// closeMailbox answers CLOSE: it removes what is marked deleted, in silence, if
// the mailbox is open for writing and the user may. RFC 3501 section 6.4.2,
// RFC 4314 section 4.
func (s *session) closeMailbox(ctx context.Context, cmd *command) (completion, error) {
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	defer s.deselect()
	if s.view.ReadOnly() {
		return ok("Closed"), nil
	}
	_, err := s.view.Expunge(ctx, nil, false)
	if err != nil && !errors.Is(err, store.ErrNoRight) && !errors.Is(err, store.ErrNoMailbox) {
		return completion{}, err
	}
	return ok("Closed"), nil
}

// unselect leaves the mailbox as it is. RFC 3691.
func (s *session) unselect(_ context.Context, cmd *command) (completion, error) {
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	s.deselect()
	return ok("Unselected"), nil
}
