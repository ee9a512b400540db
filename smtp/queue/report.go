package queue

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"tripost/store"
	"tripost/store/engine"
)

const (
	// maxReturned is how much of the original header a report carries, in octets.
	maxReturned = 64 << 10
	// maxFull is the largest message that a report brings back whole.
	maxFull = 10 << 20
	// maxBeyond is how far reports, and mail for the postmaster, may take an
	// account past its quota, in octets and in messages: who has too much mail must
	// still hear that his own did not arrive (RFC 5321 section 6.1), and the
	// postmaster be reached (section 4.5.1), but nobody fills the disk with either.
	maxBeyond         = 2 * maxFull
	maxBeyondMessages = 1000
)

// exceed lets all copies exceed the quotas of their accounts.
func (p *plan) exceed() {
	for _, c := range p.copies {
		c.exceed()
	}
}

func (c *copyTo) exceed() {
	c.beyond = store.Allowance{Octets: maxBeyond, Messages: maxBeyondMessages}
}

// report prepares the message that tells the sender what became of recipients,
// who all met with the same: a multipart/report of RFC 3464, or of RFC 6533
// where it has to show what is not ASCII. header is the original's.
func (q *Queue) report(ctx context.Context, m *message, a *attempt, about []result, header []byte) (*parcel, error) {
	return q.sendReport(ctx, m, a, about, func(r *renderer) io.Reader {
		return io.MultiReader(r.begin(false), bytes.NewReader(header), r.end())
	})
}

// reportWith is report for a message in the queue. A report of failure brings
// back the whole message if the sender has asked for it (RFC 3461 section 4.3),
// it is not too long, and need not go over TLS alone (RFC 8689 section 5).
func (q *Queue) reportWith(ctx context.Context, m *message, a *attempt, about []result) (*parcel, error) {
	body, err := q.store.OpenBody(ctx, m.body)
	if err != nil {
		return nil, fmt.Errorf("open body of %d: %w", m.id, err)
	}
	defer body.Close()
	if m.returns == ReturnFull && !m.requireTLS && about[0].state == failed && m.size <= min(maxFull, q.o.MaxSize/2) {
		return q.sendReport(ctx, m, a, about, func(r *renderer) io.Reader {
			return io.MultiReader(r.begin(true), io.NewSectionReader(body, m.offset, m.size), r.end())
		})
	}
	header, err := originalHeader(body, m)
	if err != nil {
		return nil, err
	}
	return q.report(ctx, m, a, about, header)
}

func (q *Queue) sendReport(ctx context.Context, m *message, a *attempt, about []result, render func(*renderer) io.Reader) (*parcel, error) {
	r := newRenderer(q, m, a, about)
	env := &Envelope{
		Recipients: []string{m.from},
		Source:     Source{Module: "REPORT", Internal: true, must: about[0].state == failed || about[0].state == deferred},
		Submission: true,
		SMTPUTF8:   r.utf8,
		RequireTLS: m.requireTLS,
	}
	return q.prepare(ctx, env, render(r), q.plan)
}

// originalHeader reads the header of the message as it was to be sent.
func originalHeader(body engine.Body, m *message) ([]byte, error) {
	buf := make([]byte, min(maxReturned, max(body.Size()-m.offset, 0)))
	n, err := body.ReadAt(buf, m.offset)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read body of %d: %w", m.id, err)
	}
	return cutHeader(buf[:n]), nil
}

// cutHeader returns the header at the begin of a message, as far as it is there,
// in whole lines.
func cutHeader(b []byte) []byte {
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		return b[:i+2]
	}
	return b[:bytes.LastIndexByte(b, '\n')+1]
}

// renderer writes a report out.
type renderer struct {
	q        *Queue
	m        *message
	a        *attempt
	about    []result
	utf8     bool // RFC 6533
	boundary string
}

func newRenderer(q *Queue, m *message, a *attempt, about []result) *renderer {
	r := &renderer{q: q, m: m, a: a, about: about, utf8: m.utf8 || !ascii(m.from)}
	for i := range about {
		rcpt := &about[i].recipient
		r.utf8 = r.utf8 || !ascii(shown(rcpt)) || !ascii(rcpt.orcpt)
	}
	r.boundary = fmt.Sprintf("=_report_%d_%d", m.id, a.when.UnixNano())
	return r
}

// subject and action name what the report is about: RFC 3464 section 2.3.3.
func (s state) subject() string {
	switch s {
	case failed:
		return "Your message could not be delivered"
	case deferred:
		return "Your message is delayed"
	default:
		return "Your message has been delivered"
	}
}

func (s state) action() string {
	switch s {
	case failed:
		return "failed"
	case deferred:
		return "delayed"
	case stored:
		return "delivered"
	case expanded:
		return "expanded"
	default:
		return "relayed"
	}
}

// begin writes all that stands before the original.
func (r *renderer) begin(whole bool) io.Reader {
	b := new(bytes.Buffer)
	fmt.Fprintf(b, "From: Mail delivery <MAILER-DAEMON@%s>\r\n", r.q.o.Hostname)
	fmt.Fprintf(b, "To: <%s>\r\nSubject: %s\r\n", r.m.from, r.about[0].state.subject())
	b.WriteString("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n")
	fmt.Fprintf(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n", r.boundary)

	r.part(b, "", "text/plain; charset=utf-8")
	r.text(b)
	r.part(b, "\r\n", r.kind("message/delivery-status", "message/global-delivery-status"))
	r.status(b)
	original := r.kind("text/rfc822-headers", "message/global-headers")
	if whole {
		original = r.kind("message/rfc822", "message/global")
	}
	r.part(b, "\r\n", original)
	return b
}

func (r *renderer) part(b *bytes.Buffer, sep, kind string) {
	fmt.Fprintf(b, "%s--%s\r\nContent-Type: %s\r\n", sep, r.boundary, kind)
	if kind != "message/delivery-status" {
		b.WriteString("Content-Transfer-Encoding: 8bit\r\n")
	}
	b.WriteString("\r\n")
}

func (r *renderer) kind(plain, global string) string {
	if r.utf8 {
		return global
	}
	return plain
}

func (r *renderer) end() io.Reader {
	return strings.NewReader("\r\n--" + r.boundary + "--\r\n")
}

// text writes the part for people.
func (r *renderer) text(b *bytes.Buffer) {
	fmt.Fprintf(b, "This is the mail server %s.\r\n\r\n", r.q.o.Hostname)
	sent := r.m.created.Format(dateForm)
	switch r.about[0].state {
	case deferred:
		fmt.Fprintf(b, "The message that you sent on %s\r\nhas not yet reached the recipients below. You need not send it again:\r\nit will be tried until %s.\r\n",
			sent, r.m.created.Add(r.q.o.ExpireAfter).Format(dateForm))
	case failed:
		fmt.Fprintf(b, "The message that you sent on %s\r\ncould not be delivered to the recipients below. It will not be tried again.\r\n", sent)
	case delivered:
		fmt.Fprintf(b, "The message that you sent on %s\r\nwas taken by the server of the recipients below, which sends no reports.\r\n", sent)
	default:
		fmt.Fprintf(b, "The message that you sent on %s\r\nhas reached the recipients below.\r\n", sent)
	}
	for i := range r.about {
		one := &r.about[i]
		fmt.Fprintf(b, "\r\n<%s>\r\n", shown(&one.recipient))
		who := "This server says"
		if one.remote {
			who = r.a.via + " said"
		}
		fmt.Fprintf(b, "    %s: %s\r\n", who, clean(one.reply, 512))
	}
}

// shown is the address as the sender knows it. Where a list or an alias of ours
// led is not told.
func shown(r *recipient) string {
	if r.original != "" {
		return r.original
	}
	return r.address
}

// status writes the part for programs: RFC 3464 section 2.
func (r *renderer) status(b *bytes.Buffer) {
	if r.m.envelope != "" {
		fmt.Fprintf(b, "Original-Envelope-Id: %s\r\n", r.m.envelope)
	}
	fmt.Fprintf(b, "Reporting-MTA: dns; %s\r\n", r.q.o.Hostname)
	fmt.Fprintf(b, "X-Queue-ID: %d\r\n", r.m.id)
	fmt.Fprintf(b, "Arrival-Date: %s\r\n", r.m.created.Format(dateForm))
	for i := range r.about {
		r.recipient(b, &r.about[i])
	}
}

// recipient writes the fields of one recipient: RFC 3464 section 2.3.
func (r *renderer) recipient(b *bytes.Buffer, one *result) {
	b.WriteString("\r\n")
	if o := one.recipient.orcpt; o != "" {
		kind, addr, _ := strings.Cut(o, ";")
		fmt.Fprintf(b, "Original-Recipient: %s; %s\r\n", kind, addr)
	}
	addr, kind := shown(&one.recipient), "rfc822"
	if !ascii(addr) {
		kind = "utf-8"
	}
	fmt.Fprintf(b, "Final-Recipient: %s; %s\r\n", kind, addr)
	fmt.Fprintf(b, "Action: %s\r\nStatus: %s\r\n", one.state.action(), one.enhanced)
	if one.remote {
		if host, _, _ := strings.Cut(r.a.via, " "); host != "" {
			fmt.Fprintf(b, "Remote-MTA: dns; %s\r\n", clean(host, 255))
		}
		fmt.Fprintf(b, "Diagnostic-Code: smtp; %s\r\n", r.plain(clean(one.reply, 512)))
	}
	fmt.Fprintf(b, "Last-Attempt-Date: %s\r\n", r.a.when.Format(dateForm))
	if one.state == deferred {
		fmt.Fprintf(b, "Will-Retry-Until: %s\r\n", r.m.created.Add(r.q.o.ExpireAfter).Format(dateForm))
	}
}

// plain leaves only ASCII in a report that may have no more.
func (r *renderer) plain(s string) string {
	if r.utf8 {
		return s
	}
	return strings.Map(func(c rune) rune {
		if c >= 0x80 {
			return '?'
		}
		return c
	}, s)
}
