package wire

import (
	"bytes"
	"time"

	"tripost/syslog"
)

// maxDrain is how much of a line that is too long is read and dropped before
// the peer is given up.
const maxDrain = 1 << 20

// ReadLine reads one line, ended by CRLF or a bare LF, and returns it without
// its end. The slice is valid until the next read. NUL and a bare CR within the
// line are left to the caller. max counts the line with its end; a longer one
// is read to its end and dropped (ErrLineTooLong); Tail tells how it ended, and
// BareLF whether there was no CR.
//
// Waiting for the first octet it returns ErrIdle after the read timeout, io.EOF
// when the peer has closed, and what Interrupt was called with. From the first
// octet on the whole line must arrive within the read timeout.
func (c *Conn) ReadLine(max int) ([]byte, error) {
	if err := c.finishBody(); err != nil {
		return nil, err
	}
	if err := c.stopped(); err != nil {
		return nil, err
	}
	c.line = nil
	line, err := c.readLine(max)
	c.line.inTime()
	if c.config.Log.On(syslog.Raw) {
		c.logLine(line, err)
	}
	return line, err
}

func (c *Conn) readLine(max int) ([]byte, error) {
	scanned := 0 // octets of the buffer known to hold no LF
	for {
		if i := bytes.IndexByte(c.in[c.r+scanned:c.w], '\n'); i >= 0 {
			return c.endLine(scanned+i+1, max)
		}
		scanned = c.Buffered()
		if c.line.size()+scanned >= max {
			return nil, c.drainLine()
		}
		if scanned == inputSize {
			c.odd().keep(c.in[c.r:c.w])
			c.r, c.w, scanned = 0, 0, 0
		}
		if err := c.fillLine(scanned == 0 && c.line.size() == 0); err != nil {
			return nil, err
		}
	}
}

// fillLine reads more of a line. first says that nothing of it is there yet.
func (c *Conn) fillLine(first bool) error {
	if first {
		return c.fill(c.stopped)
	}
	if c.config.Read > 0 && c.line.deadline().IsZero() {
		c.odd().limit = time.Now().Add(c.config.Read)
	}
	return unexpected(c.fill(nil))
}

// endLine consumes n octets, with which the line ends.
func (c *Conn) endLine(n, max int) ([]byte, error) {
	line := c.in[c.r : c.r+n]
	c.r += n
	if c.line.size()+n > max {
		c.odd().drop(line)
		return nil, ErrLineTooLong
	}
	if c.line.size() > 0 {
		line = c.line.keep(line)
	}
	line = line[:len(line)-1]
	n = len(line)
	c.bareLF = n == 0 || line[n-1] != '\r'
	if !c.bareLF {
		line = line[:n-1]
	}
	return line, nil
}

// BareLF tells whether the last line that was read ended with an LF alone, for
// protocols that know no such lines.
func (c *Conn) BareLF() bool { return c.bareLF }

// drainLine reads to the end of the line, keeping nothing.
func (c *Conn) drainLine() error {
	dropped := c.line.size()
	for {
		if i := bytes.IndexByte(c.in[c.r:c.w], '\n'); i >= 0 {
			c.odd().drop(c.in[c.r : c.r+i+1])
			c.r += i + 1
			return ErrLineTooLong
		}
		dropped += c.Buffered()
		c.odd().drop(c.in[c.r:c.w])
		c.r, c.w = 0, 0
		if dropped > maxDrain {
			return ErrEndless
		}
		if err := c.fillLine(false); err != nil {
			return err
		}
	}
}
