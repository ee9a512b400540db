package queue

import (
	"bytes"
	"io"
)

const (
	// maxHead is how much of a line is looked at for the name of its field.
	maxHead = 256
	// maxHeader is how far into a message fields are looked for. What lies
	// beyond is passed as it is; no reader of headers goes that far.
	maxHeader = 1 << 20
	// flushAt is how much of a header is collected before it is passed on.
	flushAt = 16 << 10
	// holdAt is how much of a submission's header is collected until it is known
	// what it lacks. A longer one is passed on as it is.
	holdAt = 256 << 10
)

// filter passes a message on to w and takes out the fields that only this
// server may write: Return-Path, the field of individual recipients, which
// decides who sees a message, and from who is not trusted in that also what we
// write about a message. Everything else passes octet for octet, and in one
// piece: what a submission lacks goes before it, behind our trace fields. Blanks
// at the very begin of a message, which would make its first line a part of our
// own fields, are left out. The filter works in bounded memory and linear time,
// whatever the message.
type filter struct {
	w          io.Writer
	individual []byte // name of the field
	results    string // our name in Authentication-Results, which is taken out; empty: it stays
	maxHops    int
	complete   bool                              // add what a submission lacks
	replyTo    bool                              // take Reply-To out
	watch      bool                              // tell high
	missing    func(date, messageID bool) []byte // renders what is added

	buf      []byte // header octets that are to be passed on
	head     []byte // beginning of a line that is not yet decided
	mid      bool   // within a line that is decided
	drop     bool   // the present field is left out, with its continuation lines
	begun    bool   // something was passed on
	held     int    // where in buf an Authentication-Results begins that may be ours, plus one; 0: none
	body     bool   // the header is over
	seen     int    // header octets so far
	hops     int
	date, id bool // there is a Date, a Message-ID
	high     bool // the header has octets above 127; only with watch
	anyWay   bool // TLS-Required: No
}

// Write takes the next octets of the message.
func (f *filter) Write(p []byte) (int, error) {
	n := len(p)
	if !f.begun {
		p = bytes.TrimLeft(p, " \t")
		f.begun = len(p) > 0
	}
	for len(p) > 0 && !f.body {
		rest, err := f.header(p)
		if err != nil {
			return 0, err
		}
		f.seen += len(p) - len(rest)
		p = rest
		if f.seen > maxHeader && !f.body {
			if err := f.endHeader(); err != nil {
				return 0, err
			}
		}
	}
	if len(p) > 0 {
		if _, err := f.w.Write(p); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// header takes one line of the header, or as much of it as there is, and
// returns the rest.
func (f *filter) header(p []byte) (rest []byte, err error) {
	line := p
	end := bytes.IndexByte(p, '\n')
	if end >= 0 {
		line = p[:end+1]
	}
	rest = p[len(line):]
	switch {
	case f.mid:
		f.mid = end < 0
		return rest, f.pass(line)
	case len(f.head) > 0 || end < 0:
		take := min(len(line), maxHead-len(f.head))
		f.head = append(f.head, line[:take]...)
		rest = p[take:]
		whole := end >= 0 && take == len(line)
		if !whole && len(f.head) < maxHead {
			return rest, nil // more is needed to decide
		}
		line = f.head
		f.head = f.head[:0]
		f.mid = !whole
	}
	if err := f.decide(line); err != nil {
		return rest, err
	}
	return rest, f.pass(line)
}

// decide looks at the beginning of a line, and so at what becomes of it.
func (f *filter) decide(line []byte) error {
	switch line[0] {
	case ' ', '\t':
		return nil // of the same field as the line before
	case '\n':
		return f.end()
	case '\r':
		if len(line) > 1 && line[1] == '\n' {
			return f.end()
		}
	}
	f.drop = false
	f.settle()
	name := line[:max(0, bytes.IndexByte(line, ':'))]
	name = bytes.TrimRight(name, " \t") // RFC 5322 section 4.5 allows blanks there
	switch {
	case is(name, "received"):
		if f.hops++; f.hops > f.maxHops {
			return ErrLoop
		}
	case is(name, "date"):
		f.date = true
	case is(name, "message-id"):
		f.id = true
	case is(name, "tls-required"): // RFC 8689 section 5
		_, value, _ := bytes.Cut(line, []byte{':'})
		f.anyWay = f.anyWay || is(bytes.TrimSpace(value), "no")
	case f.results != "" && is(name, "authentication-results"):
		f.held = len(f.buf) + 1
	case is(name, "return-path"), f.replyTo && is(name, "reply-to"), f.results != "" && (is(name, "x-screen") || is(name, "x-spam-flag")), len(f.individual) > 0 && bytes.EqualFold(name, f.individual):
		f.drop = true
	}
	return nil
}

// is compares with a lower-case name.
func is(name []byte, with string) bool {
	if len(name) != len(with) {
		return false
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != with[i] {
			return false
		}
	}
	return true
}

// end comes before the empty line.
func (f *filter) end() error {
	f.drop = false
	f.settle()
	f.add()
	f.body = true
	return nil
}

// holds reports whether the header is being held back to see what it lacks.
func (f *filter) holds() bool { return f.complete && !(f.date && f.id) }

// add puts what a submission lacks before its header.
func (f *filter) add() {
	if f.holds() {
		f.buf = append(f.missing(!f.date, !f.id), f.buf...)
	}
	f.complete = false
}

// pass takes octets of a decided line.
func (f *filter) pass(p []byte) error {
	if !f.drop {
		f.buf = append(f.buf, p...)
		f.high = f.high || f.watch && !ascii(p)
	}
	if f.held > 0 && len(f.buf)-f.held >= maxResults {
		f.buf, f.held, f.drop = f.buf[:f.held-1], 0, true // no honest one is so long
	}
	if f.held > 0 {
		return nil
	}
	if f.body || len(f.buf) >= holdAt || len(f.buf) >= flushAt && !f.holds() {
		f.complete = false
		return f.flush()
	}
	return nil
}

func (f *filter) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	_, err := f.w.Write(f.buf)
	f.buf = f.buf[:0]
	return err
}

// endHeader gives up looking for the end of the header.
func (f *filter) endHeader() error {
	f.settle()
	f.body = true
	if !f.drop {
		f.buf = append(f.buf, f.head...)
	}
	return f.flush()
}

// Close passes on what is left when the message ended within its header.
func (f *filter) Close() error {
	if f.body {
		return nil
	}
	if len(f.head) > 0 {
		if err := f.decide(f.head); err != nil {
			return err
		}
		if err := f.pass(f.head); err != nil {
			return err
		}
	}
	f.settle()
	f.add()
	f.body = true
	return f.flush()
}
