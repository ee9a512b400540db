package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tripost/smtp/dnstest"
)

// strangersOnly is a site on which nobody is known by the address, with a DNS
// that the test has written.
func strangersOnly(t *testing.T, zone, more string) *running {
	t.Helper()
	dir := newSite(t, "security.client_addresses = []\n"+more)
	path := filepath.Join(dir, "tripost.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dns := dnstest.New(t, zone)
	writeFile(t, path, strings.Replace(string(text), "127.0.0.1:1\"", dns.Addr+"\"", 1))
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "secret\n", "account", "add", "ann@company.test", "--password-stdin")
	return startServer(t, dir)
}

// TestStrangersMailIsJudged sends a message as another host would: what was found
// out stands on its top, and the settings decide.
func TestStrangersMailIsJudged(t *testing.T) {
	t.Parallel()
	r := strangersOnly(t, `
1.0.0.127.in-addr.arpa. PTR mx.client.test.
mx.client.test.         A   127.0.0.1
client.test.            TXT "v=spf1 a:mx.client.test -all"
forged.test.            TXT "v=spf1 -all"
_dmarc.forged.test.     TXT "v=DMARC1; p=reject"
`, "mailauth.dmarc = \"refuse\"\nlog.level = 3\n")
	smtp := r.dial("SMTP", "220")
	exchange := func(say, want string) {
		t.Helper()
		smtp.say(say)
		smtp.expect(want)
	}
	exchange("HELO mx.client.test", "250")
	send := func(from, want string) {
		t.Helper()
		exchange("MAIL FROM:<"+from+">", "250")
		exchange("RCPT TO:<ann@company.test>", "250")
		exchange("DATA", "354")
		smtp.say("From: " + from + "\r\nSubject: hello\r\n\r\ntext")
		exchange(".", want)
	}
	send("joe@client.test", "250")
	send("joe@forged.test", "550 5.7.1 refused as the policy of forged.test asks")
	r.logged("dmarc=fail (p=reject) header.from=forged.test")

	pop := r.dial("POP", "+OK")
	for _, line := range []string{"USER ann", "PASS secret", "STAT"} {
		pop.say(line)
		pop.expect("+OK")
	}
	pop.say("TOP 1 0")
	pop.expect("+OK")
	var header strings.Builder
	for line := pop.line(); line != ".\r\n" && line != ""; line = pop.line() {
		header.WriteString(strings.ReplaceAll(line, "\r\n", "\n"))
	}
	for _, want := range []string{
		"Authentication-Results: mail.company.test;\n\tiprev=pass (mx.client.test) policy.iprev=127.0.0.1;\n",
		"\tspf=pass (matched a) smtp.mailfrom=client.test;\n", "\nX-Screen: mail.company.test; score=0\n",
	} {
		if !strings.Contains(header.String(), want) {
			t.Errorf("no %q in:\n%s", want, header.String())
		}
	}
}

// TestReadThenSend lets an address relay once somebody has signed in from it to
// read.
func TestReadThenSend(t *testing.T) {
	t.Parallel()
	r := strangersOnly(t, "", "smtp.read_then_send = \"10m\"\nmailauth.check = false\n")
	relay := func(want string) {
		t.Helper()
		smtp := r.dial("SMTP", "220")
		for _, line := range []string{"HELO pc7.client.test", "MAIL FROM:<ann@company.test>"} {
			smtp.say(line)
			smtp.expect("250")
		}
		smtp.say("RCPT TO:<joe@client.test>")
		smtp.expect(want)
	}
	relay("550 5.7.1")
	pop := r.dial("POP", "+OK")
	pop.say("USER ann")
	pop.expect("+OK")
	pop.say("PASS wrong")
	pop.expect("-ERR")
	relay("550 5.7.1")
	pop = r.dial("POP", "+OK")
	for _, line := range []string{"USER ann", "PASS secret"} {
		pop.say(line)
		pop.expect("+OK")
	}
	relay("250 2.1.5 <joe@client.test> will relay mail from a client address")
}
