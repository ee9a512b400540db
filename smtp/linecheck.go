package smtp

import (
	"io"

	"tripost/wire"
)

// lineCheck passes on a body that came in chunks, and refuses in it what wire
// refuses in mail data: CR and LF that do not stand together, NUL, and too many
// octets. What is wrong is not passed on.
type lineCheck struct {
	w      io.Writer
	max    int64
	lines  wire.Lines
	failed error // w
}

var (
	lineEnd = []byte("\r\n")
	oneCR   = []byte("\r")
)

// Write takes the next piece, which may be cut off anywhere.
func (c *lineCheck) Write(p []byte) (int, error) {
	c.note(p)
	if c.err(false) == nil {
		if _, err := c.w.Write(p); err != nil {
			c.failed = err
			return 0, err
		}
	}
	return len(p), nil
}

// note looks at a piece.
func (c *lineCheck) note(p []byte) {
	if c.lines.Note(p); c.lines.Size > c.max {
		c.lines.Fault(wire.ErrDataTooLong)
	}
}

// err returns what is wrong, at the end of the body or before.
func (c *lineCheck) err(end bool) error { return c.lines.Err(end) }

// open tells that the last line has no end. Chunks need not have one, but
// everything that stores and sends messages counts on it.
func (c *lineCheck) open() bool { return c.lines.Open() }

// complete ends the last line. The end does not count as the client's octets.
func (c *lineCheck) complete() error {
	if c.open() {
		_, c.failed = c.w.Write(lineEnd)
	}
	return c.failed
}
