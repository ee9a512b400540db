package imap

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"tripost/store"
)

// isAppendMessage says whether a literal after these arguments of APPEND is the
// message. The only other one is the mailbox name, which comes first.
func isAppendMessage(args []byte) bool { return len(bytes.TrimLeft(args, " ")) > 0 }

// append answers APPEND. What can be refused is refused before the message is
// asked for; then it goes to the store as it comes in. RFC 3501 section 6.3.11,
// APPENDUID of RFC 4315 section 3.
func (s *session) append(ctx context.Context, cmd *command) (completion, error) {
	name, flags, date, err := appendArguments(cmd)
	if err != nil {
		return completion{}, err
	}
	size := cmd.announced.size
	target, err := s.appendTarget(ctx, name, size)
	if err != nil {
		return completion{}, err
	}
	draft, err := s.srv.cfg.Store.Draft(ctx, size)
	if err != nil {
		return completion{}, err
	}
	defer draft.Close()
	if err := s.receive(cmd, draft); err != nil {
		return completion{}, err
	}
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	draft.Finish()
	appended, err := s.srv.cfg.Store.Append(ctx, s.user, target, draft, flags, date)
	if err != nil {
		return completion{}, tryCreate(err)
	}
	s.stale = true // it may have been the selected mailbox
	return okCode(fmt.Sprintf("APPENDUID %d %d", appended.UIDValidity, appended.UID), "Appended"), nil
}

// appendArguments parses what stands before the message.
func appendArguments(cmd *command) (name string, flags store.FlagSet, date time.Time, err error) {
	p := &cmd.args
	p.space()
	name = p.mailbox()
	p.space()
	if p.peek() == '(' {
		flags = p.flagList()
		p.space()
	}
	if p.peek() == '"' {
		date = p.dateTime()
		p.space()
	}
	if p.err == nil && !cmd.pending {
		p.fail("Expected a message literal")
	}
	if lit, n, found := literalHead(p.b[p.i:]); p.err == nil && (!found || n != len(p.b)-p.i || lit != cmd.announced) {
		p.fail("Expected a message literal")
	}
	return name, flags, date, p.err
}

// dateTime consumes a date-time such as "17-Jul-1996 02:44:25 -0700".
func (p *parser) dateTime() time.Time {
	t, err := time.Parse("_2-Jan-2006 15:04:05 -0700", string(p.quoted()))
	if err != nil {
		p.fail("Expected a date such as \"17-Jul-1996 02:44:25 -0700\"")
	}
	return t
}

// appendTarget finds the mailbox and refuses early what would be refused late.
func (s *session) appendTarget(ctx context.Context, name string, size int64) (store.MailboxRef, error) {
	target, err := s.resolve(ctx, name)
	if err != nil {
		return target, tryCreate(err)
	}
	box, _, err := s.srv.cfg.Store.Mailbox(ctx, s.user, target)
	switch {
	case err != nil:
		return target, tryCreate(err)
	case !box.Selectable:
		return target, tryCreate(store.ErrNotSelectable)
	case box.Rights&store.RightInsert == 0:
		return target, store.ErrNoRight
	case size > s.srv.cfg.Limits.Message:
		return target, refuse(no("TOOBIG", fmt.Sprintf("Messages may have %d octets", s.srv.cfg.Limits.Message)))
	case size == 0:
		return target, refuse(no("CANNOT", "A message cannot be empty"))
	}
	usage, err := s.srv.cfg.Store.Usage(ctx, target.Account)
	if err != nil {
		return target, err
	}
	if usage.OctetLimit > 0 && usage.Octets+size > usage.OctetLimit {
		return target, store.ErrOverQuota
	}
	return target, nil
}
