package wire

import (
	"io"
	"strings"
	"testing"

	"tripost/syslog"
	"tripost/syslog/syslogtest"
)

// At the most detailed level everything is seen but secrets and messages.
func TestRawLog(t *testing.T) {
	t.Parallel()
	log, logged := syslogtest.Open(t, syslog.Raw)
	in := "AUTH PLAIN\r\nsecretpassword\r\n\r\nNOOP\r\n" + strings.Repeat("x", 100) + "\r\nprivate text\r\n.\r\nprivate literal"
	s := newScripted([]byte(in), 1<<20)
	c := NewConn(s, Config{Log: log.Tag("POP")})
	c.ReadLine(64)
	c.WriteString("+ \r\n")
	c.Secret(true)
	c.ReadLine(64)
	c.ReadLine(64)
	c.Secret(false)
	c.ReadLine(64)
	c.ReadLine(64)
	io.Copy(io.Discard, c.Data(100))
	io.Copy(io.Discard, c.Literal(15))
	c.DotCopy(func() { c.WriteString("+OK follows\r\n") }, strings.NewReader("private answer\r\n"), true)
	c.WriteString("+OK next\r\n")
	c.Opaque(true)
	c.Write([]byte(strings.Repeat("private", directWrite)))
	c.Opaque(false)
	c.Close()
	var got []string
	for line := range strings.Lines(logged()) {
		_, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " POP ")
		got = append(got, text)
	}
	want := []string{
		`<- AUTH PLAIN`, `-> + \r\n`, `<- ***`, `<- ***`, `<- NOOP`, `<- (a line that is too long)`, `<- (data, 14 octets)`, `<- (literal, 15 octets)`,
		`-> +OK follows\r\n`, `-> (16 octets)`, `-> .\r\n+OK next\r\n`, `-> (229376 octets)`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
