package wire

import (
	"fmt"
	"time"
)

// directWrite is the size from which output is not worth copying into the
// buffer.
const directWrite = 32 << 10

// Write appends p to the output. It returns the error that has stuck to the
// output, if there is one; Flush returns it too.
func (c *Conn) Write(p []byte) (int, error) {
	if c.werr != nil {
		return 0, c.werr
	}
	if len(p) >= directWrite {
		return c.writeDirect(p)
	}
	c.takeOutput()
	c.out = append(c.out, p...)
	c.flushFull()
	return len(p), c.werr
}

// writeDirect sends the buffer and then p from where it lies.
func (c *Conn) writeDirect(p []byte) (int, error) {
	if c.Flush() != nil {
		return 0, c.werr
	}
	c.logSent(p)
	c.armWrite()
	n, err := c.nc.Write(p)
	c.wrote(err)
	return n, c.werr
}

// WriteString appends s to the output, as Write does.
func (c *Conn) WriteString(s string) (int, error) {
	if c.werr != nil {
		return 0, c.werr
	}
	c.takeOutput()
	c.out = append(c.out, s...)
	c.flushFull()
	return len(s), c.werr
}

// Append lends the output buffer to an append-style encoder: fn gets it and
// returns it extended. fn must keep what the buffer holds and not hold on to it.
func (c *Conn) Append(fn func(b []byte) []byte) { c.Done(fn(c.Out())) }

// Out returns the output buffer to append to. The caller gives it back by Done
// before it calls anything else on the connection.
func (c *Conn) Out() []byte {
	c.takeOutput()
	return c.out
}

// Done takes the buffer back that Out returned, extended.
func (c *Conn) Done(b []byte) {
	c.out = b
	c.flushFull()
}

// flushFull sends the output when enough has come together.
func (c *Conn) flushFull() {
	if len(c.out) >= flushAt {
		c.Flush()
	}
}

// Flush sends what has been written, within the write timeout. An error sticks:
// what is written afterwards is dropped.
func (c *Conn) Flush() error {
	if len(c.out) == 0 {
		return c.werr
	}
	if c.werr == nil {
		c.logOutput()
		c.armWrite()
		_, err := c.nc.Write(c.out)
		c.wrote(err)
	}
	c.out, c.logged = c.out[:0], 0
	return c.werr
}

func (c *Conn) wrote(err error) {
	if err != nil && c.werr == nil {
		c.werr = fmt.Errorf("write to the peer: %w", err)
	}
}

// armWrite sets the write deadline, unless the one that is set will do.
func (c *Conn) armWrite() {
	if c.config.Write <= 0 {
		return
	}
	want := time.Now().Add(c.config.Write)
	if !c.writeDeadline.Before(want) {
		return
	}
	c.writeDeadline = want.Add(min(c.config.Write/16, maxSlack))
	c.raw.SetWriteDeadline(c.writeDeadline)
}
