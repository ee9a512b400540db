package main

import (
	"strings"
	"testing"
)

// TestIndividualFieldIsChosen shows each of the people of a shared account what is
// for them by the field that the configuration names: the one that delivery writes,
// not one that the sender did.
func TestIndividualFieldIsChosen(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "local.individual_field = \"X-For\"\n")
	r := startServer(t, dir)
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "tulip\n", "account", "add", "ann", "--password-stdin")
	mustRun(t, dir, "", "route", "add", "club.test = ann.local")
	smtp := r.dial("SMTP", "220")
	for _, exchange := range [][2]string{
		{"HELO mx.client.test", "250"}, {"MAIL FROM:<joe@client.test>", "250"}, {"RCPT TO:<jim@club.test>", "250"}, {"DATA", "354"},
		{"X-For: kate\r\nX-Real-To: lee\r\nSubject: hello\r\n\r\ntext\r\n.", "250"},
	} {
		smtp.say(exchange[0])
		smtp.expect(exchange[1])
	}
	eventually(t, "the message is there", func() bool {
		return strings.Contains(mustRun(t, dir, "", "message", "export", "ann", "INBOX", "-"), "Subject: hello")
	})
	for name, want := range map[string]string{"ann": "+OK 1 ", "jim@club.test": "+OK 1 ", "kate@club.test": "+OK 0 ", "lee@club.test": "+OK 0 "} {
		pop := r.dial("POP", "+OK")
		for _, line := range []string{"USER " + name, "PASS tulip"} {
			pop.say(line)
			pop.expect("+OK")
		}
		pop.say("STAT")
		pop.expect(want)
	}
}
