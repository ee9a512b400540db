// Package wiretest gives the tests of the protocols what they share:
// conversations that are replayed from a text, and a certificate.
package wiretest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Patience is how long a test waits for the server before it fails.
const Patience = 2 * time.Minute

// Script says how the conversations with a server are read. The lines that all
// know are:
//
//	C: text        is sent as a line, its forms filled in (see Expand)
//	C+ "text"      is sent as it is: a Go string, its forms filled in
//	S: text        must be the next line received (see Matches); forms are filled in
//	EOF            the server must close the connection
//	CLOSE          the client closes it
//	TLS            the client does a TLS handshake
//	T: 11m         time passes (in a bubble of fake time)
//	# text         a remark, as an empty line is
//
// C2:, S2:, EOF2 and so on are of a second connection, up to 9.
type Script struct {
	Dial     func() net.Conn // opens a connection to the server
	Patience time.Duration   // for each step; 0: Patience
	End      time.Duration   // for the server to close a connection; 0: Patience

	// Matches compares a line that was received with the one of the script;
	// nil: "..." at its end stands for any text.
	Matches func(want, got string) bool
	// Verbs are lines beside those above: what is done on connection n.
	Verbs map[string]func(c *Conversation, n int, text string)
	// Forms are forms beside those of Expand: {name:argument} stands for what
	// is returned.
	Forms map[string]func(c *Conversation, n int, argument string) string
}

// Conversation is one that is being held. It is for one goroutine.
type Conversation struct {
	T       testing.TB
	script  *Script
	name    string
	line    int
	clients map[int]*client
}

// client is the near end of a connection.
type client struct {
	nc       net.Conn
	r        *bufio.Reader
	greeting string // the first line that was received
}

// Begin begins a conversation; name is told when it fails. Its connections are
// opened when they are first used, and closed by Close or the end of the test.
func (s *Script) Begin(t testing.TB, name string) *Conversation {
	c := &Conversation{T: t, script: s, name: name, clients: make(map[int]*client)}
	t.Cleanup(c.Close)
	return c
}

// Talk holds a whole conversation and closes its connections.
func (s *Script) Talk(t testing.TB, name, text string) {
	t.Helper()
	c := s.Begin(t, name)
	defer c.Close()
	for line := range strings.Lines(text) {
		c.Play(strings.TrimSuffix(line, "\n"))
	}
}

// Close closes what is open.
func (c *Conversation) Close() {
	for _, cl := range c.clients {
		cl.nc.Close()
	}
}

// Fatalf ends the test, telling the line.
func (c *Conversation) Fatalf(format string, args ...any) {
	c.T.Helper()
	c.T.Fatalf("%s line %d: %s", c.name, c.line, fmt.Sprintf(format, args...))
}

// Line is one line of a script.
type Line struct {
	Verb       string
	Connection int
	Text       string
}

var lineForm = regexp.MustCompile(`^([A-Z]+\+?|#)([2-9]?)(?::? (.*)|:)?$`)

// Parse takes a line apart.
func Parse(line string) (Line, bool) {
	if line == "" {
		return Line{Verb: "#"}, true
	}
	m := lineForm.FindStringSubmatch(line)
	if m == nil {
		return Line{}, false
	}
	n := 1
	if m[2] != "" {
		n = int(m[2][0] - '0')
	}
	return Line{m[1], n, m[3]}, true
}

// Play does what the next line says.
func (c *Conversation) Play(line string) {
	c.T.Helper()
	c.line++
	c.do(line)
}

// Each does what the lines say, which stand for one of the script.
func (c *Conversation) Each(lines ...string) {
	c.T.Helper()
	for _, line := range lines {
		c.do(line)
	}
}

func (c *Conversation) do(line string) {
	c.T.Helper()
	l, ok := Parse(line)
	if !ok {
		c.Fatalf("not a line of a conversation: %q", line)
	}
	n := l.Connection
	switch l.Verb {
	case "#":
	case "C":
		c.Send(n, c.Expand(n, l.Text)+"\r\n")
	case "C+":
		raw, err := strconv.Unquote(l.Text)
		if err != nil {
			c.Fatalf("%q is not a Go string", l.Text)
		}
		c.Send(n, c.Expand(n, raw))
	case "S":
		c.Receive(n, c.Expand(n, l.Text))
	case "EOF":
		c.receiveEnd(n)
	case "CLOSE":
		c.client(n).nc.Close()
	case "TLS":
		c.handshake(n)
	case "T":
		d, err := time.ParseDuration(l.Text)
		if err != nil {
			c.Fatalf("%v", err)
		}
		time.Sleep(d) // in the bubble
		synctest.Wait()
	default:
		verb := c.script.Verbs[l.Verb]
		if verb == nil {
			c.Fatalf("nothing known as %q", line)
		}
		verb(c, n, l.Text)
	}
}

// client returns connection n, opening it at its first use.
func (c *Conversation) client(n int) *client {
	if cl := c.clients[n]; cl != nil {
		return cl
	}
	nc := c.script.Dial()
	cl := &client{nc: nc, r: bufio.NewReader(nc)}
	c.clients[n] = cl
	return cl
}

// Open says whether connection n has been used.
func (c *Conversation) Open(n int) bool { return c.clients[n] != nil }

// Greeting returns the first line that connection n received.
func (c *Conversation) Greeting(n int) string { return c.client(n).greeting }

// Replace puts something between connection n and what is sent and read.
func (c *Conversation) Replace(n int, change func(net.Conn, *bufio.Reader) (net.Conn, *bufio.Reader)) {
	cl := c.client(n)
	cl.nc, cl.r = change(cl.nc, cl.r)
}

func (c *Conversation) patience() time.Time {
	if c.script.Patience != 0 {
		return time.Now().Add(c.script.Patience)
	}
	return time.Now().Add(Patience)
}

// Send sends a text as it is.
func (c *Conversation) Send(n int, text string) {
	c.T.Helper()
	cl := c.client(n)
	cl.nc.SetWriteDeadline(c.patience())
	if _, err := io.WriteString(cl.nc, text); err != nil {
		c.Fatalf("send: %v", err)
	}
}

// Next reads a line, without its CRLF. what is waited for is told if there is
// none.
func (c *Conversation) Next(n int, what string) string {
	c.T.Helper()
	got, err := c.Read(n, c.patience())
	if err != nil {
		c.Fatalf("waiting for %q: got %q and %v", what, got, err)
	}
	return got
}

// Read reads a line, without its CRLF, until a time.
func (c *Conversation) Read(n int, until time.Time) (string, error) {
	c.T.Helper()
	cl := c.client(n)
	cl.nc.SetReadDeadline(until)
	got, err := cl.r.ReadString('\n')
	if err != nil {
		return got, err
	}
	got, ok := strings.CutSuffix(got, "\r\n")
	if !ok {
		c.Fatalf("line %q does not end with CRLF", got)
	}
	if cl.greeting == "" {
		cl.greeting = got
	}
	return got, nil
}

// Receive reads a line, which must match.
func (c *Conversation) Receive(n int, want string) {
	c.T.Helper()
	got := c.Next(n, want)
	matches := c.script.Matches
	if matches == nil {
		matches = OpenEnd
	}
	if !matches(want, got) {
		c.Fatalf("got  %s\nwant %s", got, want)
	}
}

// OpenEnd compares two lines; "..." at the end of the first stands for any text.
func OpenEnd(want, got string) bool {
	prefix, open := strings.CutSuffix(want, "...")
	return got == want || open && strings.HasPrefix(got, prefix)
}

func (c *Conversation) receiveEnd(n int) {
	c.T.Helper()
	until := c.patience()
	if c.script.End != 0 {
		until = time.Now().Add(c.script.End)
	}
	got, err := c.Read(n, until)
	var timeout net.Error
	if got != "" || err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		c.Fatalf("got %q and %v, want the connection closed", got, err)
	}
}

func (c *Conversation) handshake(n int) {
	c.T.Helper()
	cl := c.client(n)
	if n := cl.r.Buffered(); n > 0 {
		c.Fatalf("%d octets before the handshake", n)
	}
	cl.nc.SetDeadline(c.patience())
	secure := tls.Client(cl.nc, &tls.Config{InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		c.Fatalf("handshake: %v", err)
	}
	cl.nc, cl.r = secure, bufio.NewReader(secure)
}
