package wire

import (
	"bytes"
	"time"
)

// tailSize is how much of the end of a line that is too long is kept.
const tailSize = 32

// oddLine is what there is to know of a line that came in pieces or was too long. That
// of most lines is nil.
type oddLine struct {
	long  []byte    // what did not fit into the buffer
	tail  []byte    // how the line ends that was too long
	limit time.Time // no read of the rest waits beyond; zero: none
}

// odd returns what there is to know of the line that is being read.
func (c *Conn) odd() *oddLine {
	if c.line == nil {
		c.line = new(oddLine)
	}
	return c.line
}

// size is how much of the line was kept.
func (l *oddLine) size() int {
	if l == nil {
		return 0
	}
	return len(l.long)
}

// keep adds to what is kept of the line, and returns all of that.
func (l *oddLine) keep(p []byte) []byte {
	l.long = append(l.long, p...)
	return l.long
}

// deadline returns until when the rest of the line must be there; zero: whenever.
func (l *oddLine) deadline() time.Time {
	if l == nil {
		return time.Time{}
	}
	return l.limit
}

// inTime lifts the deadline: the line is at its end.
func (l *oddLine) inTime() {
	if l != nil {
		l.limit = time.Time{}
	}
}

// drop keeps of the line only how it ends, p being its next octets.
func (l *oddLine) drop(p []byte) {
	l.keepTail(l.long)
	l.long = nil
	l.keepTail(p)
}

// Tail returns how the line ended that ReadLine refused last as too long, without
// its line end: at most 32 octets. An IMAP session looks there for the
// announcement of a literal, whose octets follow whether the line was taken or
// not. It is valid until the next read.
func (c *Conn) Tail() []byte {
	if c.line == nil {
		return nil
	}
	line, _ := bytes.CutSuffix(c.line.tail, []byte("\n"))
	line, _ = bytes.CutSuffix(line, []byte("\r"))
	return line
}

// keepTail takes note of the next octets of a line that is being dropped.
func (l *oddLine) keepTail(p []byte) {
	p = p[max(0, len(p)-tailSize):]
	if over := len(l.tail) + len(p) - tailSize; over > 0 {
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
	l.tail = append(l.tail, p...)
}
