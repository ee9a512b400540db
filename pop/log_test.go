package pop

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"tripost/syslog"
)

// A session as the log tells it, down to the raw octets: every command, sign-in
// and refusal, one closing line, and no secret.
func TestLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	lines := w.logTo(syslog.Raw)
	w.deliver("ann/INBOX", "Subject: x\r\n\r\nconfidential\r\n")
	c := w.client()
	secrets := []string{"confidential", "s3cr3t", base64.StdEncoding.EncodeToString([]byte("\x00ann\x00s3cr3t"))}
	c.do("USER ann")
	c.ask("PASS s3cr3t")
	c.ask("AUTH PLAIN " + secrets[2])
	c.exchange("AUTH PLAIN")
	c.ask(secrets[2])
	c.ask(secrets[2]) // a client that has lost its place
	c.do("USER annie\x1b[31m")
	c.do("USER ann")
	c.do("PASS " + annPassword)
	c.ask("PASS s3cr3t") // and one that signs in twice
	c.ask("AUTH PLAIN " + secrets[2])
	c.do("RETR 1")
	c.rest()
	c.do("TOP 1 0")
	c.rest()
	c.do("XTND XMIT")
	c.do("From: ann@example.test\r\nTo: bob@other.test\r\n\r\nconfidential\r\n.")
	c.do("DELE 1")
	c.do("QUIT")
	w.stop()
	log := lines()
	for _, s := range append(secrets, annPassword+"\n", "\x1b") {
		if strings.Contains(log, s) {
			t.Errorf("%q is in the log", s)
		}
	}
	for _, want := range []string{
		`POP-000001\(\[127\.0\.0\.1\]:\d+\) cmd: USER ann\n`,
		`cmd: PASS \*\*\*\n`,
		`cmd: AUTH PLAIN \*\*\*\n`,
		`cmd: unknown, \d+ octets\n`,
		`rsp: \+OK please send the PASS\n`,
		`1 POP-000001\(.*\) login\('ann'\) failed: wrong password`,
		`2 POP-000001\(.*\) 'ann' connected\(PASS\)`,
		`2 POP-000001\(.*\) \[1001\] received\(ann@example\.test\) for 1 recipients\n`,
		`2 POP-000001\(.*\) ACCOUNT\(ann@example\.test\) disconnected: quit; retrieved 1, top 1, deleted 1, submitted 1, octets 42\n`,
	} {
		if !regexp.MustCompile(want).MatchString(log) {
			t.Errorf("no line like %s in the log:\n%s", want, log)
		}
	}
	if n := strings.Count(log, "disconnected"); n != 1 {
		t.Errorf("%d closing lines", n)
	}
}
