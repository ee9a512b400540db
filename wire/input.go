package wire

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// maxSlack bounds how much longer than its timeout a read may wait.
const maxSlack = 10 * time.Second

// readAttempt is the state of one read from a socket.
type readAttempt struct {
	fn   func(fd uintptr) bool // Conn.attempt, made once because a method value allocates
	into []byte                // where to read to; nil: the input buffer
	poll bool                  // do not wait
	n    int
	err  error
}

// attempt reads from the socket without blocking. The runtime calls it at once
// and each time the socket becomes readable, until it returns true. So the
// input buffer is taken from the pool only when there is something to put into
// it, and given back before the wait.
func (c *Conn) attempt(fd uintptr) bool {
	a := &c.read
	p := a.into
	if p == nil {
		c.takeInput()
		p = c.in[c.w:]
	}
	n, err := readSocket(int(fd), p)
	if err == syscall.EAGAIN {
		if a.into == nil {
			c.releaseInput()
		}
		return a.poll
	}
	switch {
	case err != nil:
		a.err = os.NewSyscallError("read", err)
	case n == 0:
		a.err = io.EOF
	default:
		a.n = n
	}
	return true
}

// readSocket reads from a non-blocking socket.
func readSocket(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// pollInput reads what has already arrived into the empty input buffer. It
// knows nothing of what TLS holds.
func (c *Conn) pollInput() (int, error) {
	if c.sys == nil {
		return 0, nil
	}
	c.armRead()
	c.read = readAttempt{fn: c.read.fn, poll: true}
	if err := c.sys.Read(c.read.fn); err != nil {
		return 0, err
	}
	c.w += c.read.n
	return c.read.n, c.read.err
}

// fill reads more input into the buffer, behind what is there, after sending
// what has been written. Between commands stop says whether there is a reason
// to wait no longer; within one it is nil.
func (c *Conn) fill(stop func() error) error {
	if err := c.beforeRead(); err != nil {
		return err
	}
	c.releaseInput()
	if c.r > 0 {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	n, err := c.waitRead(stop, nil)
	c.w += n
	return err
}

// readInto reads input past the buffer, which is empty, into p.
func (c *Conn) readInto(p []byte) (int, error) {
	if err := c.beforeRead(); err != nil {
		return 0, err
	}
	c.releaseInput()
	return c.waitRead(nil, p)
}

// beforeRead sends the output, since the peer may be waiting for it, and gives
// its buffer back.
func (c *Conn) beforeRead() error {
	if err := c.Flush(); err != nil {
		return err
	}
	c.releaseOutput()
	return nil
}

// waitRead reads at least one octet or returns an error. A deadline that passed
// before its time was set by a nudge: the read goes on, unless stop has a reason.
func (c *Conn) waitRead(stop func() error, into []byte) (int, error) {
	for {
		c.armRead()
		if stop != nil {
			if err := stop(); err != nil {
				return 0, err
			}
		}
		n, err := c.readOnce(stop != nil, into)
		if n > 0 {
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, readError(err)
		}
		if c.armed && !c.readDeadline.IsZero() && !time.Now().Before(c.readDeadline) {
			if stop != nil {
				return 0, ErrIdle
			}
			return 0, readError(err)
		}
		c.armed = false // what is set now is not what we set
	}
}

// readError says what failed. The end of input stays as it is.
func readError(err error) error {
	if err == io.EOF {
		return err
	}
	return fmt.Errorf("read from the peer: %w", err)
}

// readOnce reads once, from the socket or what lies over it.
func (c *Conn) readOnce(idle bool, into []byte) (int, error) {
	if c.sys != nil {
		c.read = readAttempt{fn: c.read.fn, into: into}
		if err := c.sys.Read(c.read.fn); err != nil {
			return 0, err
		}
		return c.read.n, c.read.err
	}
	if into == nil {
		if idle && c.in == nil {
			c.in = c.layer().small[:]
		} else {
			c.takeInput()
		}
		into = c.in[c.w:]
	}
	return c.nc.Read(into)
}

// armRead sets the read deadline, unless the one that is set will do.
func (c *Conn) armRead() {
	want, slack := earlier(c.limit, c.line.deadline()), time.Duration(0)
	if c.config.Read > 0 {
		from := c.silentSince
		if from.IsZero() {
			from = time.Now()
		}
		if t := from.Add(c.config.Read); earlier(t, want) == t {
			want, slack = t, min(c.config.Read/16, maxSlack)
		}
	}
	if set := c.readDeadline; c.armed && !set.Before(want) && !set.After(want.Add(slack)) {
		return
	}
	if c.readDeadline = want; !want.IsZero() {
		c.readDeadline = want.Add(slack)
	}
	c.armed = true
	c.raw.SetReadDeadline(c.readDeadline)
}

// earlier returns the earlier of two deadlines, of which the zero value is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Buffered returns how many octets of input have been read and not consumed:
// the peer is pipelining.
func (c *Conn) Buffered() int { return c.w - c.r }

// Peek returns the octets that are buffered, at most n, without consuming them.
// It waits until there is at least one, as for a new command.
func (c *Conn) Peek(n int) ([]byte, error) {
	if err := c.finishBody(); err != nil {
		return nil, err
	}
	for c.Buffered() == 0 {
		if err := c.fill(c.stopped); err != nil {
			return nil, err
		}
	}
	return c.in[c.r:min(c.w, c.r+n)], nil
}

// finishBody reads to its end a literal or mail data that the session left
// unread, so that no part of it is taken for a command.
func (c *Conn) finishBody() error {
	if c.body == nil {
		return nil
	}
	err := c.body.Drain()
	if c.body == nil { // the end was reached; what was wrong on the way is no matter
		return nil
	}
	return err
}
