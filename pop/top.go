package pop

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// top sends the header of a message, the empty line after it, and the first
// lines of the body. The message stays unseen, however many lines were asked
// for.
//
// RFC 1939 section 7, TOP.
func (s *session) top(ctx context.Context, arg string) error {
	number, count, _ := strings.Cut(arg, " ")
	lines, err := lineCount(count)
	if err != nil {
		return s.refuse("TOP", err)
	}
	m, err := s.openMessage(ctx, number)
	if err != nil {
		return s.refuse("TOP", err)
	}
	defer m.body.Close()
	head := &headReader{from: m.reader(), lines: lines}
	reply := func() { s.ok(sayTop) }
	if begun, err := s.conn.DotCopy(reply, head, s.needsDots(ctx, m)); err != nil {
		return s.unreadable("TOP", begun, fmt.Errorf("send the top of message %d: %w", m.number, err))
	}
	s.count.top++
	s.count.octets += head.sent
	return nil
}

// lineCount reads a number of lines; one too large to count means all of them.
func lineCount(arg string) (int64, error) {
	for i := range len(arg) {
		if arg[i] < '0' || arg[i] > '9' {
			return 0, refuse(sayLinesDigits)
		}
	}
	lines, _ := strconv.ParseInt(arg, 10, 64) // out of range: the largest there is
	return lines, nil
}

// headReader is a message cut off after some lines of its body. Lines end with
// LF, whether CR stands before it or not.
type headReader struct {
	from  io.Reader
	lines int64 // of the body, still to be sent
	sent  int64

	inBody bool
	line   int64 // octets of the line so far
	first  byte  // the first of them
}

const headChunk = 8 << 10

// WriteTo writes the header and the lines.
func (h *headReader) WriteTo(w io.Writer) (int64, error) {
	chunk := make([]byte, headChunk)
	for {
		n, err := h.from.Read(chunk)
		take, done := h.take(chunk[:n])
		if _, err := w.Write(chunk[:take]); err != nil {
			return h.sent, err
		}
		h.sent += int64(take)
		switch {
		case done || err == io.EOF:
			return h.sent, nil
		case err != nil:
			return h.sent, err
		}
	}
}

// take returns how many octets of b belong to the head, and whether it ends
// with them.
func (h *headReader) take(b []byte) (n int, done bool) {
	for n < len(b) {
		if h.inBody && h.lines == 0 {
			return n, true
		}
		if h.line == 0 {
			h.first = b[n]
		}
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			h.line += int64(len(b) - n)
			return len(b), false
		}
		h.endLine(h.line + int64(i))
		n += i + 1
	}
	return n, h.inBody && h.lines == 0
}

// endLine counts a line of so many octets before its LF.
func (h *headReader) endLine(octets int64) {
	if h.inBody {
		h.lines--
	} else {
		h.inBody = octets == 0 || octets == 1 && h.first == '\r'
	}
	h.line = 0
}
