package imap

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// errSyntax is behind every error of the parser; it becomes a tagged BAD.
var errSyntax = errors.New("syntax error")

// syntaxError says what the parser wanted.
type syntaxError struct{ text string }

func (e *syntaxError) Error() string        { return e.text }
func (e *syntaxError) Is(target error) bool { return target == errSyntax }

// parser takes the octets of one command apart, by recursive descent over the
// formal syntax of RFC 3501 section 9. Literals stand in the octets as they were
// sent: {n}, CRLF, n octets.
//
// The first error sticks: after it every method returns zero and moves no more,
// so that a handler may look at err once, by end. Loops must look at it in every
// turn. Slices that are returned point into the command.
type parser struct {
	b    []byte
	i    int
	err  error
	utf8 bool // mailbox names are UTF-8
	uids bool // sequence numbers are refused

	byNumber bool // there were some
}

// numbered is called where a search key with a sequence number, or another one that
// a command can do without, is about to be consumed.
func (p *parser) numbered() {
	p.byNumber = true
	if p.uids && p.err == nil {
		p.err = uidRequired()
		p.i = len(p.b)
	}
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = &syntaxError{fmt.Sprintf(format, args...)}
		p.i = len(p.b)
	}
}

// end is the error of the parse, or that of octets left over.
func (p *parser) end() error {
	if p.err == nil && p.i < len(p.b) {
		p.fail("Unexpected text after the command")
	}
	return p.err
}

func (p *parser) more() bool { return p.i < len(p.b) }

// peek returns the next octet, 0 at the end.
func (p *parser) peek() byte {
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

// accept consumes c if it is next.
func (p *parser) accept(c byte) bool {
	if p.i < len(p.b) && p.b[p.i] == c {
		p.i++
		return true
	}
	return false
}

// expect consumes c, which must be next.
func (p *parser) expect(c byte) {
	if p.err == nil && !p.accept(c) {
		p.fail("Expected %q", c)
	}
}

// space consumes one space, which must be next.
func (p *parser) space() {
	switch {
	case p.err != nil || p.accept(' '):
	case p.i == len(p.b):
		p.fail("An argument is missing")
	default:
		p.fail("Expected a space")
	}
}

// Classes of octets, RFC 3501 section 9.
const (
	classAtom    = 1 << iota // ATOM-CHAR
	classAstring             // ASTRING-CHAR
	classList                // list-char
	classTag                 // of tag
)

var classes = func() (t [256]uint8) {
	for c := 0x21; c < 0x7f; c++ {
		switch c {
		case '(', ')', '{', '"', '\\':
		case '%', '*':
			t[c] = classList
		case ']':
			t[c] = classAstring | classList | classTag
		case '+':
			t[c] = classAtom | classAstring | classList
		default:
			t[c] = classAtom | classAstring | classList | classTag
		}
	}
	return t
}()

// run consumes the octets of a class; there may be none.
func (p *parser) run(class uint8) []byte {
	start := p.i
	for p.i < len(p.b) && classes[p.b[p.i]]&class != 0 {
		p.i++
	}
	return p.b[start:p.i]
}

// atom consumes an atom.
func (p *parser) atom() []byte {
	a := p.run(classAtom)
	if len(a) == 0 {
		p.fail("Expected an atom")
	}
	return a
}

// word consumes an atom and returns it in upper case, for names of commands,
// items and keys.
func (p *parser) word() string { return strings.ToUpper(string(p.atom())) }

// astring consumes an atom or a string.
func (p *parser) astring() []byte {
	switch p.peek() {
	case '"', '{':
		return p.str()
	}
	a := p.run(classAstring)
	if len(a) == 0 {
		p.fail("Expected an atom or a string")
	}
	return a
}

// listMailbox consumes a LIST pattern.
func (p *parser) listMailbox() []byte {
	switch p.peek() {
	case '"', '{':
		return p.str()
	}
	a := p.run(classList)
	if len(a) == 0 {
		p.fail("Expected a mailbox name or pattern")
	}
	return a
}

// str consumes a quoted string or a literal.
func (p *parser) str() []byte {
	switch p.peek() {
	case '"':
		return p.quoted()
	case '{':
		return p.literal()
	}
	p.fail("Expected a string")
	return nil
}

// nstring consumes a string or NIL, which gives false.
func (p *parser) nstring() ([]byte, bool) {
	if p.acceptWord("NIL") {
		return nil, false
	}
	return p.str(), p.err == nil
}

// acceptWord consumes the atom w, given in upper case, if it is next.
func (p *parser) acceptWord(w string) bool {
	end := p.i + len(w)
	if end > len(p.b) || !equalFold(p.b[p.i:end], w) {
		return false
	}
	if end < len(p.b) && classes[p.b[end]]&classAtom != 0 {
		return false
	}
	p.i = end
	return true
}

// equalFold compares b with the upper-case ASCII text w.
func equalFold(b []byte, w string) bool {
	if len(b) != len(w) {
		return false
	}
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != w[i] {
			return false
		}
	}
	return true
}

// quoted consumes a quoted string. Octets above 127 pass, for SEARCH with a
// charset; who takes a mailbox name checks for itself.
func (p *parser) quoted() []byte {
	p.expect('"')
	start := p.i
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case '"':
			p.i++
			return p.b[start : p.i-1]
		case '\\':
			return p.escaped(start)
		case '\r', '\n', 0:
			p.fail("Control character in a quoted string")
			return nil
		}
		p.i++
	}
	p.fail("Quoted string without an end")
	return nil
}

// escaped goes on with a quoted string from its first backslash, in a copy.
func (p *parser) escaped(start int) []byte {
	s := append([]byte(nil), p.b[start:p.i]...)
	for p.i < len(p.b) {
		c := p.b[p.i]
		p.i++
		switch c {
		case '"':
			return s
		case '\\':
			if n := p.peek(); n != '"' && n != '\\' {
				p.fail("Only \" and \\ may follow a backslash in a quoted string")
				return nil
			}
			c = p.b[p.i]
			p.i++
		case '\r', '\n', 0:
			p.fail("Control character in a quoted string")
			return nil
		}
		s = append(s, c)
	}
	p.fail("Quoted string without an end")
	return nil
}

// value consumes a string, or a literal8 (RFC 3516), which may hold NUL.
func (p *parser) value() []byte {
	if p.peek() == '~' {
		return p.literal()
	}
	return p.str()
}

// literal consumes a literal that was read with the command.
func (p *parser) literal() []byte {
	rest := p.b[p.i:]
	binary := p.peek() == '~'
	lit, n, ok := literalHead(rest)
	if !ok || !strings.HasPrefix(string(rest[n:min(n+2, len(rest))]), "\r\n") || lit.size > int64(len(rest)-n-2) {
		p.fail("Malformed literal")
		return nil
	}
	start := p.i + n + 2
	p.i = start + int(lit.size)
	s := p.b[start:p.i]
	for _, c := range s {
		if c == 0 && !binary {
			p.fail("NUL in a literal")
			return nil
		}
	}
	return s
}

// number consumes a number of 32 bits.
func (p *parser) number() uint32 { return uint32(p.digits(math.MaxUint32)) }

// digits consumes a number up to most.
func (p *parser) digits(most uint64) uint64 {
	n, start := uint64(0), p.i
	for p.i < len(p.b) && p.b[p.i]-'0' <= 9 {
		digit := uint64(p.b[p.i] - '0')
		if n > (most-digit)/10 {
			p.fail("Number too large")
			return 0
		}
		n = n*10 + digit
		p.i++
	}
	if p.i == start {
		p.fail("Expected a number")
	}
	return n
}

// number64 consumes a number of 63 bits.
func (p *parser) number64() int64 {
	n, start := int64(0), p.i
	for p.i < len(p.b) && p.b[p.i]-'0' <= 9 {
		d := int64(p.b[p.i] - '0')
		if n > (math.MaxInt64-d)/10 {
			p.fail("Number too large")
			return 0
		}
		n = n*10 + d
		p.i++
	}
	if p.i == start {
		p.fail("Expected a number")
	}
	return n
}

// list consumes "(", one or more items with single spaces between them, and ")".
// empty allows "()".
func (p *parser) list(empty bool, item func()) {
	p.expect('(')
	if empty && p.accept(')') {
		return
	}
	for p.err == nil {
		item()
		if p.accept(')') {
			return
		}
		p.space()
	}
}
