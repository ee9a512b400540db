package e2e

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

// guess is a sign-in with a wrong password that waits for its answer.
type guess struct {
	c    *textConn
	want string
}

// proxied connects as a proxy does for a client, and reads the greeting.
func proxied(t *testing.T, address, client, greeting string) *textConn {
	t.Helper()
	c := dialText(t, address)
	c.send("PROXY TCP4 %s 198.51.100.1 4711 110", client)
	c.want(greeting)
	return c
}

// guessPasswords tries wrong passwords over POP, IMAP and SMTP, each from a client of
// its own, all at once.
func guessPasswords(t *testing.T, s *server, name string, first, count int) {
	t.Helper()
	var all []guess
	for i := first; i < first+count; i++ {
		client, wrong := fmt.Sprintf("192.0.2.%d", i), fmt.Sprint("wrong", i)
		switch i % 3 {
		case 0:
			c := proxied(t, s.pop, client, "+OK")
			c.send("USER %s", address(name))
			c.want("+OK")
			c.send("PASS %s", wrong)
			all = append(all, guess{c, "-ERR [AUTH]"})
		case 1:
			c := proxied(t, s.imap, client, "* OK")
			c.send("a LOGIN %s %s", address(name), wrong)
			all = append(all, guess{c, "a NO [AUTHENTICATIONFAILED]"})
		default:
			c := proxied(t, s.submission, client, "220 ")
			c.send("EHLO client.test")
			c.until("250 ")
			c.send("AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00"+address(name)+"\x00"+wrong)))
			all = append(all, guess{c, "535 "})
		}
	}
	for _, g := range all {
		g.c.want(g.want)
	}
}

// untilAlerted waits until an account has an alert about guesses, and returns the
// list of all alerts. The server makes it behind the answer to the guess.
func untilAlerted(t *testing.T, s *server, name string) string {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		all := s.run("alert", "list")
		if strings.Contains(all, "wrong passwords for "+address(name)) {
			return all
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no alert for %s:\n%s", name, all)
		}
	}
}

// TestGuessedPasswords has somebody guess passwords over all protocols: the owner
// is told once, at the next sign-in, and not again when the guessing goes on.
func TestGuessedPasswords(t *testing.T) {
	t.Parallel()
	s := newServer(t, "security.proxies = [\"127.0.0.1\"]\nsecurity.cleartext_login = \"always\"\nsecurity.sign_in_time = \"10m\"\n", "ann")
	guessPasswords(t, s, "ann", 10, 10)
	if all := untilAlerted(t, s, "ann"); strings.Count(all, "wrong passwords") != 1 {
		t.Errorf("more than one alert:\n%s", all)
	}
	signIn := func(want string) string {
		t.Helper()
		c := proxied(t, s.pop, "192.0.2.200", "+OK")
		c.send("USER %s", address("ann"))
		c.want("+OK")
		c.send("PASS %s", password)
		return c.want(want)
	}
	if line := signIn("-ERR [SYS/TEMP] ALERT: "); !strings.Contains(line, "Somebody has tried") {
		t.Errorf("the sign-in says %q", line)
	}
	guessPasswords(t, s, "ann", 30, 3)
	signIn("+OK")
	if all := s.run("alert", "list"); strings.Contains(all, "wrong passwords") {
		t.Errorf("told again:\n%s", all)
	}
}
