package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCrowd lets twelve POP and eight IMAP sessions do everything at once to one
// mailbox while mail comes in. Each checks all that it is told against what its
// protocol allows: a POP session against RFC 1939, an IMAP session against the
// arithmetic of EXISTS and EXPUNGE. Together they check that a UID stands for the
// same octets everywhere, and that what was removed does not come back.
//
// TRIPOST_CROWD_ROUNDS makes it longer.
func TestCrowd(t *testing.T) {
	t.Parallel()
	const pops, imaps, steps = 12, 8, 25
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("TRIPOST_CROWD_ROUNDS")); err == nil {
		rounds = n
	}
	s := newServer(t, "", "ann")
	s.deliver("ann", 150)
	c := &crowd{server: s, texts: make(map[string]string), removed: make(map[string]bool)}
	var sessions, senders sync.WaitGroup
	run := func(kind string, i int, what func(*rand.Rand) error) {
		sessions.Go(func() {
			r := rand.New(rand.NewPCG(uint64(len(kind)), uint64(i)))
			for round := range rounds {
				if err := what(r); err != nil {
					t.Errorf("%s client %d, session %d: %v", kind, i, round, err)
					return
				}
			}
		})
	}
	for i := range pops {
		run("POP", i, func(r *rand.Rand) error { return c.popSession(r, steps) })
	}
	for i := range imaps {
		run("IMAP", i, func(r *rand.Rand) error { return c.imapSession(r, steps) })
	}
	done := make(chan struct{})
	senders.Go(func() {
		if err := c.send(done); err != nil {
			t.Errorf("sending: %v", err)
		}
	})
	sessions.Wait()
	close(done)
	senders.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("%d messages were read, %d removed", len(c.texts), len(c.removed))
	if len(c.texts) < 100 || len(c.removed) == 0 {
		t.Error("the crowd has not done much")
	}
}

// crowd is what all sessions know together.
type crowd struct {
	server *server

	mu      sync.Mutex        // guards what follows
	texts   map[string]string // by UID
	removed map[string]bool   // UIDs whose removal was confirmed
}

// check compares the text of a message with what others were told.
func (c *crowd) check(uid, text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if was, ok := c.texts[uid]; ok && was != text {
		return fmt.Errorf("message %s has %d octets that differ from the %d of before", uid, len(text), len(was))
	}
	c.texts[uid] = text
	return nil
}

// gone returns what is known to be removed at this moment.
func (c *crowd) gone() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := make(map[string]bool, len(c.removed))
	for uid := range c.removed {
		gone[uid] = true
	}
	return gone
}

func (c *crowd) remove(uid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removed[uid] = true
}

// send delivers mail over one SMTP connection after the other.
func (c *crowd) send(done chan struct{}) error {
	for i := 0; ; i++ {
		select {
		case <-done:
			return nil
		default:
		}
		l, err := dialLines(c.server.smtp)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(letter("far@elsewhere.test", address("ann"), fmt.Sprint("sent ", i)), "\n.", "\n..") + strings.Repeat("and more\n", i%200)
		text = strings.ReplaceAll(text, "\n", "\r\n")
		for _, command := range []string{"", "HELO x.test\r\n", "MAIL FROM:<far@elsewhere.test>\r\n", "RCPT TO:<" + address("ann") + ">\r\n", "DATA\r\n", text + ".\r\n", "QUIT\r\n"} {
			if err = l.send(command); err != nil {
				break
			}
			var reply string
			if reply, err = l.line(); err == nil && !strings.ContainsAny(reply[:1], "23") {
				err = errors.New(reply)
			}
			if err != nil {
				break
			}
		}
		l.Close()
		if err != nil {
			return err
		}
	}
}

// lineConn is a connection that gives errors: its user is no test's goroutine.
type lineConn struct {
	net.Conn
	r *bufio.Reader
}

func dialLines(addr string) (*lineConn, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(patience))
	return &lineConn{nc, bufio.NewReaderSize(nc, 64<<10)}, nil
}

func (l *lineConn) send(text string) error {
	_, err := io.WriteString(l, text)
	return err
}

// line reads a line without its CRLF.
func (l *lineConn) line() (string, error) {
	s, err := l.r.ReadString('\n')
	if err != nil {
		return s, fmt.Errorf("reading a line after %q: %w", s, err)
	}
	text, ok := strings.CutSuffix(s, "\r\n")
	if !ok {
		return s, fmt.Errorf("%q does not end with CRLF", s)
	}
	return text, nil
}
