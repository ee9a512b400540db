package e2e

import (
	"strings"
	"testing"
)

// TestSend lets swaks, curl and Python's smtplib send, in the ways that each
// has, and reads what came in.
func TestSend(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann", "bob")
	python := `
import smtplib, ssl, sys
host, port, how, subject = "127.0.0.1", int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl._create_unverified_context()
if how == "tls":
    c = smtplib.SMTP_SSL(host, port, context=context)
else:
    c = smtplib.SMTP(host, port)
if how == "starttls":
    c.starttls(context=context)
if how != "mx":
    c.login("ann@company.test", "tulip fields")
refused = c.sendmail("ann@company.test", ["bob@company.test"], "Subject: %s\r\n\r\n.\r\nhello\r\n" % subject)
assert refused == {}, refused
c.quit()
`
	sends := []struct {
		name string
		send func(t *testing.T, subject string)
	}{
		{"swaks to the exchanger", func(t *testing.T, subject string) {
			tool(t, "", "swaks", "--timeout", "200", "--server", s.smtp, "--from", address("ann"), "--to", address("bob"), "--h-Subject", subject)
		}},
		{"swaks with STARTTLS", func(t *testing.T, subject string) {
			tool(t, "", "swaks", "--timeout", "200", "--server", s.smtp, "--tls", "--from", address("ann"), "--to", address("bob"), "--h-Subject", subject)
		}},
		{"swaks AUTH PLAIN", func(t *testing.T, subject string) {
			tool(t, "", "swaks", "--timeout", "200", "--server", s.submission, "--tls", "--auth", "PLAIN", "--auth-user", address("ann"), "--auth-password", password,
				"--from", address("ann"), "--to", address("bob"), "--h-Subject", subject)
		}},
		{"swaks AUTH LOGIN", func(t *testing.T, subject string) {
			tool(t, "", "swaks", "--timeout", "200", "--server", s.submission, "--tls", "--auth", "LOGIN", "--auth-user", address("ann"), "--auth-password", password,
				"--from", address("ann"), "--to", address("bob"), "--h-Subject", subject)
		}},
		{"swaks over TLS, pipelining", func(t *testing.T, subject string) {
			tool(t, "", "swaks", "--timeout", "200", "--server", s.submissionTLS, "--tls-on-connect", "--pipeline", "--auth", "PLAIN", "--auth-user", address("ann"), "--auth-password", password,
				"--from", address("ann"), "--to", address("bob"), "--h-Subject", subject)
		}},
		{"curl", func(t *testing.T, subject string) {
			tool(t, letter(address("ann"), address("bob"), subject), "curl", "-sS", "--crlf", "--url", "smtp://"+s.smtp,
				"--mail-from", address("ann"), "--mail-rcpt", address("bob"), "--upload-file", "-")
		}},
		{"curl with sign-in", func(t *testing.T, subject string) {
			tool(t, letter(address("ann"), address("bob"), subject), "curl", "-sSk", "--crlf", "--ssl-reqd", "--url", "smtp://"+s.submission,
				"--user", address("ann")+":"+password, "--mail-from", address("ann"), "--mail-rcpt", address("bob"), "--upload-file", "-")
		}},
		{"smtplib to the exchanger", func(t *testing.T, subject string) {
			tool(t, "", "python3", "-c", python, port(s.smtp), "mx", subject)
		}},
		{"smtplib STARTTLS", func(t *testing.T, subject string) {
			tool(t, "", "python3", "-c", python, port(s.submission), "starttls", subject)
		}},
		{"smtplib TLS", func(t *testing.T, subject string) {
			tool(t, "", "python3", "-c", python, port(s.submissionTLS), "tls", subject)
		}},
	}
	for _, c := range sends {
		t.Run(c.name, func(t *testing.T) {
			subject := "by " + c.name
			c.send(t, subject)
			if got := s.run("message", "export", address("bob"), "INBOX", "-"); strings.Count(got, "\nSubject: "+subject+"\n") != 1 {
				t.Errorf("no mail with subject %q in:\n%s", subject, got)
			}
		})
	}
}

// TestNoOpenRelay asks the exchanger and the submission listener to send to a
// foreign address, from an address that is no client's.
func TestNoOpenRelay(t *testing.T) {
	t.Parallel()
	s := newServer(t, "security.client_addresses = []\n", "ann")
	program(t, "swaks")
	for _, to := range []string{
		"x@elsewhere.test", "x%elsewhere.test@company.test", "@company.test:x@elsewhere.test",
		"\"x@elsewhere.test\"", "elsewhere.test!x@company.test", "x@[127.0.0.9]",
		"x%elsewhere.test@[127.0.0.1]", "x%y@elsewhere.test._via", "ann@company.test@elsewhere.test",
	} {
		for _, server := range []string{s.smtp, s.submission} {
			out, err := tryWith(t, "", "swaks", "--timeout", "200", "--server", server, "--from", "stranger@elsewhere.test", "--to", to)
			if err == nil {
				t.Errorf("mail to %s was taken:\n%s", to, out)
			}
		}
	}
	if list := s.run("queue", "list", "--json"); strings.TrimSpace(list) != "[]" {
		t.Errorf("the queue holds %s", list)
	}
}
