package queue

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"tripost/smtp/dnstest"
	"tripost/smtp/mtasts"
	"tripost/smtp/resolve"
	"tripost/smtp/send"
	"tripost/smtp/sinktest"
)

// Whatever DNS or a peer does, an attempt has its outcome: sent, deferred with the
// reason, or given back with it.
func TestBrokenWorld(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	valid, expired := a.host("mx.client.test", false), a.host("mx.client.test", true)
	enforce := policies{"client.test": {Mode: mtasts.Enforce, Hosts: []string{"mx.client.test"}}}
	const mx = "client.test. MX 10 mx.client.test.\n"
	const host = "mx.client.test. A 192.0.2.1\n"
	var huge strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&huge, "client.test. MX 10 mx.client.test.\nmx.client.test. A 192.0.2.%d\n", 1+i%2)
	}
	type breakage struct {
		name     string
		zone     string // default: a host that stands
		fails    map[string]dnstest.Failure
		point    string // where the peer does what it says
		says     string
		tls      *tls.Config
		policies policies
		timeouts send.Timeouts
		want     string // how it was secured, or "4 " or "5 " and a part of the reason
	}
	all := []breakage{
		{name: "MX: server failure", fails: map[string]dnstest.Failure{"client.test": dnstest.ServFail}, want: `4 look up MX of "client.test"`},
		{name: "MX: refused", fails: map[string]dnstest.Failure{"client.test": dnstest.Refused}, want: `4 look up MX of "client.test"`},
		{name: "MX: no answer", fails: map[string]dnstest.Failure{"client.test": dnstest.Silent}, want: `4 look up MX of "client.test"`},
		{name: "MX: garbage", fails: map[string]dnstest.Failure{"client.test": dnstest.Garbage}, want: `4 look up MX of "client.test"`},
		{name: "MX: another question", fails: map[string]dnstest.Failure{"client.test": dnstest.Other}, want: `4 look up MX of "client.test"`},
		{name: "MX: cut over UDP", fails: map[string]dnstest.Failure{"client.test": dnstest.Cut}, want: "clear"},
		{name: "MX: cut over TCP too", fails: map[string]dnstest.Failure{"client.test": dnstest.CutTCP}, want: "4 the answer is cut"},
		{name: "MX: aliases in a circle", zone: "client.test. CNAME a.test.\na.test. CNAME client.test.\n", want: "4 too many aliases"},
		{name: "MX: a huge answer", zone: huge.String(), want: "clear"},
		{name: "MX: null", zone: "client.test. MX 0 .\n", want: "5 5.1.10"},
		{name: "MX: no such domain", zone: "other.test. A 192.0.2.1\n", want: "5 5.1.2"},
		{name: "MX: hosts that do not exist", zone: mx, want: "5 5.1.2"},
		{name: "host: server failure", fails: map[string]dnstest.Failure{"mx.client.test": dnstest.ServFail}, want: `4 look up addresses of "mx.client.test"`},
		{name: "host: no answer", fails: map[string]dnstest.Failure{"mx.client.test": dnstest.Silent}, want: `4 look up addresses of "mx.client.test"`},
		{name: "host: aliases in a circle", zone: mx + "mx.client.test. CNAME a.test.\na.test. CNAME mx.client.test.\n", want: "4 too many aliases"},
		{name: "host: one of two fails", zone: mx + host + "client.test. MX 5 bad.client.test.\n", fails: map[string]dnstest.Failure{"bad.client.test": dnstest.ServFail}, want: "clear"},
		{name: "host: nobody listens", zone: mx + "mx.client.test. A 192.0.2.9\n", want: "4 mx.client.test [192.0.2.9]: connection refused"},

		{name: "STARTTLS refused", point: "STARTTLS", says: "454 4.7.0 not now", tls: valid, want: "clear"},
		{name: "STARTTLS refused, policy", point: "STARTTLS", says: "454 4.7.0 not now", tls: valid, policies: enforce, want: "4 STARTTLS: 454 4.7.0 not now"},
		{name: "handshake broken off", point: "handshake", says: sinktest.Hangup, tls: valid, want: "clear"},
		{name: "handshake broken off, policy", point: "handshake", says: sinktest.Hangup, tls: valid, policies: enforce, want: "4 TLS handshake failed"},
		{name: "certificate expired, policy", tls: expired, policies: enforce, want: "4 certificate"},
		{name: "closing at RCPT", point: "RCPT", says: "421 4.3.2 bye", want: "4 421 4.3.2 bye"},
		{name: "nonsense at MAIL", point: "MAIL", says: "what?", want: "4 reply to MAIL"},
		{name: "endless reply", point: "EHLO", says: strings.Repeat("250-x\r\n", 300) + "250 x", want: "4 reply to EHLO"},
		{name: "within the message", point: "DATA", says: sinktest.MidData, want: "4 reply to the message"},
		{name: "at QUIT", point: "QUIT", says: sinktest.Hangup, want: "clear"},
	}
	const short = time.Second // on a busy machine it may be over before the peer falls silent
	for point, timeouts := range map[string]send.Timeouts{
		"greeting": {Command: short}, "EHLO": {Command: short}, "STARTTLS": {Command: short}, "MAIL": {Command: short}, "RCPT": {Command: short},
		"DATA": {DataStart: short}, "data": {DataEnd: short},
	} {
		reply := strings.ReplaceAll(point, "data", "the message")
		gone := breakage{name: "gone at " + point, point: point, says: sinktest.Hangup, want: "4 reply to " + reply}
		silent := breakage{name: "silent at " + point, point: point, says: sinktest.Silence, timeouts: timeouts, want: "4 reply to "}
		if point == "STARTTLS" {
			gone.tls, silent.tls = valid, valid
		}
		all = append(all, gone, silent)
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			n := newInternet()
			sink := sinktest.New(t, sinktest.Options{TLS: c.tls, Extensions: []string{"8BITMIME"}, Reply: func(command, _ string) string {
				if command == c.point {
					return c.says
				}
				return ""
			}})
			n.sinks["192.0.2.1"], n.sinks["192.0.2.2"] = sink, sink
			if c.zone == "" {
				c.zone = mx + host
			}
			server := dnstest.New(t, c.zone)
			timeout := 30 * time.Second
			for name, how := range c.fails {
				server.Fail(name, how)
				if how == dnstest.Silent || how == dnstest.Garbage || how == dnstest.Other {
					timeout = 50 * time.Millisecond // which is waited for in vain
				}
			}
			id := w.submit("ann@example.test", "joe@client.test").ID
			s := NewSender(w.Queue, SenderOptions{
				DNS: resolve.New(resolve.Options{Servers: []string{server.Addr}, Timeout: timeout}), Dial: n.dial, Policies: c.policies, RootCAs: a.pool, Timeouts: c.timeouts,
			})
			got := w.once(s, id)
			if prefix := c.want[:min(2, len(c.want))]; !strings.HasPrefix(got, prefix) || !strings.Contains(got, strings.TrimPrefix(c.want, prefix)) {
				t.Errorf("%q, want %q", got, c.want)
			}
			w.settled(c.want)
		})
	}
}

// settled checks what was recorded of the one attempt to send the only message.
func (w *world) settled(want string) {
	w.t.Helper()
	items, reports := w.items(), len(w.inbox("ann"))
	switch reason, later := strings.CutPrefix(want, "4 "); {
	case later:
		if len(items) != 1 || reports != 0 || items[0].Attempts != 1 || len(items[0].Recipients) != 1 ||
			!strings.Contains(items[0].LastError, reason) || !items[0].Next.Equal(w.clock().Add(w.o.Retry[0])) {
			w.t.Errorf("deferred as %+v with %d reports, want %q", items, reports, reason)
		}
	case strings.HasPrefix(want, "5 "):
		if len(items) != 0 || reports != 1 {
			w.t.Errorf("given back: %+v waits, %d reports", items, reports)
		}
	case len(items) != 0 || reports != 0:
		w.t.Errorf("sent: %+v waits, %d reports", items, reports)
	}
}
