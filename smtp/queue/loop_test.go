package queue

import (
	"net"
	"strings"
	"testing"

	"tripost/smtp/sinktest"
)

// ourselves is a peer that calls itself by our name, as this server does behind an
// address that is not its own.
func ourselves(t *testing.T, at, reply string) *sinktest.Sink {
	return sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
		if command == at {
			return reply
		}
		return ""
	}})
}

// Mail that would come back to us is given back at once, however it would come.
func TestLoopsBack(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*testing.T, *internet){
		"by the greeting": func(t *testing.T, n *internet) {
			n.host("client.test", "203.0.113.1", ourselves(t, "greeting", "220 MAIL.example.test ESMTP ready"))
		},
		"by the reply to EHLO": func(t *testing.T, n *internet) {
			n.host("client.test", "203.0.113.1", ourselves(t, "EHLO", "250-mail.example.test\r\n250 PIPELINING"))
		},
		"by the name of the MX": func(t *testing.T, n *internet) {
			n.mx["client.test"] = []*net.MX{{Host: "mail.example.test.", Pref: 10}}
			n.host("mail.example.test", "203.0.113.1", nil)
		},
		"not preferred to us": func(t *testing.T, n *internet) {
			n.mx["client.test"] = []*net.MX{{Host: "nat.test.", Pref: 10}, {Host: "other.test.", Pref: 20}}
			n.host("nat.test", "203.0.113.1", ourselves(t, "greeting", "220 mail.example.test ESMTP"))
			n.host("other.test", "192.0.2.1", sinktest.New(t, sinktest.Options{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			n := newInternet()
			set(t, n)
			w.submit("ann@example.test", "joe@client.test")
			w.run(n, SenderOptions{})
			w.until("it has come back", func() bool { return w.empty() && len(w.inbox("ann")) == 1 })
			if report := w.inbox("ann")[0]; !strings.Contains(report, "\r\nStatus: 5.4.6\r\n") {
				t.Errorf("the report is %s", report)
			}
		})
	}
}

// While a host that is preferred to us cannot be found or reached, its mail waits
// here: that is what a backup is for.
func TestBackupWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ first, us, reason string }{
		"found by nobody, we by our name":       {"servfail.test.", "mail.example.test.", `look up addresses of "servfail.test"`},
		"found by nobody, we behind a router":   {"servfail.test.", "nat.test.", `look up addresses of "servfail.test"`},
		"reached by nobody, we by our name":     {"down.test.", "mail.example.test.", "connect to down.test [192.0.2.9]: connection refused"},
		"reached by nobody, we behind a router": {"down.test.", "nat.test.", "connect to down.test [192.0.2.9]: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			n := newInternet()
			behind := sinktest.New(t, sinktest.Options{})
			n.mx["client.test"] = []*net.MX{{Host: c.first, Pref: 10}, {Host: c.us, Pref: 20}, {Host: "behind.test.", Pref: 30}}
			n.host("down.test", "192.0.2.9", nil)
			n.host("mail.example.test", "203.0.113.1", nil)
			n.host("nat.test", "203.0.113.2", ourselves(t, "greeting", "220 mail.example.test ESMTP"))
			n.host("behind.test", "192.0.2.1", behind)
			w.submit("ann@example.test", "joe@client.test")
			w.run(n, SenderOptions{})
			for attempts := range 2 { // the second time by order
				w.until("it was tried", func() bool { return w.empty() || w.only().Attempts > attempts })
				if got := w.only().LastError; !strings.Contains(got, c.reason) {
					t.Errorf("put off because %q", got)
				}
				if attempts == 0 {
					must(t, w.steer(Retry, w.only().ID))
				}
			}
			if behind.Connections() > 0 || len(w.inbox("ann")) > 0 {
				t.Errorf("%d connections to a host behind us, %d reports", behind.Connections(), len(w.inbox("ann")))
			}
		})
	}
}

// A neighbour on this machine has our name too, at a port of its own.
func TestNeighbourWithOurName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	s := ourselves(t, "greeting", "220 mail.example.test ESMTP")
	n.host("mail.example.test", "192.0.2.1", s)
	w.submit("ann@example.test", "joe%client.test@mail.example.test.2525._via")
	w.run(n, SenderOptions{})
	w.until("it is sent", w.empty)
	s.Wait(1)
}
