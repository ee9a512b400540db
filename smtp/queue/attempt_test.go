package queue

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"tripost/store"
)

// The pauses between attempts grow, the last one repeats, the sender is told of
// the delay once, and in the end of the failure.
func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	const m, h = time.Minute, time.Hour
	w := newWorld(t, Options{Retry: []time.Duration{5 * m, 10 * m, h}, WarnAfter: 2 * h, ExpireAfter: 5 * h})
	w.submit("ann@example.test", "joe@client.test")
	var pauses []time.Duration
	var subjects []string
	for len(w.items()) > 0 {
		w.try(deferred, "451 4.3.0 not now")
		if items := w.items(); len(items) > 0 {
			pause := items[0].Next.Sub(w.now)
			pauses = append(pauses, pause)
			if len(w.dueNow()) != 0 {
				t.Error("due at once")
			}
			w.pass(pause)
			if len(w.dueNow()) != 1 {
				t.Error("not due when the time has come")
			}
		}
		subjects = append(subjects, subject(w.inbox("ann")))
	}
	if want := []time.Duration{5 * m, 10 * m, h, h, h, h, h}; !slices.Equal(pauses, want) {
		t.Errorf("pauses %v, want %v", pauses, want)
	}
	if want := []string{"", "", "", "", "Your message is delayed", "Your message is delayed", "Your message is delayed", "Your message could not be delivered"}; !slices.Equal(subjects, want) {
		t.Errorf("last report after each attempt: %q, want %q", subjects, want)
	}
	if n := len(w.inbox("ann")); n != 2 {
		t.Errorf("%d reports, want 2", n)
	}
}

// subject returns that of the last message.
func subject(messages []string) string {
	if len(messages) == 0 {
		return ""
	}
	m, err := mail.ReadMessage(strings.NewReader(messages[len(messages)-1]))
	if err != nil {
		return err.Error()
	}
	return m.Header.Get("Subject")
}

// A report has the three parts of RFC 3464, read here by the standard library.
func TestReport(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	id := w.submit("ann@example.test", "joe@client.test", "jim@client.test").ID
	a := w.attemptOf(id, failed, "550 5.1.1 no such user")
	a.results[1].state, a.results[1].reply = delivered, "250 2.0.0 ok"
	must(t, w.settle(w.ctx, a))
	if items := w.items(); len(items) != 0 {
		t.Errorf("still there: %+v", items)
	}
	got := w.inbox("ann")
	if len(got) != 1 {
		t.Fatalf("%d reports", len(got))
	}
	msg, err := mail.ReadMessage(strings.NewReader(got[0]))
	must(t, err)
	for name, want := range map[string]string{
		"Return-Path": "<>", "Auto-Submitted": "auto-replied", "To": "<ann@example.test>",
		"From": "Mail delivery <MAILER-DAEMON@mail.example.test>", "Mime-Version": "1.0",
	} {
		if v := msg.Header.Get(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	if msg.Header.Get("Date") == "" || msg.Header.Get("Message-Id") == "" {
		t.Error("Date or Message-ID is missing")
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	must(t, err)
	if kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Errorf("Content-Type is %q %v", kind, params)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	text := part(t, parts, "text/plain; charset=utf-8")
	for _, want := range []string{"<joe@client.test>", "mx.client.test [192.0.2.1] said: 550 5.1.1 no such user"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q: %s", want, text)
		}
	}
	if strings.Contains(text, "jim@") {
		t.Errorf("the text names who got it: %s", text)
	}
	status := textproto.NewReader(bufio.NewReader(strings.NewReader(part(t, parts, "message/delivery-status"))))
	message, err := status.ReadMIMEHeader()
	must(t, err)
	if v := message.Get("Reporting-Mta"); v != "dns; mail.example.test" {
		t.Errorf("Reporting-MTA is %q", v)
	}
	one, err := status.ReadMIMEHeader()
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Final-Recipient": "rfc822; joe@client.test", "Action": "failed", "Status": "5.1.1",
		"Remote-Mta": "dns; mx.client.test", "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
	} {
		if v := one.Get(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	header := part(t, parts, "text/rfc822-headers")
	if !strings.HasPrefix(header, "Received: ") || !strings.Contains(header, "Subject: hello\r\n") || strings.Contains(header, "first line") {
		t.Errorf("the original header is %q", header)
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

func part(t *testing.T, r *multipart.Reader, kind string) string {
	t.Helper()
	p, err := r.NextPart()
	must(t, err)
	if got := p.Header.Get("Content-Type"); got != kind {
		t.Errorf("part is %q, want %q", got, kind)
	}
	b, err := io.ReadAll(p)
	must(t, err)
	return string(b)
}

// A report is never reported on, and one that reaches nobody is no reason to
// keep the message.
func TestNoReport(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	before := w.blobs()
	w.submit("", "joe@client.test")
	w.try(failed, "550 5.1.1 no such user")
	w.submit("gone@example.test", "joe@client.test")
	w.try(failed, "550 5.1.1 no such user")
	if items := w.items(); len(items) != 0 {
		t.Errorf("still there: %+v", items)
	}
	if n := w.blobs() - before; n != 0 {
		t.Errorf("%d bodies are left", n)
	}
}

// Reports of failures and delays reach a sender whose mailbox is full; other mail
// does not, nor does a report of success.
func TestReportOverQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.quota("ann", 1)
	reports := func(want int) {
		t.Helper()
		if n := len(w.inbox("ann")); n != want {
			t.Errorf("ann has %d reports, want %d", n, want)
		}
	}
	w.submit("ann@example.test", "joe@client.test")
	w.try(failed, "550 5.1.1 no such user")
	reports(1)
	w.submit("ann@example.test", "joe@client.test")
	w.pass(5 * time.Hour)
	w.try(deferred, "450 4.2.1 busy")
	reports(2)
	w.try(failed, "550 5.1.1 no such user")
	reports(3)
	if items := w.items(); len(items) != 0 {
		t.Errorf("left: %+v", items)
	}

	w.rule("ann", "reports: file reports")
	w.submit("ann@example.test", "joe@client.test")
	w.try(failed, "550 5.1.1 no such user")
	w.holds(map[string]int{"ann": 3, "ann/reports": 1})

	if _, err := w.Submit(w.ctx, envelope("x@client.test", "ann@example.test"), strings.NewReader(hello)); !errors.Is(err, store.ErrOverQuota) {
		t.Errorf("other mail: %v", err)
	}
	env := envelope("ann@example.test", "joe@client.test")
	env.Options = []RecipientOptions{{Notify: NotifySuccess}}
	must(t, second(w.Submit(w.ctx, env, strings.NewReader(hello))))
	a := w.attemptOf(w.only().ID, delivered, "250 2.0.0 ok")
	a.results[0].relayed = true
	must(t, w.settle(w.ctx, a))
	reports(3)
}

// A sender who is further over quota than reports may take him hears of a
// failure when he has made room. Until then the message stays; but not for ever.
func TestReportFarOverQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	fill := func() {
		for range 3 {
			_, err := w.Submit(w.ctx, envelope("", "ann@example.test"), strings.NewReader(strings.Repeat(strings.Repeat("x", 98)+"\r\n", maxBeyond/200)))
			must(t, err)
		}
		w.quota("ann", 1)
	}
	fill()
	w.submit("ann@example.test", "joe@client.test")
	w.try(failed, "550 5.1.1 no such user")
	if it := w.only(); it.Attempts != 1 || len(w.inbox("ann")) != 3 {
		t.Errorf("the message is %+v", it)
	}
	w.quota("ann", 1<<40)
	w.try(failed, "550 5.1.1 no such user")
	if items := w.items(); len(items) != 0 || len(w.inbox("ann")) != 4 {
		t.Errorf("left: %+v", items)
	}
	w.quota("ann", 1)
	w.submit("ann@example.test", "joe@client.test")
	for want := 1; want >= 0; want-- {
		w.pass(defaultExpireAfter)
		w.try(failed, "550 5.1.1 no such user")
		if n := len(w.items()); n != want {
			t.Errorf("%d messages wait, want %d", n, want)
		}
	}
}

// A report that finds the queue full is made later.
func TestReportPostponed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{MaxItems: 1, Retry: []time.Duration{time.Hour}})
	w.submit("far@away.test", "joe@client.test")
	w.try(failed, "550 5.1.1 no such user")
	it := w.only()
	if it.Recipients[0].Address != "joe@client.test" || it.Attempts != 1 {
		t.Errorf("the message did not stay: %+v", it)
	}
}

// An attempt on a message that was removed meanwhile changes nothing.
func TestSettleRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	id := w.submit("ann@example.test", "joe@client.test").ID
	a := w.attemptOf(id, failed, "550 5.1.1 no such user")
	must(t, w.steer(Drop, id))
	if err := w.settle(w.ctx, a); err == nil {
		t.Error("no error")
	}
	if n := len(w.inbox("ann")); n != 0 {
		t.Errorf("%d reports", n)
	}
}

// Who was taken is not tried again; who was deferred is.
func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	id := w.submit("ann@example.test", "joe@client.test", "jim@client.test", "jane@client.test").ID
	a := w.attemptOf(id, delivered, "250 2.0.0 ok")
	a.results[1].state, a.results[1].reply = deferred, "450 4.2.1 busy"
	must(t, w.settle(w.ctx, a))
	it := w.only()
	if len(it.Recipients) != 1 || it.Recipients[0].Address != "jim@client.test" || it.Recipients[0].Status != "450 4.2.1 busy" {
		t.Errorf("left: %+v", it.Recipients)
	}
	if n := len(w.inbox("ann")); n != 0 {
		t.Errorf("%d reports", n)
	}
}
