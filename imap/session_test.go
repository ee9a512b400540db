package imap

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tripost/store"
	"tripost/syslog"
	"tripost/wire/wiretest"
)

// TestSecrets reads the log at its most detailed level: no password, no SASL
// response and no text of a message may be in it.
func TestSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	lines := w.logTo(syslog.Raw)
	c := w.connect("ann")
	c.do("NOOP")
	c.do(`ID ("name" "client")`)
	c.do("APPEND INBOX {33+}\r\nSubject: private\r\n\r\nprivate text")
	c.do("SELECT INBOX")
	c.do("FETCH 1 (FLAGS BODY[])")
	c.do("FETCH 1 (ENVELOPE BODY[TEXT]<2.100>)")
	c.try("LOGIN ann " + password)
	for _, attempt := range []string{
		"a LOGIN ann \"" + password + "\"\r\n",
		"a LOGIN {3+}\r\nann {6+}\r\n" + password + "\r\n",
		"a AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=\r\n",
		"a AUTHENTICATE PLAIN\r\nAGFubgBzZWNyZXQ=\r\n",
		"a LOGON ann " + password + "\r\n",
		"LOGIN ann " + password + "\r\n",
	} {
		converseRaw(t, w, attempt+"b LOGOUT\r\n")
	}
	log := lines()
	for _, secret := range []string{password, "AGFubgBzZWNyZXQ=", "private", "vate text"} {
		if i := strings.Index(log, secret); i >= 0 {
			t.Errorf("the log has %q: %s", secret, log[max(0, i-200):min(len(log), i+100)])
		}
	}
	for _, want := range []string{"cmd: t1 LOGIN ***", "cmd: t2 NOOP", "client ID: name=client", "rsp: t2 OK"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %q:\n%s", want, log)
		}
	}
}

// converseRaw sends octets and reads until the server closes the connection.
func converseRaw(t *testing.T, w *world, text string) string {
	t.Helper()
	nc := w.dial()
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(wiretest.Patience))
	_, err := io.WriteString(nc, text)
	must(t, err)
	answer, err := io.ReadAll(nc)
	must(t, err)
	return string(answer)
}

// TestBlockedClient has a client ask for more than the network takes and not read
// it: others are served, and changes are made, as if it were not there.
func TestBlockedClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.wire.Write = time.Minute
	big := "Subject: big\r\n\r\n" + strings.Repeat(strings.Repeat("x", 998)+"\r\n", 2000)
	for range 8 {
		w.deliver("ann/INBOX", big)
	}
	blocked := w.connect("ann")
	blocked.do("SELECT INBOX")
	fmt.Fprint(blocked.nc, "x FETCH 1:* (BODY[])\r\n")
	other := w.connect("ann")
	other.do("SELECT INBOX")
	for seq := 1; seq <= 8; seq++ {
		if got := fetched(t, other.do(fmt.Sprintf("FETCH %d BODY.PEEK[TEXT]", seq))[0])["BODY[TEXT]"].text; len(got) == 0 {
			t.Fatal("no text")
		}
	}
	other.do("STORE 1:* +FLAGS.SILENT (\\Deleted)")
	if n := len(other.do("EXPUNGE")); n != 8 {
		t.Fatalf("%d responses to EXPUNGE", n)
	}
	w.deliver("ann/INBOX", "Subject: new\r\n\r\n")
	// The blocked client still gets whole what it gets, and hears the news.
	blocked.nc.SetDeadline(time.Now().Add(wiretest.Patience))
	given, exists := 0, false
	for r := blocked.read(); r.tag == "*"; r = blocked.read() {
		exists = exists || r.word(1) == "EXISTS"
		if r.word(1) != "FETCH" {
			continue
		}
		if text, found := fetched(t, r)["BODY[]"]; found {
			if given++; text.text != big {
				t.Fatalf("message %d has %d octets", given, len(text.text))
			}
		}
	}
	if given == 0 || !exists {
		t.Errorf("%d messages given, EXISTS told: %v", given, exists)
	}
}

// TestHalfClosed has clients that go away in the middle of everything.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	for _, text := range []string{
		"", "a", "a NOOP", "a LOGIN {5+}\r\nab", "a AUTHENTICATE PLAIN\r\n",
		"a LOGIN ann secret\r\nb APPEND INBOX {100+}\r\nSubject",
		"a LOGIN ann secret\r\nb IDLE\r\n",
		"a LOGIN ann secret\r\nb SELECT INBOX\r\nc IDLE\r\nDO",
	} {
		nc := w.dial()
		nc.SetDeadline(time.Now().Add(wiretest.Patience))
		_, err := io.WriteString(nc, text)
		must(t, err)
		must(t, nc.(*net.TCPConn).CloseWrite())
		if answer, err := io.ReadAll(nc); err != nil {
			t.Errorf("after %q: %q, %v", text, answer, err)
		}
		nc.Close()
	}
	if c := w.connect("ann"); len(c.do("STATUS INBOX (MESSAGES)")) != 1 {
		t.Error("no STATUS")
	}
}

// TestSearchProgress has a search tell that it is alive, and end when its client
// has gone or the server stops.
func TestSearchProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.config.Timeouts.Progress = 1
	w.fill(t, "ann/INBOX", 50)
	c := w.connect("ann")
	c.do("SELECT INBOX")
	alive := 0
	for _, r := range c.do("SEARCH BODY nowhere") {
		if r.word(0) == "OK" {
			alive++
		}
	}
	if alive < 2 { // messages are read in batches
		t.Errorf("%d signs of life", alive)
	}
	// A client that is gone is noticed by them: the session ends on its own.
	fmt.Fprintf(c.nc, "%s", strings.Repeat("x SEARCH BODY nowhere\r\n", 100))
	c.nc.(*net.TCPConn).SetLinger(0)
	c.nc.Close()
	other := w.connect("ann")
	other.do("SELECT INBOX")
	fmt.Fprintf(other.nc, "%s", strings.Repeat("x SEARCH BODY nowhere\r\n", 1000))
	w.cancel()
	last := ""
	other.nc.SetDeadline(time.Now().Add(wiretest.Patience))
	for r := other.read(); ; r = other.read() {
		if last = r.word(0); last == "BYE" {
			break
		}
	}
}

// TestIdlePush makes many changes one after the other and waits for the news of
// each: no wake-up may be lost.
func TestIdlePush(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.deliver("ann/INBOX", "Subject: one\r\n\r\n")
	c := w.connect("ann")
	c.do("SELECT INBOX")
	fmt.Fprint(c.nc, "x IDLE\r\n")
	c.read()
	v := w.open("ann/INBOX")
	ops := []store.FlagOp{store.FlagsAdd, store.FlagsRemove}
	for i := range 1000 {
		_, _, err := v.SetFlags(w.ctx, uids(t, "1"), ops[i%2], flagSet(t, `\Seen`), 0)
		must(t, err)
		c.nc.SetDeadline(time.Now().Add(wiretest.Patience))
		if r := c.read(); r.word(1) != "FETCH" {
			t.Fatalf("change %d: %v", i, r)
		}
	}
}
