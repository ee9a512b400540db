package queue

import (
	"strconv"
	"strings"

	"tripost/accounts"
	"tripost/rules"
	"tripost/syslog"
)

// events writes the System Log of the queue: one function for each thing that
// can happen to a message.
type events struct {
	queue, local, rules *syslog.Logger
}

func newEvents(l *syslog.Log) events {
	return events{queue: l.Tag("QUEUE"), local: l.Tag("LOCAL"), rules: l.Tag("LOCALRULES")}
}

// maxListed is how many recipients one line names.
const maxListed = 50

// enqueued tells of an accepted message: one line with everything about it, and
// one for each local copy.
//
//	QUEUE([1134]) from <a@b>, 4310 bytes, to LOCAL(ann@c) SMTP(d.test)<x@d.test>, Message-ID <...>, SMTPI-000007
func (e *events) enqueued(p *parcel) {
	for _, f := range p.rules.forwards {
		e.enqueued(f.parcel)
	}
	for _, g := range p.groups {
		e.enqueued(g.parcel)
	}
	for _, r := range p.rules.replies {
		if r.sent {
			e.enqueued(r.parcel)
		}
	}
	if !e.queue.On(syslog.Major) && !e.local.On(syslog.Major) {
		return
	}
	id := formatID(p.id)
	session := p.env.Source.Log.ID()
	size := p.size()
	if e.queue.On(syslog.Major) {
		to := p.routes()
		b := make([]byte, 0, 256)
		b = append(b, "from <"...)
		b = append(b, p.env.From...)
		b = append(b, ">, "...)
		b = strconv.AppendInt(b, size, 10)
		b = append(b, " bytes, to"...)
		b = append(b, to...)
		if p.subject != "" {
			b = append(b, ", Message-ID "...)
			b = append(b, clean(p.subject, 256)...)
		}
		if session != "" {
			b = append(b, ", "...)
			b = append(b, session...)
		}
		e.queue.Named(id).Log(syslog.Major, string(b),
			syslog.Field{Key: "event", Value: "enqueued"},
			syslog.Field{Key: "id", Value: id},
			syslog.Field{Key: "from", Value: p.env.From},
			syslog.Field{Key: "size", Value: size},
			syslog.Field{Key: "message_id", Value: p.subject},
			syslog.Field{Key: "submitted_by", Value: session})
	}
	for _, c := range p.plan.copies {
		e.delivered(id, c)
	}
}

// size returns the octets of the message as submitted, with our Received field.
func (p *parcel) size() int64 {
	v := p.versions[0]
	return v.draft.Size() - v.offset
}

// routes renders where the recipients lead.
func (p *parcel) routes() []byte {
	var b []byte
	listed := 0
	for _, c := range p.plan.copies {
		if listed++; listed > maxListed {
			break
		}
		b = append(b, " LOCAL("...)
		b = append(b, c.account.Address()...)
		b = append(b, ')')
	}
	for _, d := range p.plan.dests {
		for _, r := range d.recipients {
			if listed++; listed > maxListed {
				break
			}
			b = append(b, " SMTP("...)
			b = append(b, d.host...)
			b = append(b, ")<"...)
			b = append(b, r.address...)
			b = append(b, '>')
		}
	}
	if listed > maxListed {
		b = append(b, " and more"...)
	}
	for _, addr := range p.plan.discarded {
		b = append(b, " NULL<"...)
		b = append(b, addr...)
		b = append(b, '>')
	}
	for _, g := range p.groups {
		b = append(b, " GROUP("...)
		b = append(b, g.of.list.Address()...)
		b = append(b, ")["...)
		b = append(b, formatID(g.id)...)
		b = append(b, ']')
	}
	return b
}

// delivered tells of a local copy.
//
//	LOCAL([ann@c]) [1134] delivered to INBOX
func (e *events) delivered(id string, c *copyTo) {
	if !e.local.On(syslog.Major) {
		return
	}
	address := c.account.Address()
	mailbox := c.mailbox
	if mailbox == "" {
		mailbox = "INBOX"
	}
	e.local.Named(address).Log(syslog.Major, "["+id+"] delivered to "+mailbox,
		syslog.Field{Key: "event", Value: "delivered"},
		syslog.Field{Key: "id", Value: id},
		syslog.Field{Key: "account", Value: address},
		syslog.Field{Key: "mailbox", Value: mailbox})
}

// attempted tells what an attempt has made of each recipient.
//
//	QUEUE([1134]) SMTP(d.test)<x@d.test> relayed via mx.d.test [192.0.2.7]: 250 ok
func (e *events) attempted(m *message, d *destination, a *attempt) {
	log := e.queue.Named(formatID(m.id))
	for i := range a.results {
		r := &a.results[i]
		switch r.state {
		case delivered:
			e.outcome(log, syslog.Major, "relayed", d, a, r)
		case deferred:
			e.outcome(log, syslog.Problem, "deferred", d, a, r)
		case failed:
			e.outcome(log, syslog.Failure, "failed", d, a, r)
		}
	}
}

func (e *events) outcome(log *syslog.Logger, l syslog.Level, event string, d *destination, a *attempt, r *result) {
	if !log.On(l) {
		return
	}
	text := "SMTP(" + d.host + ")<" + r.recipient.address + "> " + event
	if a.via != "" {
		text += " via " + a.via
	}
	if a.secured != "" {
		text += " (" + a.secured + ")"
	}
	log.Log(l, text+": "+clean(r.reply, 512),
		syslog.Field{Key: "event", Value: event},
		syslog.Field{Key: "id", Value: formatID(a.id)},
		syslog.Field{Key: "recipient", Value: r.recipient.address},
		syslog.Field{Key: "host", Value: d.host},
		syslog.Field{Key: "via", Value: a.via},
		syslog.Field{Key: "secured", Value: a.secured},
		syslog.Field{Key: "reply", Value: r.reply},
		syslog.Field{Key: "attempts", Value: d.attempts + 1})
}

// ruled tells which rules of an account were met, and what they ask for.
//
//	LOCALRULES([ann@c]) [1134] rules invoices: file "Invoices"
func (e *events) ruled(id uint64, c *copyTo, v *rules.Verdict) {
	if len(v.Rules) == 0 || !e.rules.On(syslog.Major) {
		return
	}
	e.rules.Named(c.account.Address()).Log(syslog.Major, "["+formatID(id)+"] rules "+strings.Join(v.Rules, ", ")+": "+v.String(),
		syslog.Field{Key: "event", Value: "ruled"},
		syslog.Field{Key: "id", Value: formatID(id)},
		syslog.Field{Key: "rules", Value: strings.Join(v.Rules, ",")})
}

// notForwarded tells of an address that a rule does not reach. The account keeps
// a copy.
func (e *events) notForwarded(id uint64, c *copyTo, addr, why string) {
	e.rules.Named(c.account.Address()).Logf(syslog.Problem, "[%d] is not forwarded to <%s>, and kept: %s", id, clean(addr, maxPath), clean(why, 256))
}

// notAnswered tells why there is no vacation reply.
func (e *events) notAnswered(id uint64, c *copyTo, sender, why string) {
	e.rules.Named(c.account.Address()).Logf(syslog.Protocol, "[%d] from <%s> is not answered: %s", id, sender, clean(why, 256))
}

// memberRefused tells of a member that a list has lost.
func (e *events) memberRefused(list, member string, why *RecipientError) {
	e.queue.Logf(syslog.Failure, "member <%s> of <%s> is left out: %d %s %s",
		member, list, why.Code, why.Enhanced, why.Reason)
}

// ownerRefused tells of a group whose reports its owner cannot get: who sends to it
// gets them.
func (e *events) ownerRefused(g *accounts.Group, why *RecipientError) {
	e.queue.Logf(syslog.Failure, "owner <%s> of <%s> cannot be reached: %d %s %s",
		g.Owner, g.Address(), why.Code, why.Enhanced, why.Reason)
}

// leftOut tells of a member of a group who gets the message without it.
func (e *events) leftOut(id uint64, addr string) {
	e.queue.Named(formatID(id)).Logf(syslog.Protocol, "<%s> stands in the header and gets no second copy", addr)
}

// reportLost tells of a report that reaches nobody.
func (e *events) reportLost(id uint64, from string, err error) {
	e.queue.Named(formatID(id)).Logf(syslog.Failure, "report to <%s> is lost: %v", from, err)
}

// reportPostponed tells of a report that could not be made now.
func (e *events) reportPostponed(id uint64, from string, err error) {
	e.queue.Named(formatID(id)).Logf(syslog.Failure, "report to <%s> is postponed: %v", from, err)
}

// changed tells what an administrator did to a message.
func (e *events) changed(id, text string) {
	e.queue.Named(id).Log(syslog.Major, text,
		syslog.Field{Key: "event", Value: "changed"},
		syslog.Field{Key: "id", Value: id})
}
