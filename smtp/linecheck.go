package smtp

import (
	"bytes"
	"io"

	"tripost/wire"
)

// lineCheck passes on a body that came in chunks, and refuses in it what wire
// refuses in mail data: CR and LF that do not stand together, NUL, and too many
// octets. What is wrong is not passed on.
type lineCheck struct {
	w      io.Writer
	max    int64
	size   int64
	last   byte  // octet; a CR may be followed by its LF in the next piece
	wrong  error // the first fault
	failed error // w
}

var (
	lineEnd = []byte("\r\n")
	oneCR   = []byte("\r")
	oneLF   = []byte("\n")
)

// Write takes the next piece, which may be cut off anywhere.
func (c *lineCheck) Write(p []byte) (int, error) {
	c.note(p)
	if c.wrong == nil {
		if _, err := c.w.Write(p); err != nil {
			c.failed = err
			return 0, err
		}
	}
	return len(p), nil
}

// note looks at a piece.
func (c *lineCheck) note(p []byte) {
	if len(p) == 0 {
		return
	}
	c.size += int64(len(p))
	pairs := bytes.Count(p, lineEnd)
	crs, lfs := bytes.Count(p, oneCR)-pairs, bytes.Count(p, oneLF)-pairs
	if c.last == '\r' {
		if p[0] != '\n' {
			c.fault(wire.ErrBareCR)
		} else {
			lfs--
		}
	}
	if c.last = p[len(p)-1]; c.last == '\r' {
		crs--
	}
	switch {
	case crs > 0:
		c.fault(wire.ErrBareCR)
	case lfs > 0:
		c.fault(wire.ErrBareLF)
	case bytes.IndexByte(p, 0) >= 0:
		c.fault(wire.ErrNUL)
	case c.size > c.max:
		c.fault(wire.ErrDataTooLong)
	}
}

func (c *lineCheck) fault(err error) {
	if c.wrong == nil {
		c.wrong = err
	}
}

// err returns what is wrong, at the end of the body or before.
func (c *lineCheck) err(end bool) error {
	if end && c.last == '\r' {
		c.fault(wire.ErrBareCR)
	}
	return c.wrong
}

// open tells that the last line has no end. Chunks need not have one, but
// everything that stores and sends messages counts on it.
func (c *lineCheck) open() bool { return c.size > 0 && c.last != '\n' }

// complete ends the last line. The end does not count as the client's octets.
func (c *lineCheck) complete() error {
	if c.open() {
		_, c.failed = c.w.Write(lineEnd)
	}
	return c.failed
}
