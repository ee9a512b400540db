package e2e

import (
	"strings"
	"testing"
)

// TestAlerts posts alerts on a running server: POP tells one for each attempt to
// sign in, IMAP tells them in the session, and nobody is told twice.
func TestAlerts(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann", "bob")
	s.run("alert", "post", "--account", address("ann"), "Your key is at the desk")
	s.run("alert", "post", "--server", "We stop at six")

	for _, want := range []string{"Your key is at the desk", "We stop at six"} {
		pop := dialText(t, s.pop)
		pop.want("+OK")
		pop.send("USER %s", address("ann"))
		pop.want("+OK")
		pop.send("PASS wrong")
		pop.want("-ERR [AUTH]")
		pop.send("USER %s", address("ann"))
		pop.want("+OK")
		pop.send("PASS %s", password)
		if line := pop.want("-ERR [SYS/TEMP]"); !strings.Contains(line, want) {
			t.Errorf("sign-in says %q, want the alert %q", line, want)
		}
	}
	signInPOP(t, s, address("ann"))

	imap := signInIMAP(t, s, "ann") // has been told of both
	imap.send("b SELECT INBOX")
	if lines := imap.until("b OK"); strings.Contains(strings.Join(lines, "\n"), "[ALERT]") {
		t.Errorf("told again: %q", lines)
	}
	imap.send("c IDLE")
	imap.want("+")
	s.run("alert", "post", "--domain", domain, "The lift is broken")
	if line := imap.want("* OK [ALERT]"); !strings.Contains(line, "The lift is broken") {
		t.Errorf("the idling session heard %q", line)
	}
}
