package pop

import (
	"strings"
	"testing"
	"time"

	"tripost/store"
	"tripost/syslog"
)

// What the policies do is in the log: who had to wait, what expired, and whose
// mailbox was nearly emptied. That the owner could not be told is there too.
func TestPolicyLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	lines := w.logTo(syslog.Problem)
	w.config.Hold = Hold{Messages: 1, Percent: 10}
	w.policy["ann"] = Policy{LoginDelay: time.Hour}
	w.policy["bob"] = Policy{ExpireDays: 1}
	w.alerts.fail = store.ErrNoAccount
	w.deliver("ann/INBOX", "one\r\n")
	w.deliver("ann/INBOX", "two\r\n")
	c := w.signedIn("ann", annPassword)
	c.do("DELE 1")
	c.do("QUIT")
	c = w.client()
	c.do("USER ann")
	if got := c.ask("PASS " + annPassword); !strings.HasPrefix(got, "-ERR [LOGIN-DELAY] ") {
		t.Errorf("got %s", got)
	}
	c.do("USER bob@other.test")
	c.do("PASS " + bobPassword)
	c.do("QUIT")
	w.stop()
	log := lines()
	for _, want := range []string{
		"HOLD: 1 of 2 messages were removed from INBOX by a POP session of ann@example.test from 127.0.0.1 at ",
		"HOLD: tell the owner of \"INBOX\": no such account",
		"login('ann') refused: LOGIN-DELAY, 3600 s to wait",
		"look for alerts for ann@example.test: no such account",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log:\n%s", want, log)
		}
	}
	if strings.Contains(log, "EXPIRE") {
		t.Errorf("something expired:\n%s", log)
	}
}
