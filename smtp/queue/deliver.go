package queue

import (
	"context"
	"errors"
	"slices"

	"tripost/store"
)

// deliver appends one local copy.
func deliver(tx *store.Tx, c *copyTo, body store.Body) (store.Appended, error) {
	ref := store.MailboxRef{Account: c.account.ID, Name: c.mailbox}
	if ref.Name == "" {
		ref.Name = "INBOX"
	}
	message := store.NewMessage{Body: body, Flags: store.FlagSet{System: c.flags}, Beyond: c.beyond}
	at, err := tx.Append(store.System(), ref, message)
	if (c.junk || c.create) && (errors.Is(err, store.ErrNoMailbox) || errors.Is(err, store.ErrNotSelectable)) {
		var o store.CreateOptions
		if c.junk {
			o.SpecialUse = `\Junk`
		}
		if err = tx.CreateMailbox(store.System(), ref, o); err == nil {
			at, err = tx.Append(store.System(), ref, message)
		}
	}
	if c.stray(err) || c.refusal(err) != nil {
		return at, &copyError{c, err}
	}
	return at, err
}

// copyError says that a copy cannot be delivered, for a reason of its own.
type copyError struct {
	copy *copyTo
	err  error
}

func (e *copyError) Error() string { return e.err.Error() }
func (e *copyError) Unwrap() error { return e.err }

// stray tells that the mailbox of a copy does not exist, or holds no messages.
func (c *copyTo) stray(err error) bool {
	return c.mailbox != "" &&
		(errors.Is(err, store.ErrNoMailbox) || errors.Is(err, store.ErrNotSelectable) || errors.Is(err, store.ErrBadName) ||
			errors.Is(err, store.ErrTooManyMailboxes))
}

// refusal turns a failure that is about the recipient into its refusal, nil for
// other failures.
func (c *copyTo) refusal(err error) *RecipientError {
	switch {
	case errors.Is(err, store.ErrOverQuota):
		return overQuota(c.address)
	case errors.Is(err, store.ErrNoAccount):
		return &RecipientError{Address: c.address, Code: 550, Enhanced: "5.1.1",
			Reason: "no such recipient", Err: err}
	}
	return nil
}

// commit runs a transaction that records parcels. A mailbox that does not exist
// is no reason to refuse mail: its copy goes to the INBOX instead. A copy that
// cannot be delivered is taken out where that is no reason to refuse the others.
func (q *Queue) commit(ctx context.Context, fn func(*store.Tx) error, parcels ...*parcel) error {
	for {
		err := q.store.Update(ctx, fn)
		var stopped *suspendedError
		if errors.As(err, &stopped) {
			for _, p := range parcels {
				p.suspend(stopped.account)
			}
			continue
		}
		var failed *copyError
		if !errors.As(err, &failed) {
			return err
		}
		if err := mend(ctx, parcels, failed); err != nil {
			return err
		}
	}
}

// mend changes the parcel of a copy so that it can be recorded without that
// copy. It returns an error when it cannot.
func mend(ctx context.Context, parcels []*parcel, failed *copyError) error {
	for _, p := range parcels {
		if found, err := p.mendOwn(ctx, failed); found {
			return err
		}
	}
	return failed
}

// mendOwn is mend for one parcel. found tells that the copy is one of it.
func (p *parcel) mendOwn(ctx context.Context, failed *copyError) (found bool, err error) {
	c := failed.copy
	if r := p.reportTo(c); r != nil && !c.stray(failed.err) {
		p.loseReport(r, failed.err)
		return true, nil
	} else if r != nil {
		r.toInbox(c)
		return true, nil
	}
	for _, r := range p.reports {
		found, err := r.mendRuled(ctx, failed)
		if !found {
			found, err = r.mendGroups(ctx, failed)
		}
		if found && err != nil { // it was for a group, and reaches nobody
			p.loseReport(r, err)
			return true, nil
		}
		if found {
			return true, nil
		}
	}
	if found, err := p.mendRuled(ctx, failed); found {
		return true, err
	}
	if found, err := p.mendGroups(ctx, failed); found {
		return true, err
	}
	if !slices.Contains(p.plan.copies, c) {
		return false, nil
	}
	if c.stray(failed.err) {
		p.toInbox(c)
		return true, nil
	}
	return true, p.without(ctx, c, c.refusal(failed.err))
}

// reportTo finds the report to which a copy belongs.
func (p *parcel) reportTo(c *copyTo) *parcel {
	for _, r := range p.reports {
		if slices.Contains(r.plan.copies, c) {
			return r
		}
	}
	return nil
}

// loseReport takes a report out that the sender cannot get.
func (p *parcel) loseReport(r *parcel, err error) {
	p.q.log.reportLost(p.id, p.env.From, err)
	p.reports = slices.DeleteFunc(p.reports, func(o *parcel) bool { return o == r })
	r.close()
}

// toInbox sends a copy to the INBOX, unless the account gets the same one there
// anyway.
func (p *parcel) toInbox(c *copyTo) {
	for _, v := range p.versions {
		if !slices.Contains(v.copies, c) {
			continue
		}
		c.mailbox, c.create = "", false
		i := slices.IndexFunc(v.copies, func(o *copyTo) bool {
			return o != c && o.account.ID == c.account.ID && o.mailbox == ""
		})
		if i >= 0 {
			other := v.copies[i]
			other.owners = append(other.owners, c.owners...)
			other.members = append(other.members, c.members...)
			p.remove(c)
		}
	}
}

func (p *parcel) remove(c *copyTo) {
	for _, v := range p.versions {
		v.copies = slices.DeleteFunc(v.copies, func(o *copyTo) bool { return o == c })
	}
	p.plan.remove(c)
}

// without takes out a copy that cannot be delivered: recipients are refused if
// each has an answer of its own, else with the whole message; of a member of a
// list the sender gets a report. The error is the refusal of the whole message.
func (p *parcel) without(ctx context.Context, c *copyTo, refusal *RecipientError) error {
	if len(c.owners) > 0 && p.plan.refused == nil {
		refusal.Address = c.owners[0]
		return refusal
	}
	for _, addr := range c.owners {
		own := *refusal
		own.Address = addr
		p.plan.refused[addr] = &own
	}
	p.remove(c)
	root := p.root()
	for _, m := range c.members {
		if root.plan.empty() {
			refusal.Address = m.recipient
			return root.none(refusal)
		}
		p.q.memberRefused(p.plan, m.recipient, c.address, refusal)
		r := recipient{address: c.address, original: m.knownAs(c.address), notify: m.options.Notify, orcpt: m.options.Original}
		p.plan.lost = append(p.plan.lost, lost(r, refusal))
	}
	p.notify(ctx)
	return nil
}

// none is the error when a list has nobody left who gets the message.
func (p *parcel) none(refusal *RecipientError) error {
	if p.plan.refused == nil {
		return refusal
	}
	p.plan.refused[refusal.Address] = refusal
	return nil
}

// notify makes the reports to the sender that are due with the submission
// itself. That one cannot be made is no reason to refuse the message.
func (p *parcel) notify(ctx context.Context) {
	closeAll(p.reports)
	p.reports = nil
	if !p.reporting {
		return
	}
	m := &message{id: p.id, from: p.env.From, created: p.q.o.Now(), envelope: p.env.EnvelopeID}
	a := &attempt{id: p.id, when: m.created}
	for _, about := range [][]result{p.notices(), wanted(p.plan.lost, failed)} {
		if len(about) == 0 {
			continue
		}
		r, err := p.q.report(ctx, m, a, about, cutHeader(p.head[:min(len(p.head), maxReturned)]))
		if err != nil {
			p.q.log.reportLost(p.id, m.from, err)
			continue
		}
		p.reports = append(p.reports, r)
	}
}
