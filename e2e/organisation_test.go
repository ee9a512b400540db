package e2e

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOrganisation runs the commands of docs/administration.md and looks at what
// they have made, as the people of that organisation and their correspondents do.
func TestOrganisation(t *testing.T) {
	t.Parallel()
	s := prepare(t, "security.client_addresses = []\n")
	s.start()
	t.Cleanup(s.stop)
	s.walk(t, "../docs/administration.md")

	t.Run("alerts", func(t *testing.T) { // first: they meet who signs in
		pop := dialText(t, s.pop)
		pop.want("+OK")
		pop.send("USER ann")
		pop.want("+OK")
		pop.send("PASS %s", password)
		if line := pop.want("-ERR [SYS/TEMP]"); !strings.Contains(line, "The server moves on Friday") {
			t.Errorf("sign-in says %q", line)
		}
		signInPOP(t, s, "ann@company.example")
	})
	t.Run("names", func(t *testing.T) {
		s.post(t, "x@elsewhere.test", "info@company.example", "to an alias", "250")
		s.post(t, "x@elsewhere.test", "press@company.test", "to a forwarder", "250")
		s.post(t, "x@elsewhere.test", "nobody@company.test", "to nobody", "550 5.1.1")
		s.post(t, "x@elsewhere.test", "nobody@club.test", "to a name that is caught", "250")
		s.post(t, "x@elsewhere.test", "postmaster@club.test", "to the postmaster", "250")
		s.wantExport(t, "ann@company.test", "INBOX", "to an alias", "to a forwarder") // bob's rule copies
		s.wantExport(t, "bob@company.test", "INBOX", "to a forwarder")
		s.wantExport(t, "emil@club.test", "INBOX", "to a name that is caught")
		s.wantExport(t, "dora@club.test", "INBOX", "to the postmaster") // its oldest account
	})
	t.Run("group", func(t *testing.T) {
		s.post(t, "x@elsewhere.test", "team@company.test", "from a stranger", "550 5.7.2")
		s.submit(t, "emil@club.test", "team@company.test", "to the team", "250")
		s.submit(t, "emil@club.test", "team@company.test", "again", "250") // dora has no room any more
		s.wantExport(t, "ann@company.test", "INBOX", "to an alias", "to a forwarder", "to the team", "again")
		s.wantExport(t, "dora@club.test", "INBOX", "to the postmaster", "to the team")
		s.submit(t, "ann@company.test", "all@club.test", "from outside", "550 5.7.2")
	})
	t.Run("quota", func(t *testing.T) {
		s.post(t, "x@elsewhere.test", "dora@club.test", "too much", "452 4.2.2")
		pop := signInPast(t, s, "dora@club.test", "is 100% full")
		for _, command := range []string{"RETR 1", "DELE 1", "QUIT"} {
			pop.send("%s", command)
			pop.want("+OK")
			if command == "RETR 1" {
				pop.dotText()
			}
		}
		s.post(t, "x@elsewhere.test", "dora@club.test", "fits again", "250")
	})
	t.Run("public mailbox", func(t *testing.T) {
		bob := signInIMAP(t, s, "bob")
		bob.send("a APPEND ~public/announces {24+}\r\nSubject: welcome\r\n\r\nhi\r\n")
		bob.until("a OK")
		bob.send("b SELECT ~public/announces")
		if lines := strings.Join(bob.until("b OK"), "\n"); !strings.Contains(lines, "* 1 EXISTS") {
			t.Errorf("bob sees %s", lines)
		}
		bob.send("l LIST \"\" announce*")
		if lines := strings.Join(bob.until("l OK"), "\n"); !strings.Contains(lines, "announces") {
			t.Errorf("bob's own name for it is not listed: %s", lines)
		}
		signInPOP(t, s, "announces#bob").send("QUIT")
		bob.send("c STORE 1 +FLAGS (\\Deleted)")
		bob.until("c NO")
		pop := signInPOP(t, s, "~public/announces#ann")
		pop.send("STAT")
		pop.want("+OK 1 ")
		pop.send("DELE 1")
		pop.want("-ERR")
		carl := signInIMAP(t, s, "carl")
		carl.send("d SELECT ~public/announces")
		carl.until("d NO")
	})
	t.Run("domain in one account", func(t *testing.T) {
		s.post(t, "x@elsewhere.test", "jim@client1.test", "for jim", "250")
		s.post(t, "x@elsewhere.test", "Jim@client1.test> RCPT TO:<kate@client1.test", "malformed", "501")
		s.post(t, "x@elsewhere.test", "kate@client1.test", "for kate", "250")
		for login, want := range map[string]string{"jim@client1.test": "+OK 1 ", "kate@client1.test": "+OK 1 ", "lee@client1.test": "+OK 0 ", "cl1": "+OK 2 "} {
			pop := signInPast(t, s, login, "The server moves on Friday")
			pop.send("STAT")
			pop.want(want)
		}
	})
	t.Run("curl", func(t *testing.T) {
		text := tool(t, "", "curl", "-sS", "--user", "jim@client1.test:"+password, "pop3://"+s.pop+"/1")
		if !strings.Contains(text, "Subject: for jim") || !strings.Contains(text, "X-Real-To: jim") {
			t.Errorf("jim's message by POP:\n%s", text)
		}
		text = tool(t, "", "curl", "-sS", "--user", "info@company.test:"+password, "imap://"+s.imap+"/INBOX;MAILINDEX=1")
		if !strings.Contains(text, "Subject: to an alias") {
			t.Errorf("Ann's message by IMAP:\n%s", text)
		}
	})
	t.Run("rules", func(t *testing.T) {
		s.submit(t, "ann@company.test", "carl@company.test", "are you there", "250")
		s.wantExport(t, "carl@company.test", "INBOX", "are you there")
		if text := s.run("message", "export", "ann@company.test", "INBOX", "-"); !strings.Contains(text, "Auto: are you there") {
			t.Errorf("ann is not told that carl is away:\n%s", text)
		}
	})
}

// signInPast signs in by POP, past an alert if there is one.
func signInPast(t *testing.T, s *server, login, alert string) *textConn {
	t.Helper()
	pop := dialText(t, s.pop)
	pop.want("+OK")
	for {
		pop.send("USER %s", login)
		pop.want("+OK")
		pop.send("PASS %s", password)
		line := pop.line()
		if strings.HasPrefix(line, "+OK") {
			return pop
		}
		if !strings.Contains(line, alert) {
			t.Fatalf("%s: %s", login, line)
		}
	}
}

// walk runs the commands of a page, which stand in its indented lines, in a
// shell, and fails the test when one of them does.
func (s *server) walk(t *testing.T, page string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	write(t, bin, "tripost", "#!/bin/sh\nexec "+path+" --config "+s.config+" \"$@\"\n", 0o755)
	write(t, bin, "password", password+"\n", 0o600)
	commands := 0
	for line := range strings.Lines(string(text)) {
		command, ok := strings.CutPrefix(line, "    tripost ")
		if !ok {
			continue
		}
		commands++
		cmd := exec.Command("sh", "-c", filepath.Join(bin, "tripost")+" "+command)
		cmd.Dir = bin
		if out, err := finish(cmd); err != nil {
			t.Fatalf("tripost %s%v\n%s", command, err, out)
		}
	}
	if commands < 30 {
		t.Fatalf("the page has %d commands", commands)
	}
}

// post sends a small message from a stranger, and expects the reply to RCPT, or to
// the data where that is 250.
func (s *server) post(t *testing.T, from, to, subject, want string) {
	t.Helper()
	c := dialText(t, s.smtp)
	c.want("220")
	c.send("EHLO client.elsewhere.test")
	c.until("250 ")
	c.send("MAIL FROM:<%s>", from)
	c.want("250")
	s.finishPost(c, from, to, subject, want)
}

// submit is post of somebody who has signed in.
func (s *server) submit(t *testing.T, from, to, subject, want string) {
	t.Helper()
	c := dialText(t, s.submission)
	c.want("220")
	c.send("EHLO client.company.test")
	c.until("250 ")
	c.send("AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00"+from+"\x00"+password)))
	c.want("235")
	c.send("MAIL FROM:<%s>", from)
	c.want("250")
	s.finishPost(c, from, to, subject, want)
}

func (s *server) finishPost(c *textConn, from, to, subject, want string) {
	c.t.Helper()
	c.send("RCPT TO:<%s>", to)
	c.want(want)
	if want != "250" {
		c.send("QUIT")
		return
	}
	c.send("DATA")
	c.want("354")
	c.send("From: %s\r\nTo: %s\r\nSubject: %s\r\n\r\nHello\r\n.", from, to, subject)
	c.want("250")
	c.send("QUIT")
	c.want("221")
}

// wantExport compares the subjects in a mailbox.
func (s *server) wantExport(t *testing.T, addr, mailbox string, want ...string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(s.run("message", "export", addr, mailbox, "-")) {
		if subject, ok := strings.CutPrefix(line, "Subject: "); ok {
			got = append(got, strings.TrimSpace(subject))
		}
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%s of %s holds %q, want %q", mailbox, addr, got, want)
	}
}
