package imap

import (
	"context"
	"strconv"

	"tripost/store"
)

// copy answers COPY and UID COPY: all messages or none. RFC 3501 section 6.4.7,
// COPYUID of RFC 4315 section 3.
func (s *session) copy(ctx context.Context, cmd *command) (completion, error) {
	q, target, err := s.copyArguments(ctx, cmd)
	if err != nil {
		return completion{}, err
	}
	if len(q) == 0 {
		return ok("No such messages"), nil
	}
	set := uidSet(q, s.view)
	if err := s.copyWithinLimit(q); err != nil {
		return completion{}, err
	}
	copied, err := s.view.Copy(ctx, set, target)
	if err != nil {
		return completion{}, tryCreate(err)
	}
	s.stale = true // they may have been copied into the selected mailbox
	s.ownMessages(target, copied.Target)
	if len(copied.Source) == 0 {
		return ok("Nothing copied"), nil
	}
	return okCode(copyUID(copied), "Copied"), nil
}

// move answers MOVE and UID MOVE. COPYUID comes before the EXPUNGE responses, which
// are told with the other changes. RFC 6851 section 4.3.
func (s *session) move(ctx context.Context, cmd *command) (completion, error) {
	q, target, err := s.copyArguments(ctx, cmd)
	if err != nil {
		return completion{}, err
	}
	if s.view.ReadOnly() {
		return completion{}, store.ErrReadOnlyView
	}
	if len(q) == 0 {
		return ok("No such messages"), nil
	}
	q, lowest := s.cut(q)
	moved, err := s.view.Move(ctx, uidSet(q, s.view), target)
	if err != nil {
		return completion{}, tryCreate(err)
	}
	s.stale = true
	s.ownMessages(target, moved.Target)
	if len(moved.Source) == 0 {
		return s.asFarAs(ok("Nothing moved"), lowest), nil
	}
	s.untagged("OK", copyUID(moved), "Moved")
	return s.asFarAs(ok("Done"), lowest), nil
}

// copyArguments parses a set and a mailbox, and finds both.
func (s *session) copyArguments(ctx context.Context, cmd *command) (seqSet, store.MailboxRef, error) {
	p := &cmd.args
	p.space()
	set := p.set(s.srv.cfg.Limits.SetRanges)
	p.space()
	name := p.mailbox()
	if err := p.end(); err != nil {
		return nil, store.MailboxRef{}, err
	}
	q, err := s.messages(ctx, cmd.uid, set)
	if err != nil {
		return nil, store.MailboxRef{}, err
	}
	target, err := s.resolve(ctx, name)
	return q, target, tryCreate(err)
}

// copyUID is the response code COPYUID.
func copyUID(r store.CopyResult) string {
	b := append([]byte(nil), "COPYUID "...)
	b = strconv.AppendUint(b, uint64(r.UIDValidity), 10)
	b = r.Source.Append(append(b, ' '))
	b = r.Target.Append(append(b, ' '))
	return string(b)
}
