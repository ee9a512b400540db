package queue

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
)

// maxReturned is how much of the original header a report carries, in octets.
const maxReturned = 64 << 10

// report prepares the message that tells the sender of failed or delayed
// recipients: a multipart/report of RFC 3464 with the original's header.
func (q *Queue) report(ctx context.Context, m *message, a *attempt, about []result, s state) (*parcel, error) {
	header, err := q.originalHeader(ctx, m)
	if err != nil {
		return nil, err
	}
	env := &Envelope{
		Recipients: []string{m.from},
		Source:     Source{Module: "REPORT", Internal: true},
		Submission: true,
	}
	body := q.renderReport(m, a, about, s, header)
	return q.prepare(ctx, env, bytes.NewReader(body))
}

// originalHeader reads the header of the message as it was to be sent.
func (q *Queue) originalHeader(ctx context.Context, m *message) ([]byte, error) {
	body, err := q.store.OpenBody(ctx, m.body)
	if err != nil {
		return nil, fmt.Errorf("open body of %d: %w", m.id, err)
	}
	defer body.Close()
	buf := make([]byte, min(maxReturned, max(body.Size()-m.offset, 0)))
	n, err := body.ReadAt(buf, m.offset)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read body of %d: %w", m.id, err)
	}
	buf = buf[:n]
	if i := bytes.Index(buf, []byte("\r\n\r\n")); i >= 0 {
		return buf[:i+2], nil
	}
	if i := bytes.LastIndexByte(buf, '\n'); i >= 0 {
		return buf[:i+1], nil
	}
	return nil, nil
}

// renderReport writes a report out.
func (q *Queue) renderReport(m *message, a *attempt, about []result, s state, header []byte) []byte {
	b := new(bytes.Buffer)
	boundary := fmt.Sprintf("=_report_%d_%d", m.id, a.when.UnixNano())
	subject := "Your message could not be delivered"
	if s == deferred {
		subject = "Your message is delayed"
	}
	fmt.Fprintf(b, "From: Mail delivery <MAILER-DAEMON@%s>\r\n", q.o.Hostname)
	fmt.Fprintf(b, "To: <%s>\r\nSubject: %s\r\n", m.from, subject)
	b.WriteString("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n")
	fmt.Fprintf(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n", boundary)

	fmt.Fprintf(b, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", boundary)
	q.renderText(b, m, a, about, s)
	fmt.Fprintf(b, "\r\n--%s\r\nContent-Type: message/delivery-status\r\n\r\n", boundary)
	q.renderStatus(b, m, a, about, s)
	fmt.Fprintf(b, "\r\n--%s\r\nContent-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", boundary)
	b.Write(header)
	fmt.Fprintf(b, "\r\n--%s--\r\n", boundary)
	return b.Bytes()
}

// renderText writes the part for people.
func (q *Queue) renderText(b *bytes.Buffer, m *message, a *attempt, about []result, s state) {
	fmt.Fprintf(b, "This is the mail server %s.\r\n\r\n", q.o.Hostname)
	if s == deferred {
		fmt.Fprintf(b, "The message that you sent on %s\r\nhas not yet reached the recipients below. You need not send it again:\r\nit will be tried until %s.\r\n",
			m.created.Format(dateForm), m.created.Add(q.o.ExpireAfter).Format(dateForm))
	} else {
		fmt.Fprintf(b, "The message that you sent on %s\r\ncould not be delivered to the recipients below. It will not be tried again.\r\n",
			m.created.Format(dateForm))
	}
	for _, r := range about {
		fmt.Fprintf(b, "\r\n<%s>\r\n", shown(&r.recipient))
		who := "This server says"
		if r.remote {
			who = a.via + " said"
		}
		fmt.Fprintf(b, "    %s: %s\r\n", who, clean(r.reply, 512))
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

// renderStatus writes the part for programs: RFC 3464 section 2.
func (q *Queue) renderStatus(b *bytes.Buffer, m *message, a *attempt, about []result, s state) {
	fmt.Fprintf(b, "Reporting-MTA: dns; %s\r\n", q.o.Hostname)
	fmt.Fprintf(b, "X-Queue-ID: %d\r\n", m.id)
	fmt.Fprintf(b, "Arrival-Date: %s\r\n", m.created.Format(dateForm))
	for _, r := range about {
		action := "failed"
		if s == deferred {
			action = "delayed"
		}
		fmt.Fprintf(b, "\r\nFinal-Recipient: rfc822; %s\r\n", shown(&r.recipient))
		fmt.Fprintf(b, "Action: %s\r\nStatus: %s\r\n", action, r.enhanced)
		if r.remote {
			if host, _, _ := strings.Cut(a.via, " "); host != "" {
				fmt.Fprintf(b, "Remote-MTA: dns; %s\r\n", host)
			}
			fmt.Fprintf(b, "Diagnostic-Code: smtp; %s\r\n", clean(r.reply, 512))
		}
		fmt.Fprintf(b, "Last-Attempt-Date: %s\r\n", a.when.Format(dateForm))
		if s == deferred {
			fmt.Fprintf(b, "Will-Retry-Until: %s\r\n", m.created.Add(q.o.ExpireAfter).Format(dateForm))
		}
	}
}
