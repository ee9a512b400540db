package main

import (
	"regexp"
	"strings"
	"testing"
)

// says sends a line and reads up to the answer that begins with want.
func (p *peer) says(line, want string) {
	p.t.Helper()
	p.say(line)
	for got := ""; !strings.HasPrefix(got, want); {
		if got = p.line(); got == "" {
			p.t.Fatalf("%s: the connection ended before %q", line, want)
		}
	}
}

// TestExplain sends a message by SMTP, reads it by POP, marks, copies and moves it
// by IMAP and expunges it: the whole of it is told, and how to undo it.
func TestExplain(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "")
	r := startServer(t, dir)
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "secret\n", "account", "add", "ann", "--password-stdin")
	mustRun(t, dir, "", "mailbox", "create", "ann", "work")

	smtp := r.dial("SMTP", "220 ")
	smtp.says("HELO client.test", "250 ")
	smtp.says("MAIL FROM:<x@client.test>", "250 ")
	smtp.says("RCPT TO:<ann@company.test>", "250 ")
	smtp.says("DATA", "354 ")
	smtp.say("Message-ID: <story@client.test>\r\nSubject: a story\r\n\r\ntext\r\n.")
	id := regexp.MustCompile(`\d+`).FindString(strings.TrimPrefix(smtp.line(), "250 2.0.0"))

	pop := r.dial("POP", "+OK")
	pop.says("USER ann", "+OK")
	pop.says("PASS secret", "+OK")
	pop.says("RETR 1", ".")
	pop.says("QUIT", "+OK")

	imap := r.dial("IMAP", "* OK")
	imap.says(`a ID ("name" "Mail Reader" "version" "7")`, "a OK")
	imap.says("b LOGIN ann secret", "b OK")
	imap.says("c SELECT INBOX", "c OK")
	imap.says("d STORE 1 +FLAGS (\\Flagged $Work)", "d OK")
	imap.says("e FETCH 1 (BODY.PEEK[HEADER])", "e OK")
	imap.says("f FETCH 1 (BODY.PEEK[])", "f OK")
	imap.says("g COPY 1 Trash", "g OK")
	imap.says("h MOVE 1 work", "h OK")
	imap.says("i SELECT work", "i OK")
	imap.says("j STORE 1 +FLAGS.SILENT (\\Deleted)", "j OK")
	imap.says("k EXPUNGE", "k OK")
	imap.says("l LOGOUT", "l OK")

	want := []string{
		`Message-ID <story@client\.test>`,
		`received by SMTP from 127\.0\.0\.1 \(client\.test\), SMTPI-\d+: from <x@client\.test>, \d+ octets, queue id ` + id,
		`delivered to INBOX of ann@company\.test`,
		`read in INBOX over POP from 127\.0\.0\.1 by ann@company\.test, POP-\d+`,
		`marked \\Seen in INBOX over POP from 127\.0\.0\.1 by ann@company\.test, POP-\d+`,
		`marked \\Flagged \$Work in INBOX over IMAP from 127\.0\.0\.1 by ann@company\.test \(Mail Reader 7\), IMAP-\d+`,
		`read in INBOX over IMAP from 127\.0\.0\.1 by ann@company\.test \(Mail Reader 7\), IMAP-\d+`,
		`copied from INBOX to Trash over IMAP from .*`,
		`moved from INBOX to work over IMAP from .*`,
		`marked \\Deleted in work over IMAP from .*`,
		`deleted from work over IMAP from .*`,
		`now: in Trash of ann@company\.test \(UID 1\)`,
		`now: removed, was in work of ann@company\.test \(UID 1\); can be restored until \d+ [A-Z].*`,
	}
	for _, by := range []string{id, "story@client.test"} {
		out := mustRun(t, dir, "", "explain", by)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), out)
		}
		for i, line := range lines {
			line = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  `).ReplaceAllString(line, "")
			if !regexp.MustCompile(`^` + want[i] + `$`).MatchString(line) {
				t.Errorf("line %d: %q, want %q", i, line, want[i])
			}
		}
	}

	// The same after a restart, and after the message was put back.
	r.stop()
	if err := r.ended(); err != nil {
		t.Fatal(err)
	}
	if out := mustRun(t, dir, "", "undelete", "restore", "ann", "work"); !strings.Contains(out, "1 ") {
		t.Fatal(out)
	}
	out := mustRun(t, dir, "", "explain", id)
	for _, line := range []string{"restored to work", "now: in work of ann@company.test (UID 2)", "read in INBOX over POP"} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is not in\n%s", line, out)
		}
	}
}
