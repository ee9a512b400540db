package queue

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// notify is an envelope with one recipient and its options.
func notify(to string, n Notify) Envelope {
	env := envelope("ann@example.test", to)
	env.EnvelopeID = "order 7"
	env.Options = []RecipientOptions{{Notify: n, Original: "rfc822;o@client.test"}}
	return env
}

// Whose way ends here is reported with the submission itself.
func TestNotifyAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to     string
		n      Notify
		action string // empty: no report
	}{
		{"bob@example.test", NotifySuccess, "delivered"},
		{"bob@example.test", NotifySuccess | NotifyFailure, "delivered"},
		{"bob@example.test", 0, ""},
		{"bob@example.test", NotifyFailure | NotifyDelay, ""},
		{"bob@example.test", NotifyNever, ""},
		{"staff", NotifySuccess, "expanded"},
		{"joe@client.test", NotifySuccess, ""},
	} {
		t.Run(fmt.Sprint(c.to, c.n), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			w.lists(map[string][]string{"staff": {"bob@example.test", "joe@client.test"}})
			_, err := w.Submit(w.ctx, notify(c.to, c.n), strings.NewReader(hello))
			must(t, err)
			reports := w.inbox("ann")
			if c.action == "" {
				if len(reports) != 0 {
					t.Errorf("%d reports", len(reports))
				}
				return
			}
			if len(reports) != 1 {
				t.Fatalf("%d reports", len(reports))
			}
			for _, want := range []string{
				"\r\nOriginal-Envelope-Id: order 7\r\n", "\r\nOriginal-Recipient: rfc822; o@client.test\r\n",
				"\r\nFinal-Recipient: rfc822; " + c.to + "\r\nAction: " + c.action + "\r\nStatus: 2.0.0\r\n",
				"\r\nSubject: hello\r\n",
			} {
				if !strings.Contains(reports[0], want) {
					t.Errorf("the report lacks %q:\n%s", want, reports[0])
				}
			}
		})
	}
}

// A report that the sender cannot take is no reason to refuse the message.
func TestNotifyOverQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.quota("ann", 10)
	_, err := w.Submit(w.ctx, notify("bob@example.test", NotifySuccess), strings.NewReader(hello))
	must(t, err)
	if len(w.inbox("bob")) != 1 || len(w.inbox("ann")) != 0 {
		t.Error("not delivered alone")
	}
}

// The outcome of an attempt is reported if the sender wants to hear of it.
func TestNotifyOfAttempts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n                      Notify
		success, failure, late bool
	}{
		{n: 0, failure: true, late: true},
		{n: NotifyNever},
		{n: NotifySuccess, success: true},
		{n: NotifyFailure, failure: true},
		{n: NotifyDelay, late: true},
		{n: NotifySuccess | NotifyFailure | NotifyDelay, success: true, failure: true, late: true},
	} {
		for _, s := range []state{delivered, failed, deferred} {
			w := newWorld(t, Options{WarnAfter: time.Hour})
			_, err := w.Submit(w.ctx, notify("joe@client.test", c.n), strings.NewReader(hello))
			must(t, err)
			w.pass(2 * time.Hour)
			reply := map[state]string{delivered: "250 2.0.0 ok", failed: "550 5.0.0 no", deferred: "450 4.0.0 not yet"}[s]
			a := w.attemptOf(w.only().ID, s, reply)
			a.results[0].relayed = s == delivered
			must(t, w.settle(w.ctx, a))
			want := map[state]bool{delivered: c.success, failed: c.failure, deferred: c.late}[s]
			if got := len(w.inbox("ann")) == 1; got != want {
				t.Errorf("NOTIFY %d, outcome %d: report is %v, want %v", c.n, s, got, want)
			}
		}
	}
}

// A peer that sends reports itself is left to it.
func TestNotifyByPeer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	_, err := w.Submit(w.ctx, notify("joe@client.test", NotifySuccess), strings.NewReader(hello))
	must(t, err)
	w.try(delivered, "250 2.0.0 ok")
	if n := len(w.inbox("ann")); n != 0 {
		t.Errorf("%d reports", n)
	}
}

func TestReturn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ret   Return
		whole bool
		part  string
	}{
		{0, false, "text/rfc822-headers"},
		{ReturnHeaders, false, "text/rfc822-headers"},
		{ReturnFull, true, "message/rfc822"},
	} {
		w := newWorld(t, Options{})
		env := notify("joe@client.test", NotifyFailure)
		env.Return = c.ret
		_, err := w.Submit(w.ctx, env, strings.NewReader(hello))
		must(t, err)
		w.try(failed, "550 5.0.0 no")
		got := w.inbox("ann")[0]
		if strings.Contains(got, "first line\r\n") != c.whole || !strings.Contains(got, "\r\nContent-Type: "+c.part+"\r\n") {
			t.Errorf("RET %d: %s", c.ret, got)
		}
	}
}

// What is not ASCII is reported in the form of RFC 6533.
func TestReportUTF8(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	env := envelope("ann@example.test", "jürgen@client.test")
	env.SMTPUTF8 = true
	_, err := w.Submit(w.ctx, env, strings.NewReader(hello))
	must(t, err)
	w.try(failed, "550 5.6.7 no")
	got := w.inbox("ann")[0]
	for _, want := range []string{
		"\r\nContent-Type: message/global-delivery-status\r\n", "\r\nContent-Type: message/global-headers\r\n",
		"\r\nFinal-Recipient: utf-8; jürgen@client.test\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q:\n%s", want, got)
		}
	}
}

func TestNotifyAnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, want Notify }{
		{0, 0, 0},
		{NotifyNever, NotifyNever, NotifyNever},
		{NotifyNever, NotifySuccess, NotifySuccess},
		{NotifyNever, 0, NotifyFailure | NotifyDelay},
		{NotifySuccess, 0, NotifySuccess | NotifyFailure | NotifyDelay},
		{NotifySuccess, NotifyFailure, NotifySuccess | NotifyFailure},
	} {
		if got := c.a.and(c.b); got != c.want || c.b.and(c.a) != c.want {
			t.Errorf("%d and %d is %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// Options that could break out of a report are refused.
func TestBadOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, change := range []func(*Envelope){
		func(e *Envelope) { e.EnvelopeID = "a\r\nb" },
		func(e *Envelope) { e.EnvelopeID = strings.Repeat("x", 101) },
		func(e *Envelope) { e.Options[0].Original = "rfc822;a\nb" },
		func(e *Envelope) { e.Options[0].Original = "no type" },
		func(e *Envelope) { e.From = "a> SIZE=1 b@c.test" },
		func(e *Envelope) { e.From = `"a@c.test` },
	} {
		env := notify("bob@example.test", NotifyNever)
		change(&env)
		if _, err := w.Submit(w.ctx, env, strings.NewReader(hello)); err == nil {
			t.Errorf("%+v was taken", env)
		}
	}
	env := notify("bob@example.test", NotifyNever)
	env.From = `"a> b"@c.test`
	if _, err := w.Submit(w.ctx, env, strings.NewReader(hello)); err != nil {
		t.Errorf("a quoted local part: %v", err)
	}
}
