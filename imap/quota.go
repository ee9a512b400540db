package imap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"tripost/store"
)

// Quota, RFC 9208. Each account is one quota root: "" for the user's own, and for
// another's what names it in mailbox names: "~boss". The user's domain is one too,
// where it has a quota: "@company.test". Quotas are set by the administrator's
// commands, so there is no QUOTA=SET.

// quotaUnit is what STORAGE is counted in, RFC 9208 section 5.1.
const quotaUnit = 1024

// getQuotaRoot tells which quota a mailbox comes under, and how much of it is
// used. It needs the right to read the mailbox; one of the user's own need not be
// there yet. RFC 9208 section 4.1.2.
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
	switch {
	case errors.Is(err, store.ErrNoMailbox) && ref.Account == s.user.Account && store.CheckName(ref.Name) == nil:
	case err != nil:
		return completion{}, err
	case box.Rights&store.RightRead == 0:
		return completion{}, store.ErrNoRight
	}
	full, err := s.srv.cfg.Directory.Unaliased(ctx, s.user.Account, name)
	if err != nil {
		return completion{}, err
	}
	root, _ := foreign(full)
	root = strings.TrimSuffix(root, "/")
	b := s.appendMailbox(append(s.c.Out(), "* QUOTAROOT "...), name)
	b = s.appendMailbox(append(b, ' '), root)
	pool, err := s.domainQuota(ctx)
	if err != nil {
		return completion{}, err
	}
	usage, err := s.srv.cfg.Store.Usage(ctx, ref.Account)
	if err != nil {
		return completion{}, err
	}
	shared := limited(pool) && usage.Pool == pool.Pool
	if shared {
		b = s.appendMailbox(append(b, ' '), s.domainRoot())
	}
	s.c.Done(append(b, "\r\n"...))
	s.tellQuota(root, usage)
	if shared {
		s.tellQuota(s.domainRoot(), pool)
	}
	return ok("Done"), nil
}

// domainRoot names the quota root of the user's domain.
func (s *session) domainRoot() string {
	_, domain, _ := strings.Cut(s.user.Name, "@")
	return "@" + domain
}

// domainQuota returns what the accounts of the user's domain hold and may hold.
func (s *session) domainQuota(ctx context.Context) (pool store.Usage, err error) {
	err = s.srv.cfg.Store.View(ctx, func(r *store.Snapshot) error {
		own, err := r.Usage(s.user.Account)
		if err == nil && own.Pool != 0 {
			pool, err = r.PoolUsage(own.Pool)
			pool.Pool = own.Pool
		}
		return err
	})
	return pool, err
}

// limited tells whether there is a quota at all.
func limited(u store.Usage) bool { return u.OctetLimit > 0 || u.MessageLimit > 0 }

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
		return s.tellAccount(ctx, root, s.user.Account)
	}
	none := no("NONEXISTENT", "No such quota root")
	if strings.EqualFold(root, s.domainRoot()) {
		pool, err := s.domainQuota(ctx)
		if err != nil || !limited(pool) {
			return none, err
		}
		s.tellQuota(root, pool)
		return ok("Done"), nil
	}
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
			return s.tellAccount(ctx, root, ref.Account)
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

// tellAccount tells the quota of an account.
func (s *session) tellAccount(ctx context.Context, root string, account store.AccountID) (completion, error) {
	usage, err := s.srv.cfg.Store.Usage(ctx, account)
	if err != nil {
		return completion{}, err
	}
	s.tellQuota(root, usage)
	return ok("Done"), nil
}

// tellQuota writes the QUOTA response, RFC 9208 section 4.2.1, with the resources
// that have a limit: an account has one of names of mailboxes.
func (s *session) tellQuota(root string, usage store.Usage) {
	units := func(octets int64) int64 { return (octets + quotaUnit - 1) / quotaUnit }
	b := s.appendMailbox(append(s.c.Out(), "* QUOTA "...), root)
	b = append(b, " ("...)
	if usage.OctetLimit > 0 {
		b = fmt.Appendf(b, "STORAGE %d %d ", units(usage.Octets), units(usage.OctetLimit))
	}
	if usage.MessageLimit > 0 {
		b = fmt.Appendf(b, "MESSAGE %d %d ", usage.Messages, usage.MessageLimit)
	}
	if usage.Mailboxes > 0 {
		b = fmt.Appendf(b, "MAILBOX %d %d ", usage.Mailboxes, s.srv.cfg.Store.MaxMailboxes())
	}
	s.c.Done(append(bytes.TrimSuffix(b, []byte(" ")), ")\r\n"...))
}
