package queue

import (
	"context"
	"io"
	"math"
	"slices"
	"strings"

	"tripost/accounts"
	"tripost/router"
	"tripost/rules"
)

// Groups that change something for their members: answers go to the group
// (accounts.Group.ReplyTo), or reports to its owner (accounts.Group.Owner). Their
// members get a message of their own, which is written while the message itself
// is, behind fields of its own, and recorded in the same transaction. Whom the
// message reaches without the group, or by another one, gets no second copy.

// maxApart bounds the groups of one message whose members get one of their own.
const maxApart = 50

// groupPlan is where the members of such a group lead.
type groupPlan struct {
	*plan
	list  accounts.Group
	from  origin // the recipient of the envelope that led here
	owner string // the reverse-path for the members; empty: that of the message
}

// groupCopy is the message for the members of a group.
type groupCopy struct {
	*parcel
	of   *groupPlan
	edit io.Writer // takes the message as it is for others; nil: it has not begun
}

// membersOf returns the plan that the members of a list belong to: a new one, of
// which p does not know yet, when they get a message of their own. A message from
// the null reverse-path keeps it, so that no report is made about a report.
func (q *Queue) membersOf(ctx context.Context, p *plan, list *accounts.Group, from *origin) (*plan, error) {
	if !list.Apart() {
		p.listed = true
		return p, nil
	}
	if p.apart++; p.apart > maxApart {
		return nil, &RecipientError{Address: from.recipient, Code: 550, Enhanced: "5.5.3",
			Reason: "leads to too many groups", Err: errTooWide}
	}
	if list.Owner != "" && p.from != "" {
		res, err := q.route(ctx, list.Owner)
		if err != nil {
			return nil, err
		}
		if res.Kind == router.Refused {
			q.log.ownerRefused(list, refused(list.Owner, &res))
		} else {
			from.owned, from.options = true, RecipientOptions{}
		}
	}
	return &plan{expansion: p.expansion, listed: true}, nil
}

// addGroup enters the plan of a group's members.
func (p *plan) addGroup(list *accounts.Group, from origin, members *plan) {
	if members.empty() && len(members.lost) == 0 {
		return // they have all got it by another group
	}
	g := &groupPlan{plan: members, list: *list, from: from}
	if from.owned {
		g.owner = list.Owner // empty where the group is within one with an owner
	}
	p.groups = append(p.groups, g)
}

// lose notes a member that a group's owner hears of.
func (p *plan) lose(addr string, from origin, why *RecipientError) {
	p.lost = append(p.lost, lost(recipient{address: addr, notify: from.options.Notify}, why))
}

// lost is what the report says of a member for whom the message is not taken.
func lost(r recipient, why *RecipientError) result {
	return result{recipient: r, state: failed, enhanced: "5" + why.Enhanced[1:], reply: why.Reason}
}

// knownAs returns the address under which whoever gets the reports knows a
// recipient.
func (o *origin) knownAs(addr string) string {
	if o.owned {
		return addr
	}
	return o.recipient
}

// spare takes out of the groups who gets the message anyway.
func (p *plan) spare() {
	if len(p.groups) > 0 {
		p.spareWho(&reached{make(map[place][]string), make(map[string]bool)})
	}
}

// reached is who gets the message, as far as it is known.
type reached struct {
	here      map[place][]string // with the individuals
	elsewhere map[string]bool
}

func (p *plan) spareWho(r *reached) {
	p.copies = slices.DeleteFunc(p.copies, func(c *copyTo) bool {
		at := place{c.account.ID, c.mailbox}
		have, there := r.here[at]
		if there && !slices.ContainsFunc(c.individuals, func(name string) bool { return !containsFold(have, name) }) {
			delete(p.byPlace, at)
			return true
		}
		r.here[at] = append(have, c.individuals...)
		return false
	})
	for _, d := range p.dests {
		d.recipients = slices.DeleteFunc(d.recipients, func(one recipient) bool {
			there := r.elsewhere[one.address]
			r.elsewhere[one.address] = true
			return there
		})
	}
	p.dropEmptyDestinations()
	p.groups = slices.DeleteFunc(p.groups, func(g *groupPlan) bool {
		g.spareWho(r)
		return g.empty() && len(g.lost) == 0
	})
}

func containsFold(all []string, s string) bool {
	return slices.ContainsFunc(all, func(have string) bool { return strings.EqualFold(have, s) })
}

func (p *plan) dropEmptyDestinations() {
	p.dests = slices.DeleteFunc(p.dests, func(d *destination) bool { return len(d.recipients) == 0 })
}

// all returns the plan itself and those of the groups in it.
func (p *plan) all() []*plan {
	list := []*plan{p}
	for _, g := range p.groups {
		list = append(list, g.all()...)
	}
	return list
}

// openGroups opens the messages for the members of groups.
func (p *parcel) openGroups(ctx context.Context) error {
	for _, g := range p.plan.groups {
		planned := func(context.Context, *Envelope) (*plan, error) { return g.plan, nil }
		child, err := p.q.open(ctx, p.groupEnvelope(g), planned, ruling{depth: p.rules.depth + 1, made: p.rules.made, parent: p.id})
		if err != nil {
			return err
		}
		child.within = p
		p.groups = append(p.groups, &groupCopy{parcel: child, of: g})
	}
	return nil
}

func (p *parcel) groupEnvelope(g *groupPlan) *Envelope {
	src := &p.env.Source
	env := &Envelope{
		From: p.env.From, Recipients: []string{g.list.Address()}, Size: p.env.Size, Body8Bit: p.env.Body8Bit,
		Binary: p.env.Binary, SMTPUTF8: p.env.SMTPUTF8, RequireTLS: p.env.RequireTLS,
		Source: Source{Module: "GROUP", Internal: true, Log: src.Log, stranger: !src.ours(), by: src.sender(), must: src.must},
	}
	if g.owner != "" {
		env.From, env.SMTPUTF8 = g.owner, env.SMTPUTF8 || !ascii(g.owner)
	} else {
		env.Return, env.EnvelopeID = p.env.Return, p.env.EnvelopeID
	}
	return env
}

// beginGroups begins the messages for the members of groups, when the header is
// there. What has come by a group before, as its trace shows (RFC 9228), does not
// go there again: somebody outside sends it back.
func (p *parcel) beginGroups(ctx context.Context) error {
	m := rules.Message{Header: p.head}
	for _, g := range slices.Clone(p.groups) {
		address := g.of.list.Address()
		if m.Delivered(address) {
			if err := p.dropGroup(g); err != nil {
				return err
			}
			continue
		}
		if err := g.begin(ctx); err != nil {
			return err
		}
		trace := "Delivered-To: <" + address + ">\r\n"
		members := writerFunc(func(b []byte) (int, error) { return g.take(ctx, b) })
		g.edit = members
		if g.of.list.ReplyTo {
			trace += "Reply-To: <" + address + ">\r\n"
			g.edit = &filter{w: members, replyTo: true, maxHops: math.MaxInt}
		}
		if _, err := members.Write([]byte(trace)); err != nil {
			return err
		}
		if _, err := g.edit.Write(p.head); err != nil {
			return err
		}
	}
	return nil
}

// dropGroup takes a group out that the message came from. The error is the
// refusal of the whole message when nobody else gets it.
func (p *parcel) dropGroup(g *groupCopy) error {
	p.groups = slices.DeleteFunc(p.groups, func(o *groupCopy) bool { return o == g })
	p.plan.groups = slices.DeleteFunc(p.plan.groups, func(o *groupPlan) bool { return o == g.of })
	g.close()
	refusal := &RecipientError{Address: g.of.from.recipient, Code: 554, Enhanced: "5.4.6",
		Reason: "the message has come by way of this group before"}
	if root := p.root(); root.plan.empty() {
		return root.none(refusal)
	}
	p.q.memberRefused(p.plan, g.of.from.recipient, g.of.list.Address(), refusal)
	return nil
}

// root is the message that the submitter gave, or a rule passes on.
func (p *parcel) root() *parcel {
	for p.within != nil {
		p = p.within
	}
	return p
}

// putToGroups passes octets on to the messages for the members of groups.
func (p *parcel) putToGroups(b []byte) error {
	for _, g := range p.groups {
		if g.edit == nil {
			continue
		}
		if _, err := g.edit.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// finishGroups ends these messages, and tells owners of members who cannot be
// reached.
func (p *parcel) finishGroups(ctx context.Context, f *filter) error {
	for _, g := range p.groups {
		if edit, ok := g.edit.(*filter); ok {
			if err := edit.Close(); err != nil {
				return err
			}
		}
		if err := g.finish(ctx, f); err != nil {
			return err
		}
		g.notify(ctx)
	}
	return nil
}

// mendGroups takes out a copy of a group's member that cannot be delivered. found
// tells that it is one.
func (p *parcel) mendGroups(ctx context.Context, failed *copyError) (found bool, err error) {
	for _, g := range p.groups {
		if found, err := g.mendOwn(ctx, failed); found {
			return true, err
		}
	}
	return false, nil
}
