// Package sinktest gives tests another host: an SMTP server that takes mail,
// refuses it, or falls silent where a test wants it to. It is written on the
// standard library alone, so that it does not share mistakes with what it tests.
package sinktest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say how a sink behaves.
type Options struct {
	// Extensions are the lines of the reply to EHLO after the first one; nil is
	// PIPELINING, 8BITMIME and SIZE. An empty list makes EHLO unknown.
	Extensions []string
	TLS        *tls.Config // with it STARTTLS is offered
	Login      string      // "user password" that AUTH PLAIN takes
	// Reply answers instead of the sink where it returns something: the line, or
	// several separated by CRLF, or Hangup, or Silence. The command is
	// "greeting", a verb in upper case, "data" for the end of a message, or
	// "handshake".
	Reply func(command, arg string) string
}

// What Reply may return besides lines.
const (
	Hangup  = "hang up"  // closes the connection without a reply
	Silence = "silence"  // says nothing more
	MidData = "mid-data" // to DATA: asks for the message and hangs up within it
)

// Message is what a sink has taken, or was about to take.
type Message struct {
	Helo string
	From string // what stands after MAIL FROM:, with parameters
	To   []string
	Data string // un-stuffed
	TLS  bool
	User string
}

// Sink is a host. Its methods may be called from any goroutine.
type Sink struct {
	Addr netip.AddrPort

	t     testing.TB
	o     Options
	done  chan struct{}
	conns sync.WaitGroup

	mu    sync.Mutex // guards what follows
	taken []Message
	seen  []string      // commands
	more  chan struct{} // closed when a message comes
	count int           // connections
}

// New starts a sink on loopback, which ends with the test.
func New(t testing.TB, o Options) *Sink {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Sink{t: t, o: o, done: make(chan struct{}), more: make(chan struct{})}
	s.Addr = ln.Addr().(*net.TCPAddr).AddrPort()
	s.conns.Go(func() { s.accept(ln) })
	t.Cleanup(func() {
		close(s.done)
		ln.Close()
		s.conns.Wait()
	})
	return s
}

func (s *Sink) accept(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.count++
		s.mu.Unlock()
		s.conns.Go(func() {
			ended := make(chan struct{})
			defer close(ended)
			s.conns.Go(func() {
				select {
				case <-s.done:
				case <-ended:
				}
				nc.Close()
			})
			(&session{sink: s, nc: nc, text: textproto.NewConn(nc)}).run()
		})
	}
}

// Connections returns how many there were.
func (s *Sink) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Commands returns the commands seen, over all connections.
func (s *Sink) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// Messages returns what was taken so far.
func (s *Sink) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.taken...)
}

// Wait returns the messages as soon as there are n of them.
func (s *Sink) Wait(n int) []Message {
	s.t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		s.mu.Lock()
		have, more := append([]Message(nil), s.taken...), s.more
		s.mu.Unlock()
		if len(have) >= n {
			return have
		}
		select {
		case <-more:
		case <-deadline:
			s.t.Fatalf("%d messages came, want %d", len(have), n)
		}
	}
}

func (s *Sink) take(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, m)
	close(s.more)
	s.more = make(chan struct{})
}

// session is one connection.
type session struct {
	sink *Sink
	nc   net.Conn
	text *textproto.Conn
	m    Message
	mail bool // MAIL was taken
}

func (c *session) run() {
	if !c.reply("greeting", "", "220 sink.test ESMTP") {
		return
	}
	for {
		line, err := c.text.ReadLine()
		if err != nil {
			return
		}
		verb, arg, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		c.sink.mu.Lock()
		c.sink.seen = append(c.sink.seen, line)
		c.sink.mu.Unlock()
		if !c.command(verb, arg) {
			return
		}
	}
}

// reply sends what the test wants, or else def. It returns false when the
// session is over.
func (c *session) reply(command, arg, def string) bool {
	line := c.said(command, arg, def)
	switch line {
	case Hangup:
		return false
	case Silence:
		<-c.sink.done
		return false
	}
	return c.text.PrintfLine("%s", line) == nil && !strings.HasPrefix(line, "421")
}

func (c *session) said(command, arg, def string) string {
	if c.sink.o.Reply != nil {
		if line := c.sink.o.Reply(command, arg); line != "" {
			return line
		}
	}
	return def
}

func (c *session) command(verb, arg string) bool {
	switch verb {
	case "EHLO":
		c.m = Message{Helo: arg, TLS: c.m.TLS}
		return c.reply(verb, arg, c.extensions())
	case "HELO":
		c.m = Message{Helo: arg, TLS: c.m.TLS}
		return c.reply(verb, arg, "250 sink.test")
	case "MAIL":
		line := c.said(verb, arg, "250 2.0.0 ok")
		c.m.From, c.m.To = strings.TrimPrefix(arg, "FROM:"), nil
		c.mail = line[0] == '2'
		return c.answer(line)
	case "RSET":
		c.mail, c.m.To = false, nil
	case "RCPT":
		if !c.mail {
			return c.answer("503 5.5.1 MAIL first")
		}
		line := c.said(verb, arg, "250 2.1.5 ok")
		if line[0] == '2' {
			c.m.To = append(c.m.To, strings.TrimPrefix(arg, "TO:"))
		}
		return c.answer(line)
	case "DATA":
		return c.data()
	case "BDAT":
		return c.chunk(arg)
	case "STARTTLS":
		return c.startTLS()
	case "AUTH":
		return c.auth(arg)
	case "QUIT":
		c.reply(verb, arg, "221 2.0.0 bye")
		return false
	}
	return c.reply(verb, arg, "250 2.0.0 ok")
}

// answer sends a line that was asked for already.
func (c *session) answer(line string) bool {
	switch line {
	case Hangup:
		return false
	case Silence:
		<-c.sink.done
		return false
	}
	return c.text.PrintfLine("%s", line) == nil && !strings.HasPrefix(line, "421")
}

func (c *session) extensions() string {
	lines := c.sink.o.Extensions
	if lines == nil {
		lines = []string{"PIPELINING", "8BITMIME", "SIZE 1000000"}
	}
	if len(lines) == 0 {
		return "502 5.5.1 unknown"
	}
	if c.sink.o.TLS != nil && !c.m.TLS {
		lines = append([]string{"STARTTLS"}, lines...)
	}
	if c.sink.o.Login != "" {
		lines = append([]string{"AUTH PLAIN"}, lines...)
	}
	return "250-sink.test\r\n250-" + strings.Join(lines[:len(lines)-1], "\r\n250-") + "\r\n250 " + lines[len(lines)-1]
}

// chunk takes a chunk, also one that nobody wants (RFC 3030 section 2).
func (c *session) chunk(arg string) bool {
	number, last, _ := strings.Cut(arg, " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return c.answer("501 5.5.4 how many octets?")
	}
	octets := make([]byte, n)
	if _, err := io.ReadFull(c.text.R, octets); err != nil {
		return false
	}
	switch {
	case len(c.m.To) == 0:
		return c.answer("503 5.5.1 no recipients")
	case last == "":
		c.m.Data += string(octets)
		return c.reply("BDAT", arg, "250 2.0.0 ok")
	}
	c.m.Data += string(octets)
	return c.taken()
}

// taken answers the end of a message.
func (c *session) taken() bool {
	line := c.said("data", "", "250 2.0.0 taken")
	if line[0] == '2' {
		c.sink.take(c.m)
	}
	c.mail, c.m.To, c.m.Data = false, nil, ""
	return c.answer(line)
}

func (c *session) data() bool {
	if len(c.m.To) == 0 {
		return c.answer("554 5.5.1 no recipients")
	}
	line := c.said("DATA", "", "354 go on")
	if line == MidData {
		if c.text.PrintfLine("354 go on") != nil {
			return false
		}
		_, _ = c.text.R.ReadByte() // something has come
		return false
	}
	if !c.answer(line) {
		return false
	}
	if !strings.HasPrefix(line, "354") {
		return true
	}
	data, err := readData(c.text.R)
	if err != nil {
		return false
	}
	c.m.Data = data
	return c.taken()
}

// readData reads to CRLF.CRLF and keeps line ends as they are.
func readData(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == ".\r\n" {
			return b.String(), nil
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

func (c *session) startTLS() bool {
	if c.sink.o.TLS == nil {
		return c.reply("STARTTLS", "", "502 5.5.1 unknown")
	}
	line := c.said("STARTTLS", "", "220 2.0.0 ready")
	if !c.answer(line) || c.said("handshake", "", "") == Hangup {
		return false
	}
	if !strings.HasPrefix(line, "220") {
		return true
	}
	secure := tls.Server(c.nc, c.sink.o.TLS)
	if secure.Handshake() != nil {
		return false
	}
	c.nc, c.text = secure, textproto.NewConn(secure)
	c.m = Message{TLS: true}
	return true
}

func (c *session) auth(arg string) bool {
	user, password, _ := strings.Cut(c.sink.o.Login, " ")
	want := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "\x00%s\x00%s", user, password))
	if arg != "PLAIN "+want {
		return c.reply("AUTH", arg, "535 5.7.8 no")
	}
	c.m.User = user
	return c.reply("AUTH", arg, "235 2.7.0 yes")
}
