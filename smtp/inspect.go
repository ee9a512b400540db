package smtp

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"tripost/accounts"
	"tripost/smtp/mailauth"
	"tripost/smtp/queue"
	"tripost/smtp/screen"
	"tripost/store"
)

// judge decides about a message of a stranger when all of it is there. It is the
// queue's Inspector.
type judge struct {
	s    *session
	mail *transaction
}

// inspector returns who judges the message, nil when nobody does.
func (s *session) inspector(mail *transaction) queue.Inspector {
	c := &s.server.config
	if !s.stranger() || c.Checker == nil && c.Screen == nil {
		return nil
	}
	return &judge{s, mail}
}

// opinion is all that is known about a message.
type opinion struct {
	report *mailauth.Report // nil: not checked
	found  []screen.Finding
	advice []screen.Advice
	spared string // why the message was not screened
	limits screen.Points
}

// Inspect is [queue.Inspector].
func (j *judge) Inspect(ctx context.Context, m *queue.Inspected) (queue.Verdict, error) {
	o := j.look(ctx, m)
	v, err := j.decide(ctx, m, o)
	j.s.events.judged(m.ID, j.mail.from, o, len(v.Junk), err)
	return v, err
}

// look gathers what is known.
func (j *judge) look(ctx context.Context, m *queue.Inspected) *opinion {
	s, c := j.s, &j.s.server.config
	v := s.seen()
	o := &opinion{}
	var name mailauth.Name
	if v != nil {
		name, o.spared = v.name, v.allowed
	}
	if c.Checker != nil {
		client := mailauth.Client{Remote: s.remote, Helo: s.helo, From: j.mail.from}
		o.report = c.Checker.Check(ctx, client, name, m.Body, m.Size)
	}
	if c.Screen == nil || o.spared != "" {
		return o
	}
	o.limits = c.Screen.Points()
	o.found = s.findings(v)
	o.addSPF()
	o.advice = c.Screen.Filters(ctx, &screen.Mail{
		ID: m.ID, Remote: s.remote, Name: name.Host, Helo: s.helo, From: j.mail.from,
		Recipients: j.mail.recipients, Body: m.Body, Size: m.Size,
	})
	return o
}

func (o *opinion) addSPF() {
	if o.report == nil {
		return
	}
	points := 0.0
	switch o.report.SPF.Result {
	case mailauth.Fail:
		points = o.limits.SPFFail
	case mailauth.SoftFail:
		points = o.limits.SoftFail
	}
	if points > 0 {
		o.found = append(o.found, screen.Finding{Name: "spf", Points: points, Detail: string(o.report.SPF.Result)})
	}
}

// unwanted tells whether the message is called so.
func (o *opinion) unwanted() bool {
	for _, a := range o.advice {
		if a.Junk {
			return true
		}
	}
	return o.limits.Junk > 0 && total(o.found) >= o.limits.Junk
}

// refusal is the refusal for everybody, nil when there is none.
func (o *opinion) refusal() *queue.Refusal {
	for _, a := range o.advice {
		if !a.Refuse {
			continue
		}
		r := &queue.Refusal{Code: 554, Enhanced: "5.7.1", Reason: a.Reply}
		if a.Temporary {
			r.Code, r.Enhanced = 451, "4.7.1"
		}
		if r.Reason == "" {
			r.Reason = "refused by a filter of this server"
		}
		return r
	}
	if o.limits.Refuse > 0 && total(o.found) >= o.limits.Refuse {
		return unwantedMail(o)
	}
	return nil
}

func unwantedMail(o *opinion) *queue.Refusal {
	text := "refused as unwanted"
	if why := reasons(o.found); why != "" {
		text += ": " + why
	}
	return &queue.Refusal{Code: 554, Enhanced: "5.7.1", Reason: text}
}

// decide turns what is known into what becomes of the message: what the
// recipients want done with it, which may not be the same for all. It is refused
// for their sake only when all of them want it so; else it is junk for those.
func (j *judge) decide(ctx context.Context, m *queue.Inspected, o *opinion) (v queue.Verdict, err error) {
	if r := o.refusal(); r != nil {
		return v, r
	}
	refused := 0
	for _, a := range m.Local {
		switch h, err := j.handling(ctx, a, o); {
		case err != nil:
			return v, err
		case h == accounts.Refuse:
			refused++
			fallthrough
		case h == accounts.Junk:
			v.Junk = append(v.Junk, a.ID)
		}
	}
	if refused > 0 && refused == len(m.Local) && !m.Other {
		return queue.Verdict{}, o.refusedByAll()
	}
	v.Fields = o.fields(j.s.server.config.Hostname)
	return v, nil
}

func (o *opinion) refusedByAll() *queue.Refusal {
	if d := o.dmarc(); d.Wanted > mailauth.Nothing {
		return &queue.Refusal{Code: 550, Enhanced: "5.7.1",
			Reason: "refused as the policy of " + d.Domain + " asks: the message is not known to come from there (DMARC)"}
	}
	return unwantedMail(o)
}

func (o *opinion) dmarc() mailauth.DMARC {
	if o.report == nil {
		return mailauth.DMARC{}
	}
	return o.report.DMARC
}

// handling is what an account wants done with a message of which so much is
// known.
func (j *judge) handling(ctx context.Context, a accounts.Account, o *opinion) (accounts.Handling, error) {
	wanted, unwanted := o.dmarc().Wanted, o.unwanted()
	if wanted == mailauth.Nothing && !unwanted {
		return accounts.Mark, nil
	}
	p, err := j.policy(ctx, a.ID)
	if err != nil {
		return 0, fmt.Errorf("policy of %q: %w", a.Address(), err)
	}
	h := accounts.Mark
	switch wanted {
	case mailauth.Reject:
		h = p.DMARC.Or(accounts.Mark)
	case mailauth.Quarantine:
		h = min(p.DMARC.Or(accounts.Mark), accounts.Junk)
	}
	if unwanted {
		h = max(h, p.Spam.Or(accounts.Mark))
	}
	return h, nil
}

func (j *judge) policy(ctx context.Context, id store.AccountID) (accounts.Policy, error) {
	if j.s.server.config.Policy == nil {
		return accounts.Policy{}, nil
	}
	return j.s.server.config.Policy(ctx, id)
}

// fields renders what is known: Authentication-Results, X-Screen and what the
// filters add.
func (o *opinion) fields(hostname string) []byte {
	var b []byte
	for _, a := range o.advice {
		b = append(b, a.Fields...)
	}
	if o.unwanted() {
		b = append(b, "X-Spam-Flag: YES\r\n"...)
	}
	if lines := o.screened(); lines != nil {
		b = append(b, "X-Screen: "+hostname+"; "+strings.Join(lines, ";\r\n\t")+"\r\n"...)
	}
	if o.report != nil {
		b = append(b, o.report.Results(hostname)...)
	}
	return b
}

// screened lists the findings with their reasons, nil when nobody looked.
func (o *opinion) screened() []string {
	if o.spared != "" {
		return []string{"not screened (" + o.spared + ")"}
	}
	if o.limits == (screen.Points{}) && len(o.found) == 0 && len(o.advice) == 0 {
		return nil
	}
	lines := []string{"score=" + score(total(o.found))}
	for _, f := range o.found {
		lines = append(lines, f.Name+"="+score(f.Points)+" ("+commentText(f.Detail)+")")
	}
	for _, a := range o.advice {
		lines = append(lines, a.Name+" ("+commentText(a.Detail)+")")
	}
	return lines
}

func score(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// commentText makes text fit for a comment of a header field.
func commentText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '(':
			return '['
		case r == ')':
			return ']'
		case r == '\\' || r < ' ' || r >= 0x7f:
			return '?'
		}
		return r
	}, s)
}

// String tells all of it in one line, for the log.
func (o *opinion) String() string {
	var parts []string
	if o.report != nil {
		parts = append(parts, o.report.String())
	}
	return strings.Join(append(parts, o.screened()...), "; ")
}
