package queue

import (
	"strings"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/syslog"
	"tripost/syslog/syslogtest"
)

// TestNoReportAboutReports lets messages from the null reverse-path fail in all the
// ways there are: nobody hears of it, and nothing is made that could fail again. The
// log shows that a report is not even begun (RFC 5321 section 6.1, RFC 3464 section 2).
func TestNoReportAboutReports(t *testing.T) {
	t.Parallel()
	const all = NotifySuccess | NotifyFailure | NotifyDelay
	elsewhere := func(s state, reply string) func(w *world) {
		return func(w *world) {
			w.pass(2 * time.Hour) // beyond WarnAfter
			a := w.attemptOf(w.only().ID, s, reply)
			for i := range a.results {
				a.results[i].relayed = s == delivered
			}
			must(w.t, w.settle(w.ctx, a))
			if s == deferred {
				must(w.t, w.steer(Drop, w.only().ID))
			}
		}
	}
	for name, c := range map[string]struct {
		to   string
		rule string // of ann
		then func(*world)
		ann  int // what she holds then: the message itself
	}{
		"refused elsewhere":                {"joe@client.test", "", elsewhere(failed, "550 5.1.1 no such user"), 0},
		"late elsewhere":                   {"joe@client.test", "", elsewhere(deferred, "450 4.0.0 not yet"), 0},
		"relayed":                          {"joe@client.test", "", elsewhere(delivered, "250 2.0.0 ok"), 0},
		"bounced by an administrator":      {"joe@client.test", "", func(w *world) { must(w.t, w.steer(Bounce, w.only().ID)) }, 0},
		"given up":                         {"joe@client.test", "", func(w *world) { w.pass(defaultExpireAfter); w.try(deferred, "450 4.0.0 not yet") }, 0},
		"delivered here":                   {"ann@example.test", "", nil, 1},
		"a list":                           {"plain@example.test", "", elsewhere(failed, "550 5.1.1 no such user"), 1},
		"a list with a full member":        {"full@example.test", "", nil, 1},
		"a rule's forward, refused":        {"ann@example.test", "f: forward joe@client.test", elsewhere(failed, "550 5.1.1 no such user"), 1},
		"a rule's forward, here and full":  {"ann@example.test", "f: forward bob@example.test", nil, 1},
		"a vacation":                       {"ann@example.test", `v: vacation "away"`, nil, 1},
		"a group with an owner":            {"owned@example.test", "", elsewhere(failed, "550 5.1.1 no such user"), 1},
		"a group with an owner, all of it": {"mixed@example.test", "", elsewhere(failed, "550 5.1.1 no such user"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, lines := syslogtest.Open(t, syslog.Raw)
			w := newWorld(t, Options{Log: log, WarnAfter: time.Hour})
			w.group("plain", "ann joe@client.test", func(*accounts.Group) {})
			w.group("full", "ann bob", func(*accounts.Group) {})
			w.group("owned", "ann joe@client.test", owned("team"))
			w.group("mixed", "ann bob joe@client.test", owned("team"))
			w.quota("bob", 10)
			if c.rule != "" {
				w.rule("ann", c.rule)
			}
			env := envelope("", c.to)
			env.Options = []RecipientOptions{{Notify: all}}
			env.Return = ReturnFull
			_, err := w.Submit(w.ctx, env, strings.NewReader("From: x@client.test\r\nTo: ann@example.test\r\nSubject: hello\r\n\r\ntext\r\n"))
			must(t, err)
			if c.then != nil {
				c.then(w)
			}
			w.holds(map[string]int{"ann": c.ann, "bob": 0, "team": 0})
			if got := w.waits(); len(got) != 0 {
				t.Errorf("%q wait", got)
			}
			if got, want := w.blobs(), int64(min(c.ann, 1)); got != want {
				t.Errorf("%d bodies are kept, want %d", got, want)
			}
			if text := lines(); strings.Contains(text, "REPORT") || strings.Contains(text, "report to") {
				t.Errorf("a report was begun:\n%s", text)
			}
		})
	}
}
