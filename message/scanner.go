package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Scanner makes one pass over a message while it streams by and yields its
// [Summary]. It keeps at most one header block of [Limits.Header] octets, the
// boundaries of the open multiparts and what the structure is made of, about
// 1 MiB, whatever the message holds.
type Scanner struct {
	limits Limits
	digest hash.Hash

	// lines
	size     int64 // octets of all whole lines; the current line begins here
	lines    int64
	previous lineEnd
	partial  partialLine

	dots, eightBit, nul, bareLF bool
	headerEightBit              bool

	tree tree
}

// lineEnd is what the line before the current one was like: the line end before
// a boundary belongs to the boundary (RFC 2046 section 5.1.1).
type lineEnd struct {
	octets int  // of its line end: 0, 1 or 2
	empty  bool // nothing stood before it
}

// partialLine is a line whose end has not arrived.
type partialLine struct {
	octets int64
	head   []byte // its first octets, enough to know a boundary
	cr     bool   // the last octet is CR
}

// maxHead is how much of a line is kept to know a boundary: dashes around it,
// white space behind it, a CR.
const maxHead = maxBoundary + 256

// NewScanner returns a scanner with the given limits.
func NewScanner(l Limits) *Scanner {
	s := &Scanner{limits: l.withDefaults(), digest: sha256.New()}
	s.Reset()
	return s
}

// Reset makes the scanner ready for another message. Its buffers are kept, large
// ones excepted.
func (s *Scanner) Reset() {
	s.digest.Reset()
	head := s.partial.head[:0]
	if cap(head) > keepBuffer {
		head = nil
	}
	s.size, s.lines, s.previous = 0, 0, lineEnd{}
	s.partial = partialLine{head: head}
	s.dots, s.eightBit, s.nul, s.bareLF, s.headerEightBit = false, false, false, false, false
	s.tree.reset(s.limits)
}

// keepBuffer is the size above which a buffer is not kept for the next message.
const keepBuffer = 64 << 10

// Write takes the next octets of the message. It never fails.
func (s *Scanner) Write(p []byte) (int, error) {
	written := len(p)
	s.digest.Write(p)
	s.eightBit = s.eightBit || hasEightBit(p)
	s.nul = s.nul || bytes.IndexByte(p, 0) >= 0
	if s.partial.octets > 0 {
		p = s.resume(p)
	}
	for len(p) > 0 {
		if !s.tree.inHeader() {
			p = s.bodyLines(p)
		}
		if len(p) == 0 {
			break
		}
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.hold(p)
			break
		}
		line := p[:i+1]
		if s.tree.inHeader() {
			s.keepHeader(line)
		}
		s.wholeLine(line)
		p = p[i+1:]
	}
	return written, nil
}

// keepHeader takes octets of a header line.
func (s *Scanner) keepHeader(p []byte) {
	s.headerEightBit = s.headerEightBit || s.eightBit && hasEightBit(p)
	s.tree.keepHeader(p)
}

// bodyLines takes lines that can be no boundary, as many as there are: the inner
// loop of the scanner.
func (s *Scanner) bodyLines(p []byte) []byte {
	start, lines, boundaries := len(p), int64(0), s.tree.hasBoundaries()
	last, cr := -1, false // the last line: octets before its LF, and whether CR stands there
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 || boundaries && i > 1 && p[0] == '-' && p[1] == '-' {
			break
		}
		if p[0] == '.' {
			s.dots = true
		}
		if cr = i > 0 && p[i-1] == '\r'; !cr {
			s.bareLF = true
		}
		last = i
		lines++
		p = p[i+1:]
	}
	if last >= 0 {
		s.previous = endOfLine(last, cr)
	}
	s.size += int64(start - len(p))
	s.lines += lines
	return p
}

// endOfLine describes a line of n octets before its LF.
func endOfLine(n int, cr bool) lineEnd {
	if cr {
		return lineEnd{octets: 2, empty: n == 1}
	}
	return lineEnd{octets: 1, empty: n == 0}
}

// wholeLine takes one line that lies in one piece, with its LF.
func (s *Scanner) wholeLine(line []byte) {
	n := len(line) - 1
	cr := n > 0 && line[n-1] == '\r'
	text := line[:n]
	if cr {
		text = line[:n-1]
	} else {
		s.bareLF = true
	}
	s.endLine(text, int64(len(line)), endOfLine(n, cr))
}

// hold keeps the beginning of a line whose end is still to come.
func (s *Scanner) hold(p []byte) {
	if s.tree.inHeader() {
		s.keepHeader(p)
	}
	l := &s.partial
	l.octets += int64(len(p))
	l.cr = p[len(p)-1] == '\r'
	if room := maxHead - len(l.head); room > 0 {
		l.head = append(l.head, p[:min(room, len(p))]...)
	}
}

// resume goes on with a line that began in an earlier write, and returns what
// comes after its end.
func (s *Scanner) resume(p []byte) []byte {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		if len(p) > 0 {
			s.hold(p)
		}
		return nil
	}
	if i > 0 {
		s.hold(p[:i])
	}
	if s.tree.inHeader() {
		s.tree.keepHeader(p[i : i+1])
	}
	l := &s.partial
	end := lineEnd{octets: 1}
	if l.cr {
		end = lineEnd{octets: 2, empty: l.octets == 1}
	} else {
		s.bareLF = true
	}
	s.endPartial(l.octets+1, end)
	return p[i+1:]
}

// endPartial ends the held line.
func (s *Scanner) endPartial(octets int64, end lineEnd) {
	text := s.partial.head
	if end.octets == 2 && s.partial.octets <= maxHead {
		text = text[:len(text)-1]
	}
	s.endLine(text, octets, end)
	s.partial = partialLine{head: s.partial.head[:0]}
}

// endLine takes a line: its text without the line end, of which only the first
// maxHead octets count, and its length with the line end.
func (s *Scanner) endLine(text []byte, octets int64, end lineEnd) {
	if len(text) > 0 && text[0] == '.' {
		s.dots = true
	}
	at := position{offset: s.size, lines: s.lines, previous: s.previous}
	s.size += octets
	s.lines++
	s.previous = end
	next := position{offset: s.size, lines: s.lines, previous: end}
	if len(text) > 2 && text[0] == '-' && text[1] == '-' && octets <= maxHead && s.tree.boundary(text[2:], at, next) {
		return
	}
	if s.tree.inHeader() {
		s.tree.headerLine(end.empty, next)
	}
}

// Finish ends the message and returns what was found. The scanner takes no more
// octets until [Scanner.Reset]. The Summary shares no memory with it.
func (s *Scanner) Finish() *Summary {
	if s.partial.octets > 0 {
		s.endPartial(s.partial.octets, lineEnd{})
	}
	s.tree.finish(position{offset: s.size, lines: s.lines, previous: s.previous})
	sum := &Summary{
		Size: s.size, Lines: s.lines,
		Dots: s.dots, EightBit: s.eightBit, NUL: s.nul, BareLF: s.bareLF,
		HeaderEightBit: s.headerEightBit,
		NoFinalCRLF:    s.size > 0 && s.previous.octets != 2,
	}
	s.digest.Sum(sum.Digest[:0])
	s.tree.summarize(sum)
	return sum
}

// hasEightBit reports whether an octet above 127 occurs.
func hasEightBit(p []byte) bool {
	const high = 0x8080808080808080
	for len(p) >= 32 {
		w := binary.LittleEndian.Uint64(p) | binary.LittleEndian.Uint64(p[8:]) |
			binary.LittleEndian.Uint64(p[16:]) | binary.LittleEndian.Uint64(p[24:])
		if w&high != 0 {
			return true
		}
		p = p[32:]
	}
	var rest byte
	for _, c := range p {
		rest |= c
	}
	return rest >= 0x80
}
