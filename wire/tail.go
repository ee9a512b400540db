package wire

import "bytes"

// tailSize is how much of the end of a line that is too long is kept.
const tailSize = 32

// Tail returns how the line ended that ReadLine refused last as too long, without
// its line end: at most 32 octets. An IMAP session looks there for the
// announcement of a literal, whose octets follow whether the line was taken or
// not. It is valid until the next read.
func (c *Conn) Tail() []byte {
	line, _ := bytes.CutSuffix(c.tail, []byte("\n"))
	line, _ = bytes.CutSuffix(line, []byte("\r"))
	return line
}

// keepTail takes note of the next octets of a line that is being dropped.
func (c *Conn) keepTail(p []byte) {
	p = p[max(0, len(p)-tailSize):]
	if over := len(c.tail) + len(p) - tailSize; over > 0 {
		c.tail = append(c.tail[:0], c.tail[over:]...)
	}
	c.tail = append(c.tail, p...)
}
