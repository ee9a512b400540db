package pop

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"tripost/wire/wiretest"
)

// popClient is a strict client for tests: every reply must be as RFC 1939 has
// it, or the test fails.
type popClient struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

func (w *world) client() *popClient {
	w.t.Helper()
	nc := w.dial()
	w.t.Cleanup(func() { nc.Close() })
	c := &popClient{w.t, nc, bufio.NewReaderSize(nc, 64<<10)}
	c.line()
	return c
}

// signedIn returns a client that is in the maildrop of a login name.
func (w *world) signedIn(name, password string) *popClient {
	w.t.Helper()
	c := w.client()
	c.do("USER " + name)
	c.do("PASS " + password)
	return c
}

// line reads the first line of a reply and returns it.
func (c *popClient) line() string {
	c.t.Helper()
	c.nc.SetReadDeadline(time.Now().Add(wiretest.Patience))
	s, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read a reply: %q, %v", s, err)
	}
	s, ok := strings.CutSuffix(s, "\r\n")
	if !ok || len(s) > 510 || s != "+OK" && s != "-ERR" && !strings.HasPrefix(s, "+OK ") && !strings.HasPrefix(s, "-ERR ") {
		c.t.Fatalf("%q is no reply", s)
	}
	return s
}

// ask sends a command and returns the first line of the reply.
func (c *popClient) ask(command string) string {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, command+"\r\n"); err != nil {
		c.t.Fatalf("send %q: %v", command, err)
	}
	return c.line()
}

// do is ask for a command that must succeed; it returns what follows +OK.
func (c *popClient) do(command string) string {
	c.t.Helper()
	s := c.ask(command)
	rest, ok := strings.CutPrefix(s, "+OK")
	if !ok {
		c.t.Fatalf("%s: %s", command, s)
	}
	return strings.TrimPrefix(rest, " ")
}

// rest reads the lines of a multi-line reply as they are, dots undone. Clients
// take LF for the end of a line.
func (c *popClient) rest() string {
	c.t.Helper()
	c.nc.SetReadDeadline(time.Now().Add(wiretest.Patience))
	var b strings.Builder
	for {
		s, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("read a multi-line reply: %v", err)
		}
		if s == ".\r\n" {
			return b.String()
		}
		b.WriteString(strings.TrimPrefix(s, "."))
	}
}

// list returns the lines of LIST or UIDL: numbers and values.
func (c *popClient) list(command string) map[int]string {
	c.t.Helper()
	c.do(command)
	values := make(map[int]string)
	for line := range strings.Lines(c.rest()) {
		number, value, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		n, err := strconv.Atoi(number)
		if err != nil || value == "" {
			c.t.Fatalf("%s: %q", command, line)
		}
		values[n] = value
	}
	return values
}
