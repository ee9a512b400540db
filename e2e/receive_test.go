package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSMTPSource takes what Postfix's load generator sends, as a client address
// and as a stranger whose messages are judged: each message arrives, once.
func TestSMTPSource(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/sbin/smtp-source"); err != nil {
		t.Skip("smtp-source (of Postfix) is not installed")
	}
	for _, c := range []struct{ name, config string }{
		{"client", ""},
		{"stranger", "security.client_addresses = []\nmailauth.check = false\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, c.config, "ann", "bob")
			const messages = 100
			tool(t, "", "/usr/sbin/smtp-source", "-s", "10", "-m", itoa(messages), "-l", "4096",
				"-M", "mx.client.test", "-f", "joe@client.test", "-t", address("ann"), s.smtp)
			tool(t, "", "/usr/sbin/smtp-source", "-s", "5", "-m", "5", "-l", "1000000", "-d",
				"-M", "mx.client.test", "-f", "joe@client.test", "-t", address("bob"), s.smtp)
			if n := strings.Count(s.run("message", "export", address("ann"), "INBOX", "-"), "\nReceived: "); n != messages {
				t.Errorf("%d messages arrived, want %d", n, messages)
			}
			if n := strings.Count(s.run("message", "export", address("bob"), "INBOX", "-"), "\nReceived: "); n != 5 {
				t.Errorf("%d large messages arrived, want 5", n)
			}
		})
	}
}

// TestSwaks says things to the exchanger that swaks can say and mail programs
// seldom do.
func TestSwaks(t *testing.T) {
	t.Parallel()
	program(t, "swaks")
	s := newServer(t, "security.client_addresses = []\nmailauth.check = false\n", "ann", "bob")
	dir := t.TempDir()
	attachment := filepath.Join(dir, "attachment.bin")
	if err := os.WriteFile(attachment, []byte(strings.Repeat("\x00\r\x01\n", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"--server", s.smtp, "--from", "joe@client.test", "--to", address("ann"), "--timeout", "200"}
	for _, c := range []struct {
		name string
		args []string
		ok   bool
	}{
		{"HELO", []string{"--protocol", "SMTP"}, true},
		{"a name", []string{"--ehlo", "mx.client.test"}, true},
		{"pipelining", []string{"--pipeline"}, true},
		{"two recipients", []string{"--to", address("ann") + "," + address("bob")}, true},
		{"the null reverse-path", []string{"--from", "<>"}, true},
		{"TLS where there is some", []string{"--tls-optional"}, true},
		{"TLS 1.2", []string{"--tls", "--tls-protocol", "tlsv1_2"}, true},
		{"an attachment", []string{"--attach", "@" + attachment}, true},
		{"fields", []string{"--header", "Subject: swaks", "--add-header", "X-Spam-Flag: NO", "--add-header", "Authentication-Results: mail.company.test; dkim=pass"}, true},
		{"a body of dots", []string{"--body", "..\\n.\\n...\\n"}, true},
		{"8 bits", []string{"--body", "gr\u00fc\u00dfe"}, true},
		{"no message", []string{"--quit-after", "RCPT"}, true},
		{"dropped", []string{"--drop-after", "DATA"}, true},
		{"dropped before the end", []string{"--drop-after-send", "DATA"}, true},
		{"sign-in in clear, which is loopback", []string{"--auth", "PLAIN", "--auth-user", address("ann"), "--auth-password", "wrong"}, false},
		{"sign-in that is optional", []string{"--auth-optional", "DIGEST-MD5", "--auth-user", address("ann"), "--auth-password", "x"}, true},
		{"nobody", []string{"--to", address("nobody")}, false},
		{"elsewhere", []string{"--to", "x@elsewhere.test"}, false},
		{"XCLIENT", []string{"--xclient-addr", "192.0.2.7"}, false},
		{"a PROXY header from who is none", []string{"--proxy-version", "1", "--proxy-family", "TCP4", "--proxy-source", "192.0.2.7", "--proxy-source-port", "1", "--proxy-dest", "192.0.2.8", "--proxy-dest-port", "25"}, false},
		{"LMTP on the exchanger", []string{"--protocol", "LMTP"}, false},
	} {
		out, err := tryWith(t, "", "swaks", append(append([]string{}, base...), c.args...)...)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
	mail := s.run("message", "export", address("ann"), "INBOX", "-")
	for _, wrong := range []string{"X-Spam-Flag: NO", "dkim=pass"} {
		if strings.Contains(mail, wrong) {
			t.Errorf("%q got in", wrong)
		}
	}
	if strings.Count(mail, "\n...\n") == 0 {
		t.Errorf("the dots are not there:\n%s", mail)
	}
}
