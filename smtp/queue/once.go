package queue

import (
	"context"
	"slices"
	"strings"

	"tripost/history"
	"tripost/router"
	"tripost/rules"
	"tripost/store"
)

// Groups whose members get no second copy (accounts.Group.Once): who stands in the
// header of the message has got it already, or will, and is left out. That is
// known only when the header is there.

// dropNamed takes out what such a group brought to those whom the header names.
func (p *parcel) dropNamed(ctx context.Context) error {
	if !p.plan.once {
		return nil
	}
	m := rules.Message{Header: p.head}
	accounts := make(map[store.AccountID]bool)
	elsewhere := make(map[string]bool)
	for _, addr := range m.Addressees() {
		res, err := p.q.route(ctx, addr)
		if err != nil {
			return err
		}
		switch res.Kind {
		case router.Local:
			accounts[res.Account.ID] = true
		case router.Remote:
			elsewhere[strings.ToLower(res.Address)] = true
		}
	}
	for _, v := range p.versions {
		v.copies = slices.DeleteFunc(v.copies, func(c *copyTo) bool {
			return c.onlyOnce() && accounts[c.account.ID] && p.leaveOut(c.members[0].recipient, c.account.Address())
		})
	}
	for _, d := range p.plan.dests {
		d.recipients = slices.DeleteFunc(d.recipients, func(r recipient) bool {
			return r.once && elsewhere[strings.ToLower(r.address)] && p.leaveOut(r.original, r.address)
		})
	}
	p.plan.dropEmptyDestinations()
	return nil
}

func (p *parcel) leaveOut(group, addr string) bool {
	p.q.log.leftOut(p.id, addr)
	p.plan.note(history.LeftOut, group, "<"+addr+">: the header names it, and it has a copy of its own")
	return true
}

// onlyOnce tells that nothing but such groups led to a copy. An account that several
// people share gets it all the same: it may be for another of them.
func (c *copyTo) onlyOnce() bool {
	return len(c.owners) == 0 && len(c.individuals) == 0 &&
		!slices.ContainsFunc(c.members, func(m origin) bool { return !m.once })
}
