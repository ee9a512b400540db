package imap

import (
	"bytes"
	"strconv"

	"tripost/message"
)

// appendStructure appends a stored body structure. Clients of IMAP4rev2 get the values
// of extended parameters ("name*") in UTF-8, others as they are written: RFC 9051
// section 7.5.2, RFC 2231 section 4.
func (s *session) appendStructure(b, stored []byte) []byte {
	if !s.has(featureRev2) || !bytes.Contains(stored, extendedName) {
		return append(b, stored...)
	}
	d := structureDecoder{in: stored, out: b}
	if !d.part() || d.i != len(stored) {
		return append(b, stored...)
	}
	return append(d.out, stored[d.done:]...)
}

// extendedName ends the name of an extended parameter.
var extendedName = []byte(`*" `)

// structureDecoder copies a body structure with other values of parameters. It stops
// before the end where the text is none that the scanner writes.
type structureDecoder struct {
	in, out []byte
	i       int // read so far
	done    int // copied so far
}

func (d *structureDecoder) peek() byte {
	if d.i < len(d.in) {
		return d.in[d.i]
	}
	return 0
}

func (d *structureDecoder) accept(c byte) bool {
	if d.i == len(d.in) || d.in[d.i] != c {
		return false
	}
	d.i++
	return true
}

// part reads the structure of a part. What stands where says RFC 9051 section 7.5.2: of
// a multipart first the parts, then the subtype, the parameters and the disposition; of
// another one type, subtype, parameters, identifier, description, encoding and size, then
// by the type the lines, or an envelope, a structure and lines, and perhaps a digest and
// the disposition. It says whether it was there.
func (d *structureDecoder) part() bool {
	if !d.accept('(') {
		return false
	}
	disposition := 2
	if d.peek() == '(' {
		for d.peek() == '(' {
			if !d.part() {
				return false
			}
		}
		d.accept(' ')
		d.value() // the subtype
	} else {
		d.values(2)
		disposition = 6
	}
	for at := 1; d.accept(' '); at++ {
		switch {
		case at == 1:
			d.parameters()
		case at == 6 && disposition == 6 && d.peek() == '(':
			d.value() // the envelope
			d.accept(' ')
			if !d.part() {
				return false
			}
			disposition = 9
		case at == 6 && disposition == 6 && '0' <= d.peek() && d.peek() <= '9':
			d.value() // the lines
			disposition = 8
		case at == 6 && disposition == 6:
			d.value() // the digest
			disposition = 7
		case at == disposition && d.accept('('):
			d.value() // the type
			d.accept(' ')
			d.parameters()
			d.accept(')')
		default:
			d.value()
		}
	}
	return d.accept(')')
}

// values reads so many values with spaces between them.
func (d *structureDecoder) values(n int) {
	for i := range n {
		if i > 0 {
			d.accept(' ')
		}
		d.value()
	}
}

// parameters reads a list of names and values, or NIL.
func (d *structureDecoder) parameters() {
	if !d.accept('(') {
		d.value()
		return
	}
	for d.i < len(d.in) && d.peek() != ')' {
		name := d.value()
		d.accept(' ')
		start := d.i
		value := d.value()
		if len(name) > 1 && name[len(name)-1] == '*' {
			if text, ok := message.DecodeExtended(value); ok {
				d.out = message.AppendString(append(d.out, d.in[d.done:start]...), text)
				d.done = d.i
			}
		}
		if !d.accept(' ') {
			break
		}
	}
	d.accept(')')
}

// value reads a string, an atom or a list, and returns what a string says.
func (d *structureDecoder) value() []byte {
	start := d.i
	switch d.peek() {
	case '"':
		return d.quoted()
	case '{':
		return d.literal()
	case '(':
		d.list()
	default:
		for c := d.peek(); c > ' ' && c != '(' && c != ')'; c = d.peek() {
			d.i++
		}
	}
	return d.in[start:d.i]
}

// list passes over a list, however deep.
func (d *structureDecoder) list() {
	for depth := 0; d.i < len(d.in); {
		switch d.peek() {
		case '(':
			depth++
			d.i++
		case ')':
			depth--
			d.i++
		case '"', '{':
			before := d.i
			if d.value(); d.i == before {
				return
			}
		default:
			d.i++
		}
		if depth == 0 {
			return
		}
	}
}

func (d *structureDecoder) quoted() (text []byte) {
	for d.i++; d.i < len(d.in); d.i++ {
		switch c := d.in[d.i]; c {
		case '"':
			d.i++
			return text
		case '\\':
			if d.i+1 < len(d.in) {
				d.i++
				text = append(text, d.in[d.i])
			}
		default:
			text = append(text, c)
		}
	}
	return nil
}

func (d *structureDecoder) literal() []byte {
	size, rest, found := bytes.Cut(d.in[d.i+1:], []byte("}\r\n"))
	n, err := strconv.Atoi(string(size[:min(len(size), 10)]))
	if !found || err != nil || n < 0 || n > len(rest) {
		return nil
	}
	d.i = len(d.in) - len(rest) + n
	return rest[:n]
}
