package e2e

import (
	"encoding/base64"
	"testing"
)

// TestFlow bounds what an account sends elsewhere, by whatever protocol: what went by
// XTND XMIT is missing for SMTP, and the other way round.
func TestFlow(t *testing.T) {
	t.Parallel()
	s := newServer(t, "submission.flow_recipients = 2\n", "ann", "bob")
	xmit := func(to, want string) {
		t.Helper()
		pop := signInPOP(t, s, address("ann"))
		pop.send("XTND XMIT")
		pop.want("+OK")
		pop.send("From: ann@company.test\r\nTo: %s\r\nSubject: by XMIT\r\n\r\ntext\r\n.", to)
		pop.want(want)
		pop.send("QUIT")
		pop.want("+OK")
	}
	xmit("one@elsewhere.test", "+OK")
	s.submit(t, address("ann"), "two@elsewhere.test", "by SMTP", "250")

	xmit("three@elsewhere.test", "-ERR [SYS/TEMP]")
	c := dialText(t, s.submission)
	c.want("220")
	c.send("EHLO client.company.test")
	c.until("250 ")
	c.send("AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00"+address("ann")+"\x00"+password)))
	c.want("235")
	c.send("MAIL FROM:<%s>", address("ann"))
	c.want("250")
	c.send("RCPT TO:<four@elsewhere.test>")
	c.want("250")
	c.send("DATA")
	c.want("354")
	c.send("From: ann@company.test\r\nSubject: by SMTP\r\n\r\ntext\r\n.")
	c.want("450 4.7.1")
	c.send("QUIT")
	c.want("221")

	xmit(address("bob"), "+OK") // what stays here is not counted
	s.submit(t, address("bob"), "two@elsewhere.test", "by another account", "250")
}
