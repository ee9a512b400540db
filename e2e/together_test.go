package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// TestSeenIsTold has an IMAP session idle while a POP session retrieves: RETR
// shows as \Seen without the IMAP client asking, TOP does not.
func TestSeenIsTold(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann")
	s.deliver("ann", 2)
	imap := signInIMAP(t, s, "ann")
	imap.send("b SELECT INBOX")
	imap.until("b OK")
	imap.send("c IDLE")
	imap.want("+")
	pop := signInPOP(t, s, address("ann"))
	pop.send("TOP 2 100")
	pop.want("+OK")
	pop.dotText()
	pop.send("RETR 1")
	pop.want("+OK")
	pop.dotText()
	if line := imap.line(); !strings.HasPrefix(line, "* 1 FETCH (") || !strings.Contains(line, `\Seen`) {
		t.Errorf("the idling session heard %q, not that message 1 is seen", line)
	}
	pop.send("DELE 2")
	pop.want("+OK")
	pop.send("QUIT")
	pop.want("+OK")
	imap.want("* 2 EXPUNGE")
	imap.send("DONE")
	imap.until("c OK")
}

// TestXMIT sends over POP to a local and a remote recipient: one queue id, one
// copy delivered, one queued, and each step in the System Log.
func TestXMIT(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann", "bob")
	pop := signInPOP(t, s, address("ann"))
	pop.send("XTND XMIT")
	pop.want("+OK")
	for _, line := range []string{
		"From: ann@company.test", "To: bob@company.test, far@elsewhere.test", "Bcc: ann@company.test",
		"Subject: by XMIT", "", "..a line that begins with a dot",
	} {
		pop.send("%s", line)
	}
	pop.send(".")
	reply := pop.want("+OK")
	id := regexp.MustCompile(`\d+`).FindString(reply)
	if id == "" {
		t.Fatalf("no queue id in %q", reply)
	}
	pop.send("QUIT")
	pop.want("+OK")

	for _, name := range []string{"ann", "bob"} {
		got := s.run("message", "export", address(name), "INBOX", "-")
		if !strings.Contains(got, "\nSubject: by XMIT\n") || !strings.Contains(got, "\n.a line that begins with a dot\n") {
			t.Errorf("%s received:\n%s", name, got)
		}
		if strings.Contains(got, "Bcc:") {
			t.Errorf("%s can see the Bcc field:\n%s", name, got)
		}
		for _, want := range []string{"Return-Path: <ann@company.test>\n", "with XMIT id " + id, "(account ann", "\nDate: ", "\nMessage-ID: "} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is missing in:\n%s", want, got)
			}
		}
	}
	list := s.run("queue", "show", id)
	if !strings.Contains(list, "<far@elsewhere.test>") || strings.Contains(list, "bob@") {
		t.Errorf("queue show %s printed:\n%s", id, list)
	}
	var log string
	for _, want := range []string{
		`QUEUE\(\[` + id + `\]\).*<ann@company\.test>`,
		`LOCAL.*\b` + id + `\b.*bob|LOCAL.*bob.*\b` + id + `\b`,
		`\b` + id + `\b.*far@elsewhere\.test`,
		`POP-\d+\(\[127\.0\.0\.1\]:\d+\) .*` + id,
	} {
		line := regexp.MustCompile(want)
		until(t, "the System Log has a line like "+want, func() bool {
			log = s.run("log")
			return line.MatchString(log)
		})
	}
	if strings.Contains(log, password) {
		t.Error("the password is in the log")
	}
}

// TestNoLock has two POP sessions and an IMAP session on one mailbox while mail
// comes in: none waits, and each keeps its own numbers.
func TestNoLock(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann")
	s.deliver("ann", 3)
	first, second := signInPOP(t, s, address("ann")), signInPOP(t, s, "INBOX#ann%"+domain)
	s.deliver("ann", 1)
	first.send("STAT")
	first.want("+OK 3 ")
	second.send("DELE 1")
	second.want("+OK")
	second.send("QUIT")
	second.want("+OK")
	first.send("RETR 1")
	first.want("-ERR")
	first.send("RETR 2")
	first.want("+OK")
	first.dotText()
	first.send("STAT")
	first.want("+OK 3 ")
	first.send("QUIT")
	first.want("+OK")
	s.wantSubjects(t, "ann", "INBOX", "letter 2", "letter 3", "letter 1")
}

// TestForeignMailbox reads a shared mailbox over POP and IMAP, and is refused
// what the access control list does not grant.
func TestForeignMailbox(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann", "boss")
	s.deliver("boss", 1)
	pop := dialText(t, s.pop)
	pop.want("+OK")
	pop.send("USER ~boss/INBOX#%s", address("ann"))
	pop.want("+OK")
	pop.send("PASS %s", password)
	pop.want("-ERR")
	s.run("mailbox", "acl", "set", address("boss"), "INBOX", address("ann"), "lr")
	pop = signInPOP(t, s, "~boss/INBOX#"+address("ann"))
	pop.send("RETR 1")
	pop.want("+OK")
	pop.dotText()
	pop.send("DELE 1")
	pop.want("-ERR")
	pop.send("QUIT")
	pop.want("+OK")
	imap := signInIMAP(t, s, "ann")
	imap.send(`b LIST "" "~boss/*"`)
	if lines := imap.until("b OK"); len(lines) != 2 || !strings.Contains(lines[0], "~boss/INBOX") {
		t.Errorf("LIST answered %q", lines)
	}
	imap.send("c SELECT ~boss/INBOX")
	imap.until("c OK")
	imap.send(`d STORE 1 +FLAGS (\Deleted)`)
	imap.until("d NO")
	imap.send("e FETCH 1 (FLAGS)")
	if lines := imap.until("e OK"); strings.Contains(lines[0], `\Seen`) {
		t.Errorf("seen by a session without the right s: %q", lines)
	}
}

func signInPOP(t *testing.T, s *server, login string) *textConn {
	t.Helper()
	c := dialText(t, s.pop)
	c.want("+OK")
	c.send("USER %s", login)
	c.want("+OK")
	c.send("PASS %s", password)
	c.want("+OK")
	return c
}

func signInIMAP(t *testing.T, s *server, name string) *textConn {
	t.Helper()
	c := dialText(t, s.imap)
	c.want("* OK")
	c.send("a LOGIN %s %q", address(name), password)
	c.until("a OK")
	return c
}
