package queue

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"tripost/history"
	"tripost/router"
	"tripost/rules"
	"tripost/store"
)

// Rules knows what accounts want done with mail that arrives. [rules.Rules] is
// one.
type Rules interface {
	// Of returns the rules of an account.
	Of(r *store.Snapshot, a store.AccountID) ([]rules.Rule, error)
	// Answer tells whether a sender may be answered now, and remembers it.
	Answer(tx *store.Tx, a store.AccountID, sender string, reply *rules.Action) (bool, error)
}

// maxForwarded bounds how often rules may pass one message on within this server.
const maxForwarded = 10

// maxMade bounds how many messages rules may make of one. Accounts that forward to
// each other would make more than can be counted.
const maxMade = 500

// ruling is what the rules of a message's recipients make of it.
type ruling struct {
	lists    map[store.AccountID][]rules.Rule // of the accounts that have some
	decided  bool
	depth    int    // how often rules have passed the message on
	made     *int   // how many messages rules have made, of the first one in all
	parent   uint64 // the message that a rule has passed on, or answered
	forwards []*forwarded
	replies  []*reply
}

// forwarded is a message that a rule passes on. It is written while the message
// itself is, behind fields of its own.
type forwarded struct {
	*parcel
	origin copyTo // what the account has got when nobody can be reached
}

// reply is the answer of an account that is away.
type reply struct {
	*parcel
	by     *copyTo
	sender string
	action *rules.Action
	sent   bool // by the last run of the transaction
}

// next is the ruling of a message that rules make of this one.
func (r *ruling) next(parent uint64) ruling {
	*r.made++
	return ruling{depth: r.depth + 1, made: r.made, parent: parent}
}

// loadRules reads the rules of all accounts that get a copy.
func (p *parcel) loadRules(ctx context.Context) error {
	if p.q.o.Rules == nil || len(p.plan.copies) == 0 {
		return nil
	}
	err := p.q.store.View(ctx, func(r *store.Snapshot) error {
		for _, c := range p.plan.copies {
			list, err := p.q.rulesOf(r, c.account.ID)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				continue
			}
			if p.rules.lists == nil {
				p.rules.lists = make(map[store.AccountID][]rules.Rule)
			}
			p.rules.lists[c.account.ID] = list
		}
		return nil
	})
	if p.rules.lists != nil {
		p.keep = holdAt
	}
	return err
}

// undecided tells that rules, who gets a second copy, and the header of what groups
// pass on are still to be looked at.
func (p *parcel) undecided() bool {
	return (p.rules.lists != nil || p.plan.once || len(p.groups) > 0) && !p.rules.decided
}

// headerRead tells that as much of the header is in head as rules look at.
func (p *parcel) headerRead() bool {
	return len(p.head) >= p.keep || bytes.Contains(p.head, []byte("\r\n\r\n")) || bytes.Contains(p.head, []byte("\n\n"))
}

// decide looks at the rules, once, and begins what they pass on.
func (p *parcel) decide(ctx context.Context) error {
	if !p.undecided() {
		return nil
	}
	p.rules.decided = true
	if err := p.dropNamed(ctx); err != nil {
		return err
	}
	if err := p.beginGroups(ctx); err != nil {
		return err
	}
	if p.rules.lists == nil && !p.plan.once {
		return nil
	}
	verdicts := make(map[store.AccountID]*rules.Verdict)
	p.plan.copies = nil
	for _, v := range p.versions {
		var copies []*copyTo
		for _, c := range v.copies {
			if c.junk || p.rules.lists[c.account.ID] == nil { // junk is neither answered nor passed on
				copies = addCopy(copies, c)
				continue
			}
			verdict := verdicts[c.account.ID]
			if verdict == nil {
				var err error
				if verdict, err = p.judge(ctx, c); err != nil {
					return err
				}
				verdicts[c.account.ID] = verdict
			}
			for _, one := range c.under(verdict) {
				copies = addCopy(copies, one)
			}
		}
		v.copies = copies
		p.plan.copies = append(p.plan.copies, copies...)
	}
	p.plan.ruled = true
	return nil
}

// under returns the copies that a verdict leaves of one.
func (c *copyTo) under(v *rules.Verdict) []*copyTo {
	var flags store.Flags
	if v.Seen {
		flags |= store.FlagSeen
	}
	if v.Flagged {
		flags |= store.FlagFlagged
	}
	var all []*copyTo
	if v.Keep {
		one := *c
		one.flags = flags
		all = append(all, &one)
	}
	for _, name := range v.Mailboxes {
		one := *c
		one.flags, one.mailbox, one.create = flags, name, true
		if strings.EqualFold(name, store.Inbox) {
			one.mailbox, one.create = "", false
		}
		all = append(all, &one)
	}
	return all
}

// addCopy adds a copy, unless its mailbox gets one already.
func addCopy(copies []*copyTo, c *copyTo) []*copyTo {
	for _, have := range copies {
		if have.account.ID == c.account.ID && have.mailbox == c.mailbox {
			have.owners = slices.Concat(have.owners, c.owners)
			have.members = slices.Concat(have.members, c.members)
			have.flags |= c.flags
			return copies
		}
	}
	return append(copies, c)
}

// judge decides about one account's copy, and prepares what its rules send. Where
// that cannot be sent, the account keeps a copy.
func (p *parcel) judge(ctx context.Context, c *copyTo) (*rules.Verdict, error) {
	m := &rules.Message{From: p.env.From, Recipients: c.recipients(), Header: p.head, Now: p.q.o.Now()}
	v := rules.Decide(p.rules.lists[c.account.ID], m)
	p.q.log.ruled(p.id, c, &v)
	if len(v.Rules) > 0 {
		p.plan.note(history.Ruled, c.account.Address(), strings.Join(v.Rules, ", ")+" ("+v.String()+")")
	}
	if len(v.Forwards) > 0 {
		kept, err := p.forward(ctx, c, m, v.Forwards)
		if err != nil {
			return nil, err
		}
		v.Keep = v.Keep || kept
	}
	if v.Vacation != nil { // last: an answer that was given already still counts until it is recorded
		if err := p.answer(ctx, c, m, v.Vacation); err != nil {
			return nil, err
		}
	}
	return &v, nil
}

// recipients returns the recipients of the envelope that led to a copy.
func (c *copyTo) recipients() []string {
	all := slices.Clone(c.owners)
	for _, m := range c.members {
		all = append(all, m.recipient)
	}
	return all
}

// forward begins to pass the message on to addresses. kept tells that the account
// is to have a copy all the same: because some address does not take it, or
// because it is a report, which might be about this very forward.
func (p *parcel) forward(ctx context.Context, c *copyTo, m *rules.Message, to []string) (kept bool, err error) {
	address := c.account.Address()
	switch {
	case m.Delivered(address):
		p.notForwarded(c, strings.Join(to, " "), "this account has forwarded it before")
		return true, nil
	case p.rules.depth >= maxForwarded:
		p.notForwarded(c, strings.Join(to, " "), "it was forwarded too often")
		return true, nil
	case *p.rules.made >= maxMade:
		p.notForwarded(c, strings.Join(to, " "), "rules have made too many messages of it")
		return true, nil
	}
	var here, elsewhere []string
	for _, addr := range to {
		res, err := p.q.route(ctx, addr)
		switch {
		case err != nil:
			return false, err
		case res.Kind == router.Refused:
			p.notForwarded(c, addr, refused(addr, &res).Reason)
			kept = true
		case res.Kind == router.Local && res.Account.ID == c.account.ID:
			p.notForwarded(c, addr, "it leads back to the account")
			kept = true
		case res.Kind == router.Remote:
			elsewhere = append(elsewhere, addr)
		default:
			here = append(here, addr)
		}
	}
	from := p.env.From
	if from != "" && !p.q.o.ForwardKeepsSender {
		from = address
	}
	for _, one := range []struct {
		from string
		to   []string
	}{{p.env.From, here}, {from, elsewhere}} {
		if len(one.to) == 0 {
			continue
		}
		lost, err := p.passOn(ctx, c, one.from, one.to)
		if err != nil {
			return false, err
		}
		kept = kept || lost
	}
	return kept || p.env.From == "" && len(elsewhere) > 0, nil
}

// notForwarded logs and notes that a rule does not reach an address.
func (p *parcel) notForwarded(c *copyTo, to, why string) {
	p.q.log.notForwarded(p.id, c, to, why)
	p.plan.note(history.NotForwarded, c.account.Address(), "<"+to+">: "+why)
}

// passOn begins the message that goes to addresses. The reverse-path of a message
// that stays here is that of the sender (RFC 5321 section 3.9.1); to other hosts
// it is the account's, for this server may send in its name (RFC 7208 section
// 10.3), and so reports come to whom they concern. lost tells that somebody
// cannot be reached.
func (p *parcel) passOn(ctx context.Context, c *copyTo, from string, to []string) (lost bool, err error) {
	env := &Envelope{
		From: from, Recipients: to, Size: p.env.Size, SMTPUTF8: p.env.SMTPUTF8, Body8Bit: p.env.Body8Bit,
		Binary: p.env.Binary, RequireTLS: p.env.RequireTLS, // who passes mail on keeps it: RFC 8689
		Source: Source{Module: "RULES", Internal: true, Log: p.env.Source.Log, stranger: !p.env.Source.ours(), by: &c.account},
	}
	if from == p.env.From {
		env.Return, env.EnvelopeID = p.env.Return, p.env.EnvelopeID
		env.Options = make([]RecipientOptions, len(to))
		for i := range to {
			env.Options[i].Notify = p.notifyOf(c).member()
		}
	}
	child, err := p.q.open(ctx, env, p.q.planEach, p.rules.next(p.id))
	var refusal *RecipientError
	if errors.As(err, &refusal) {
		p.notForwarded(c, refusal.Address, refusal.Reason)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	for addr, why := range child.plan.refused {
		p.notForwarded(c, addr, why.Reason)
		lost = true
	}
	if child.plan.empty() {
		return true, nil
	}
	if err := child.count(); err != nil {
		p.notForwarded(c, strings.Join(to, " "), err.Error())
		return true, nil
	}
	p.rules.forwards = append(p.rules.forwards, &forwarded{parcel: child, origin: *c})
	if err := child.arrange(ctx); err != nil {
		return false, err
	}
	if err := child.begin(ctx); err != nil {
		return false, err
	}
	trace := "Delivered-To: <" + c.account.Address() + ">\r\n" // RFC 9228
	_, err = child.take(ctx, append([]byte(trace), p.head...))
	return lost, err
}

// notifyOf is of what the sender wants to hear about a copy.
func (p *parcel) notifyOf(c *copyTo) Notify {
	for i, addr := range p.env.Recipients {
		if slices.Contains(c.owners, addr) {
			return p.env.options(i).Notify
		}
	}
	for _, m := range c.members {
		return m.options.Notify
	}
	return 0
}

// answer prepares the reply to the sender, unless RFC 3834 forbids it.
func (p *parcel) answer(ctx context.Context, c *copyTo, m *rules.Message, a *rules.Action) error {
	why := m.NoReply()
	if *p.rules.made >= maxMade {
		why = "rules have made too many messages of it"
	}
	if why == "" {
		named, err := p.named(ctx, c, m)
		if err != nil {
			return err
		}
		if !named {
			why = "it is not addressed to the account"
		}
	}
	if why != "" {
		p.q.log.notAnswered(p.id, c, p.env.From, why)
		return nil
	}
	res, err := p.q.route(ctx, m.From)
	switch {
	case err != nil:
		return err
	case res.Kind == router.Refused:
		why = refused(m.From, &res).Reason
	case res.Kind == router.Local && res.Account.ID == c.account.ID:
		why = "it is the account's own"
	}
	if why != "" {
		p.q.log.notAnswered(p.id, c, p.env.From, why)
		return nil
	}
	env := &Envelope{
		Recipients: []string{m.From}, Submission: true, SMTPUTF8: !ascii(m.From) || !ascii(c.account.Address()),
		Source: Source{Module: "RULES", Internal: true, Log: p.env.Source.Log, by: &c.account},
	}
	text := a.Reply(m, c.account.Address(), c.account.RealName)
	one, err := p.q.prepareAt(ctx, env, bytes.NewReader(text), p.q.plan, p.rules.next(p.id))
	var refusal *RecipientError
	if errors.As(err, &refusal) {
		p.q.log.notAnswered(p.id, c, p.env.From, refusal.Reason)
		return nil
	}
	if errors.Is(err, ErrFlow) {
		p.q.log.notAnswered(p.id, c, p.env.From, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	p.rules.replies = append(p.rules.replies, &reply{parcel: one, by: c, sender: m.From, action: a})
	return nil
}

// named tells whether an address that leads to the account is in the header.
func (p *parcel) named(ctx context.Context, c *copyTo, m *rules.Message) (bool, error) {
	for _, addr := range m.Addressees() {
		res, err := p.q.route(ctx, addr)
		if err != nil {
			return false, err
		}
		if res.Kind == router.Local && res.Account.ID == c.account.ID {
			return true, nil
		}
	}
	return false, nil
}

// recordRuled enters what rules send, in the transaction of the message itself:
// what was acknowledged is also forwarded.
func (p *parcel) recordRuled(tx *store.Tx) error {
	for _, f := range p.rules.forwards {
		if err := p.q.stillRules(tx, &f.origin); err != nil {
			return err
		}
		if err := f.record(tx); err != nil {
			return err
		}
	}
	for _, r := range p.rules.replies {
		if err := p.q.stillRules(tx, r.by); err != nil {
			return err
		}
		ok, err := p.q.o.Rules.Answer(tx, r.by.account.ID, r.sender, r.action)
		if err != nil {
			return err
		}
		if r.sent = ok; !ok {
			continue
		}
		if err := r.record(tx); err != nil {
			return err
		}
	}
	return nil
}

// closeRuled lets go of what rules send.
func (p *parcel) closeRuled() {
	for _, f := range p.rules.forwards {
		f.close()
	}
	for _, r := range p.rules.replies {
		r.close()
	}
}

// mendRuled takes out a copy that cannot be delivered of what rules send. found
// tells that it is one of those. The account that has forwarded gets the message
// instead of whom it was for.
func (p *parcel) mendRuled(ctx context.Context, failed *copyError) (found bool, err error) {
	c := failed.copy
	for i, f := range p.rules.forwards {
		if !slices.Contains(f.plan.copies, c) {
			found, err := f.mendOwn(ctx, failed)
			if !found {
				continue
			}
			if f.plan.empty() { // of the members of a group nobody is left
				p.notForwarded(&f.origin, c.address, failed.err.Error())
				p.takeBack(i)
				return true, nil
			}
			return true, err
		}
		if c.stray(failed.err) {
			f.toInbox(c)
			return true, nil
		}
		p.notForwarded(&f.origin, c.address, failed.err.Error())
		f.remove(c)
		if f.plan.empty() {
			p.takeBack(i)
		} else {
			p.giveBack(f.origin)
		}
		return true, nil
	}
	for i, r := range p.rules.replies {
		if found, err := r.mendOwn(ctx, failed); found && err == nil {
			return true, nil
		} else if found {
			p.q.log.notAnswered(p.id, r.by, r.sender, err.Error())
			p.rules.replies = slices.Delete(p.rules.replies, i, i+1)
			r.close()
			return true, nil
		}
	}
	return false, nil
}

// takeBack takes out what a rule passes on, by its index, and delivers it to the
// account instead.
func (p *parcel) takeBack(i int) {
	f := p.rules.forwards[i]
	p.rules.forwards = slices.Delete(p.rules.forwards, i, i+1)
	f.close()
	p.giveBack(f.origin)
}

// giveBack delivers a copy to the account that had forwarded it.
func (p *parcel) giveBack(c copyTo) {
	v := p.version(c.individuals)
	n := len(v.copies)
	if v.copies = addCopy(v.copies, &c); len(v.copies) > n {
		p.plan.copies = append(p.plan.copies, &c)
	}
}
