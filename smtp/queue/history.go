package queue

import (
	"slices"
	"strings"
	"time"

	"tripost/history"
	"tripost/store"
)

// History remembers what became of messages. [history.History] is one.
type History interface {
	// Submitted enters a message, in the transaction that keeps it.
	Submitted(tx *store.Tx, o *history.Origin) error
	// Attempted enters an attempt to send it, in the transaction that records what
	// came of it.
	Attempted(tx *store.Tx, id uint64, a *history.Attempt) error
}

// chronicle is what the history gets to know of a parcel; nil where there is none.
type chronicle struct {
	history.Origin
	to History
}

// chronicle begins the history of a parcel.
func (p *parcel) chronicle() *chronicle {
	if p.q.o.History == nil {
		return nil
	}
	src := &p.env.Source
	o := &chronicle{to: p.q.o.History, Origin: history.Origin{
		QueueID: p.id, MessageID: p.subject, Helo: src.Helo, With: src.Protocol, From: p.env.From, Size: p.size(),
		Checks: p.checks(), Parent: p.rules.parent,
		Who:    history.Who{Protocol: src.Module, Session: src.Log.ID()},
		Places: make([]history.Place, 0, len(p.plan.copies)+len(p.plan.discarded)+len(p.plan.dests)),
	}}
	if p.within != nil {
		o.Group = p.env.Recipients[0]
	}
	for _, g := range p.groups {
		o.Passed = append(o.Passed, history.PassedOn{Group: g.of.list.Address(), QueueID: g.id})
	}
	if src.Remote.IsValid() {
		o.Who.Remote = src.Remote.Unmap().String()
	}
	if src.Account != nil {
		o.Who.Account = src.Account.Address()
	}
	for _, d := range p.plan.dests {
		for _, r := range d.recipients {
			o.Places = append(o.Places, history.Place{Recipient: r.address, By: r.original, Host: d.host})
		}
	}
	for _, addr := range p.plan.discarded {
		o.Places = append(o.Places, history.Place{Recipient: addr})
	}
	return o
}

// checks is what our own Authentication-Results field says.
func (p *parcel) checks() string {
	_, text, _ := strings.Cut(string(p.fields), ":")
	return strings.Join(strings.Fields(text), " ")
}

func (o *chronicle) kept(b store.Body) {
	if o != nil {
		o.Bodies = append(o.Bodies, b)
	}
}

func (o *chronicle) delivered(c *copyTo, at store.Appended) {
	if o == nil {
		return
	}
	place := history.Place{
		Recipient: c.address, Account: c.account.ID, Address: c.account.Address(),
		Mailbox: at.Mailbox, Name: c.mailbox, UID: at.UID,
	}
	if by := c.recipients(); len(by) > 0 && by[0] != c.address {
		place.By = by[0]
	}
	if place.Name == "" {
		place.Name = store.Inbox
	}
	o.Places = append(o.Places, place)
}

// maxNoted bounds the steps of one message that the history gets to know.
const maxNoted = 50

// note adds a step to what the history gets to know of a message.
func (p *plan) note(what history.StepKind, who, text string) {
	if len(p.steps) >= maxNoted {
		return
	}
	p.steps = append(p.steps, history.Step{What: what, Who: who, Text: text})
}

// addSteps adds what happened on the way, and the messages that rules have made.
func (o *chronicle) addSteps(p *parcel) {
	if o == nil {
		return
	}
	o.Steps = slices.Clone(p.plan.steps)
	for _, f := range p.rules.forwards {
		o.Steps = append(o.Steps, history.Step{What: history.Forwarded, Who: f.origin.account.Address(),
			Text: "<" + strings.Join(f.env.Recipients, ">, <") + ">", QueueID: f.id})
	}
	for _, r := range p.rules.replies {
		if r.sent {
			o.Steps = append(o.Steps, history.Step{What: history.Answered, Who: r.by.account.Address(), Text: r.sender, QueueID: r.id})
		}
	}
}

func (o *chronicle) record(tx *store.Tx) error {
	if o == nil {
		return nil
	}
	return o.to.Submitted(tx, &o.Origin)
}

// remember enters an attempt in the history.
func (q *Queue) remember(tx *store.Tx, d *destination, a *attempt) error {
	if q.o.History == nil {
		return nil
	}
	h := &history.Attempt{At: a.when, Host: d.host, Via: a.via, Security: a.secured}
	for i := range a.results {
		r := &a.results[i]
		h.Outcomes = append(h.Outcomes, history.Outcome{Recipient: r.recipient.address, State: r.state.outcome(), Reply: clean(r.reply, 512)})
	}
	return q.o.History.Attempted(tx, a.id, h)
}

// orderWords are what an order has made of a recipient, as the history has it.
var orderWords = map[Order]string{
	Retry: "retried", Hold: "held", Release: "released", Reroute: "rerouted", Drop: "dropped",
}

// rememberOrder enters what an administrator has ordered.
func (q *Queue) rememberOrder(tx *store.Tx, o Order, now time.Time, dests []*destination) error {
	if q.o.History == nil {
		return nil
	}
	for _, d := range dests {
		h := &history.Attempt{At: now, Host: d.host, Via: "an administrator"}
		for _, r := range d.recipients {
			h.Outcomes = append(h.Outcomes, history.Outcome{Recipient: r.address, State: orderWords[o]})
		}
		if err := q.o.History.Attempted(tx, d.id, h); err != nil {
			return err
		}
	}
	return nil
}

// outcome is the word for what became of a recipient.
func (s state) outcome() string {
	switch s {
	case delivered:
		return "relayed"
	case deferred:
		return "deferred"
	default:
		return "failed"
	}
}
