package wire

import (
	"io"
)

// LiteralReader reads a counted run of octets: an IMAP literal, a BDAT chunk.
type LiteralReader struct {
	c    *Conn
	left int64
}

// Literal returns a reader of exactly the next n octets, as they are. It is
// valid until the next ReadLine, which drains what is left of it.
func (c *Conn) Literal(n int64) *LiteralReader {
	l := &c.moving().literal
	*l = LiteralReader{c: c, left: n}
	c.body = nil
	if n > 0 {
		c.body = l
	}
	c.line = nil
	c.logBody("literal", n)
	return l
}

// Read reads from the literal. It returns io.EOF at its end, and
// io.ErrUnexpectedEOF when the peer closed the connection before.
func (l *LiteralReader) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	c := l.c
	if c.Buffered() == 0 && len(p) >= inputSize {
		n, err := c.readInto(p)
		l.took(n)
		return n, unexpected(err)
	}
	if err := l.fill(); err != nil {
		return 0, err
	}
	n := copy(p, c.in[c.r:c.w])
	c.r += n
	l.took(n)
	return n, nil
}

// WriteTo writes the whole literal to w, without a copy in between.
func (l *LiteralReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for l.left > 0 {
		if err := l.fill(); err != nil {
			return total, err
		}
		c := l.c
		piece := c.in[c.r:min(int64(c.w), int64(c.r)+l.left)]
		c.r += len(piece)
		l.took(len(piece))
		n, err := w.Write(piece)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Drain reads what is left, and drops it.
func (l *LiteralReader) Drain() error {
	_, err := l.WriteTo(io.Discard)
	return err
}

// Left returns how many octets are still to be read.
func (l *LiteralReader) Left() int64 { return l.left }

// fill makes sure that something is buffered.
func (l *LiteralReader) fill() error {
	for l.c.Buffered() == 0 {
		if err := l.c.fill(nil); err != nil {
			return unexpected(err)
		}
	}
	return nil
}

// took counts octets that were read; at the end the connection is free for the
// next command.
func (l *LiteralReader) took(n int) {
	if l.left -= int64(n); l.left == 0 {
		l.c.body = nil
	}
}

// unexpected marks the end of input within a body.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
