package imap

import (
	"context"
	"fmt"
	"strings"

	"tripost/store"
)

// Quota, RFC 9208. Each account is one quota root: "" for the user's own, and for
// another's what names it in mailbox names: "~boss". Quotas are set by the
// administrator's commands, so there is no QUOTA=SET.

// quotaUnit is what STORAGE is counted in, RFC 9208 section 5.1.
const quotaUnit = 1024

// getQuotaRoot tells which quota a mailbox comes under, and how much of it is
// used. It needs the right to read the mailbox. RFC 9208 section 4.1.2.
func (s *session) getQuotaRoot(ctx context.Context, cmd *command) (completion, error) {
	cmd.args.space()
	name := cmd.args.mailbox()
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	ref, err := s.resolve(ctx, name)
	if err != nil {
		return completion{}, err
	}
	box, _, err := s.srv.cfg.Store.Mailbox(ctx, s.user, ref)
	if err != nil {
		return completion{}, err
	}
	if box.Rights&store.RightRead == 0 {
		return completion{}, store.ErrNoRight
	}
	root, _ := foreign(name)
	root = strings.TrimSuffix(root, "/")
	b := s.appendMailbox(append(s.c.Out(), "* QUOTAROOT "...), name)
	b = s.appendMailbox(append(b, ' '), root)
	s.c.Done(append(b, "\r\n"...))
	return s.tellQuota(ctx, root, ref.Account)
}

// getQuota tells how much of a quota is used: the user's own, or that of an account
// in which there is a mailbox that the user may read. RFC 9208 section 4.1.1.
func (s *session) getQuota(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	root := p.name(p.astring())
	if err := p.end(); err != nil {
		return completion{}, err
	}
	if root == "" {
		return s.tellQuota(ctx, root, s.user.Account)
	}
	none := no("NONEXISTENT", "No such quota root")
	if !strings.HasPrefix(root, "~") {
		return none, nil
	}
	ref, err := s.resolve(ctx, root+"/INBOX")
	if err != nil {
		return completion{}, err
	}
	boxes, err := s.srv.cfg.Store.Mailboxes(ctx, s.user, ref.Account)
	if err != nil {
		return completion{}, err
	}
	for i := range boxes {
		if boxes[i].Rights&store.RightRead != 0 {
			return s.tellQuota(ctx, root, ref.Account)
		}
	}
	return none, nil
}

// setQuota is refused: see above. RFC 9208 section 4.1.3.
func (s *session) setQuota(_ context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	p.astring()
	p.space()
	p.list(true, func() {
		p.atom()
		p.space()
		p.number64()
	})
	if err := p.end(); err != nil {
		return completion{}, err
	}
	return no("NOPERM", "Quotas are set by the administrator"), nil
}

// tellQuota writes the QUOTA response, RFC 9208 section 4.2.1, with the resources
// that have a limit.
func (s *session) tellQuota(ctx context.Context, root string, account store.AccountID) (completion, error) {
	usage, err := s.srv.cfg.Store.Usage(ctx, account)
	if err != nil {
		return completion{}, err
	}
	units := func(octets int64) int64 { return (octets + quotaUnit - 1) / quotaUnit }
	b := s.appendMailbox(append(s.c.Out(), "* QUOTA "...), root)
	b = append(b, " ("...)
	if usage.OctetLimit > 0 {
		b = fmt.Appendf(b, "STORAGE %d %d ", units(usage.Octets), units(usage.OctetLimit))
	}
	if usage.MessageLimit > 0 {
		b = fmt.Appendf(b, "MESSAGE %d %d ", usage.Messages, usage.MessageLimit)
	}
	b = fmt.Appendf(b, "MAILBOX %d %d)\r\n", usage.Mailboxes, s.srv.cfg.Store.MaxMailboxes())
	s.c.Done(b)
	return ok("Done"), nil
}
