package smtp

import (
	"strings"
	"testing"
	"time"

	"tripost/smtp/dnstest"
	"tripost/smtp/screen"
)

// strangers is a world whose clients on loopback are strangers, on a list, and
// without a name.
func strangers(t *testing.T, held ...string) *world {
	w := newWorld(t)
	w.zone = "1.0.0.127.list.test. A 127.0.0.2\n1.0.0.127.good.test. A 127.0.0.2\n"
	w.held = held
	w.screen.Lists = []screen.List{{Zone: "list.test", Points: 8}}
	w.screen.Points = screen.Points{NoName: 2, Junk: 5, Refuse: 10}
	return w
}

// A recipient does not wait longer for the DNS than it may, and is not refused
// because of what is not known; the message is judged by what is known then.
func TestRecipientDoesNotWait(t *testing.T) {
	t.Parallel()
	for _, held := range []string{"1.0.0.127.list.test", "1.0.0.127.in-addr.arpa"} {
		w := strangers(t, held)
		w.config.Timeouts.Host = -1
		w.listen()
		c := w.script().Begin(t, "stranger")
		c.Each("HI", "C: MAIL FROM:<joe@client.test>", "S: 250 *", "C: RCPT TO:<ann@example.test>", "S: 250 *", "C: DATA", "S: 354 *")
		w.dns.Fail(held, dnstest.None)
		c.Each("C: Subject: test", "C:", "C: .", "S: 554 5.7.1 refused as unwanted: listed *, no-name *")
	}
}

// While an allow list has not answered, no other list speaks against the host.
func TestAllowListAnswersLate(t *testing.T) {
	t.Parallel()
	w := strangers(t, "1.0.0.127.good.test")
	w.screen.AllowLists = []screen.List{{Zone: "good.test"}}
	w.config.Timeouts.Host = time.Millisecond
	w.listen()
	c := w.script().Begin(t, "stranger")
	c.Each("HI", "C: MAIL FROM:<joe@client.test>", "S: 250 *", "C: RCPT TO:<ann@example.test>", "S: 250 *", "C: DATA", "S: 354 *")
	w.dns.Fail("1.0.0.127.good.test", dnstest.None)
	c.Each("C: Subject: test", "C:", "C: .", "S: 250 *")
	if got := w.mailbox("ann@example.test/INBOX"); len(got) != 1 || !strings.Contains(got[0], "not screened (allowed by good.test)") {
		t.Errorf("delivered: %q", got)
	}
}

// A session that ends does not wait for the DNS, and neither does a user.
func TestSessionEndsWhileTheDNSIsSilent(t *testing.T) {
	t.Parallel()
	w := strangers(t, "1.0.0.127.list.test", "1.0.0.127.in-addr.arpa")
	w.config.Timeouts.Host = time.Hour
	w.listen()
	c := w.script().Begin(t, "user")
	c.Each("HI", "SECURE", "IN ann@example.test", "SEND ann@example.test bob@example.test", "C: QUIT", "S: 221 *", "EOF")
	c = w.script().Begin(t, "stranger")
	c.Each("HI", "C: MAIL FROM:<joe@client.test>", "S: 250 *", "C: QUIT", "S: 221 *", "EOF")
}

// The DNS is asked when the client connects, once for all its recipients.
func TestDNSIsAskedAtTheConnection(t *testing.T) {
	t.Parallel()
	w := strangers(t)
	w.listen()
	c := w.script().Begin(t, "stranger")
	c.Each("HI")
	w.dns.WaitAsked("1.0.0.127.list.test", "A")
	refused := "S: 550 5.7.1 refused: listed *, no-name *"
	c.Each("C: MAIL FROM:<joe@client.test>", "S: 250 *", "C: RCPT TO:<ann@example.test>", refused, "C: RCPT TO:<bob@example.test>", refused)
	if n := w.dns.Asked("1.0.0.127.list.test", "A"); n != 1 {
		t.Errorf("the list was asked %d times", n)
	}
}
