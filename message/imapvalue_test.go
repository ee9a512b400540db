package message

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// value is an IMAP value: a list, a string, an atom.
type value struct {
	list   []value
	isList bool
	str    []byte // of a string
	atom   string // NIL or a number
}

func (v value) isNil() bool    { return v.atom == "NIL" }
func (v value) isString() bool { return !v.isList && v.atom == "" }

// parseValue reads an IMAP value strictly, as a client would.
func parseValue(b []byte) (value, error) {
	v, rest, err := readValue(b, 0)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%q after the value", rest)
	}
	return v, err
}

func readValue(b []byte, depth int) (v value, rest []byte, err error) {
	if len(b) == 0 {
		return v, nil, errors.New("value missing")
	}
	switch {
	case b[0] == '(':
		return readList(b[1:], depth)
	case b[0] == '"':
		return readQuotedValue(b[1:])
	case b[0] == '{':
		i := bytes.Index(b, []byte("}\r\n"))
		if i < 0 {
			return v, nil, errors.New("literal without end")
		}
		n, err := strconv.Atoi(string(b[1:i]))
		if err != nil || n > len(b)-i-3 {
			return v, nil, fmt.Errorf("literal of %q octets", b[1:i])
		}
		v.str, rest = b[i+3:i+3+n], b[i+3+n:]
		if bytes.IndexByte(v.str, 0) >= 0 {
			return v, nil, errors.New("NUL in a literal")
		}
		return v, rest, nil
	case bytes.HasPrefix(b, []byte("NIL")):
		return value{atom: "NIL"}, b[3:], nil
	}
	i := 0
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	if i == 0 {
		return v, nil, fmt.Errorf("no value at %.20q", b)
	}
	return value{atom: string(b[:i])}, b[i:], nil
}

// readList reads up to the closing parenthesis. Lists may follow each other
// without a space.
func readList(b []byte, depth int) (v value, rest []byte, err error) {
	if depth > 2*maxDepth {
		return v, nil, errors.New("too deep")
	}
	v.isList = true
	for {
		var e value
		if e, b, err = readValue(b, depth+1); err != nil {
			return v, nil, err
		}
		v.list = append(v.list, e)
		if len(b) == 0 {
			return v, nil, errors.New("list without end")
		}
		switch {
		case b[0] == ')':
			return v, b[1:], nil
		case b[0] == ' ':
			b = b[1:]
		case b[0] != '(' || !e.isList:
			return v, nil, fmt.Errorf("no space at %.20q", b)
		}
	}
}

func readQuotedValue(b []byte) (v value, rest []byte, err error) {
	v.str = []byte{}
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return v, b[i+1:], nil
		case c == '\\' && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\'):
			i++
			v.str = append(v.str, b[i])
		case c == '\\', c == 0, c == '\r', c == '\n', c >= 0x80:
			return v, nil, fmt.Errorf("octet %q in a quoted string", c)
		default:
			v.str = append(v.str, c)
		}
	}
	return v, nil, errors.New("quoted string without end")
}

// checkEnvelope holds an ENVELOPE against the grammar of RFC 9051 section 9.
func checkEnvelope(v value) error {
	if !v.isList || len(v.list) != 10 {
		return fmt.Errorf("an envelope of %d members", len(v.list))
	}
	for i, m := range v.list {
		if i < 2 || i > 7 {
			if !m.isNil() && !m.isString() {
				return fmt.Errorf("envelope member %d is no nstring", i)
			}
			continue
		}
		if err := checkAddresses(m); err != nil {
			return fmt.Errorf("envelope member %d: %w", i, err)
		}
	}
	return nil
}

func checkAddresses(v value) error {
	if v.isNil() {
		return nil
	}
	if !v.isList || len(v.list) == 0 {
		return errors.New("neither NIL nor addresses")
	}
	group := false
	for _, a := range v.list {
		if !a.isList || len(a.list) != 4 {
			return errors.New("an address without four members")
		}
		for _, m := range a.list {
			if !m.isNil() && !m.isString() {
				return errors.New("a member of an address is no nstring")
			}
		}
		if !a.list[3].isNil() {
			if a.list[2].isNil() {
				return errors.New("an address without a mailbox")
			}
			continue
		}
		start := !a.list[2].isNil()
		if start == group || !a.list[0].isNil() || !a.list[1].isNil() {
			return errors.New("a group marker in the wrong place")
		}
		group = start
	}
	if group {
		return errors.New("a group without end")
	}
	return nil
}

// checkBody holds a body structure against the grammar, and against the parts:
// parts are visited in the order of their appearance.
func checkBody(v value, parts []Part, extended bool) (rest []Part, err error) {
	if len(parts) == 0 {
		return nil, errors.New("a structure without a part")
	}
	if !v.isList || len(v.list) == 0 {
		return nil, errors.New("a body is no list")
	}
	part := parts[0]
	if v.list[0].isList {
		return checkMultipart(v.list, part, parts[1:], extended)
	}
	m := v.list
	if len(m) < 7 {
		return nil, fmt.Errorf("a body of %d members", len(m))
	}
	for i, ok := range []bool{
		m[0].isString(), m[1].isString(), checkParams(m[2]), m[3].isNil() || m[3].isString(),
		m[4].isNil() || m[4].isString(), m[5].isString(), isNumber(m[6]),
	} {
		if !ok {
			return nil, fmt.Errorf("member %d of a body is wrong", i)
		}
	}
	if typ := string(m[0].str) + "/" + string(m[1].str); typ != part.Type {
		return nil, fmt.Errorf("structure has type %q, part has %q", typ, part.Type)
	}
	if string(m[5].str) != part.Encoding {
		return nil, fmt.Errorf("structure has encoding %q, part has %q", m[5].str, part.Encoding)
	}
	if want := strconv.FormatInt(part.End-part.Body, 10); m[6].atom != want {
		return nil, fmt.Errorf("structure has %s octets, part has %s", m[6].atom, want)
	}
	rest, m = parts[1:], m[7:]
	switch part.Type {
	case "message/rfc822", "message/global":
		if len(m) < 3 || !isNumber(m[2]) {
			return nil, errors.New("a message part without its members")
		}
		if err := checkEnvelope(m[0]); err != nil {
			return nil, err
		}
		if rest, err = checkBody(m[1], rest, extended); err != nil {
			return nil, err
		}
		m = m[3:]
	default:
		if bytes.HasPrefix([]byte(part.Type), []byte("text/")) {
			if len(m) < 1 || !isNumber(m[0]) {
				return nil, errors.New("a text part without lines")
			}
			m = m[1:]
		}
	}
	if !extended {
		if len(m) != 0 {
			return nil, errors.New("extension data in BODY")
		}
		return rest, nil
	}
	if len(m) != 4 || !(m[0].isNil() || m[0].isString()) {
		return nil, errors.New("extension data is wrong")
	}
	return rest, checkExtension(m[1:])
}

func checkMultipart(m []value, part Part, rest []Part, extended bool) ([]Part, error) {
	if !part.Multipart {
		return nil, errors.New("structure is multipart, part is not")
	}
	var err error
	for len(m) > 0 && m[0].isList {
		if rest, err = checkBody(m[0], rest, extended); err != nil {
			return nil, err
		}
		m = m[1:]
	}
	if len(m) == 0 || "multipart/"+string(m[0].str) != part.Type {
		return nil, fmt.Errorf("a multipart without its subtype, which is %q", part.Type)
	}
	m = m[1:]
	if !extended {
		if len(m) != 0 {
			return nil, errors.New("extension data in BODY")
		}
		return rest, nil
	}
	if len(m) != 4 || !checkParams(m[0]) {
		return nil, errors.New("extension data of a multipart is wrong")
	}
	return rest, checkExtension(m[1:])
}

// checkExtension checks disposition, language and location.
func checkExtension(m []value) error {
	d := m[0]
	if !d.isNil() && (len(d.list) != 2 || !d.list[0].isString() || !checkParams(d.list[1])) {
		return errors.New("a disposition is wrong")
	}
	if l := m[1]; l.isList {
		for _, tag := range l.list {
			if !tag.isString() {
				return errors.New("a language is wrong")
			}
		}
	}
	if m[2].isList || m[2].atom != "" && !m[2].isNil() {
		return errors.New("a location is wrong")
	}
	return nil
}

func checkParams(v value) bool {
	if v.isNil() {
		return true
	}
	for _, m := range v.list {
		if !m.isString() {
			return false
		}
	}
	return v.isList && len(v.list) > 0 && len(v.list)%2 == 0
}

func isNumber(v value) bool { return v.atom != "" && !v.isNil() }
