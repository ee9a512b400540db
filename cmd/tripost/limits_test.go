package main

import (
	"net"
	"strings"
	"testing"
	"time"
)

// TestLimits opens one connection more than is allowed, of one address and in
// all.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, limit := range []struct{ config, reason string }{
		{"security.per_address = 1\n", "too many connections from your address"},
		{"security.per_address = 0\npop.channels = 1\nimap.channels = 1\nsmtp.channels = 1\n", "too many connections"},
	} {
		r := startServer(t, newSite(t, limit.config))
		for _, module := range []struct{ name, greeting, busy string }{
			{"POP", "+OK", "-ERR [SYS/TEMP] "},
			{"IMAP", "* OK", "* BYE [UNAVAILABLE] "},
			{"SMTP", "220 ", "421 4.3.2 mail.company.test "},
			{"submission", "220 ", "421 4.3.2 mail.company.test "},
		} {
			first := r.dial(module.name, module.greeting)
			second := r.dial(module.name, module.busy+limit.reason+"\r\n")
			second.expectEnd()
			if module.name != "SMTP" {
				r.dialTLS(module.name).expectEnd() // no handshake, not a word
			}
			first.say("NOOP") // it goes on
			first.line()
			first.Close()
			r.admits(module.name, module.greeting)
		}
	}
}

// dialTLS connects to a TLS port, without a handshake.
func (r *running) dialTLS(module string) *peer {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.address(module, true))
	if err != nil {
		r.t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { nc.Close() })
	return newPeer(r.t, nc)
}

// admits waits until a module takes another connection.
func (r *running) admits(module, greeting string) {
	r.t.Helper()
	eventually(r.t, module+" takes a connection again", func() bool {
		p := r.dial(module, "")
		defer p.Close()
		return strings.HasPrefix(p.line(), greeting)
	})
}
