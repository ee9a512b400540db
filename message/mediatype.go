package message

import (
	"bytes"
	"slices"
)

// parameter is one attribute of Content-Type or Content-Disposition as it is
// handed to clients: continuations joined (RFC 2231 section 3), quotes removed.
// Of an extended value (section 4) the name keeps its "*" and the value its
// charset, language and percent signs.
type parameter struct {
	name  []byte // lower case
	value []byte
}

// mediaType is a Content-Type taken apart.
type mediaType struct {
	typ, sub []byte // lower case
	params   []parameter
}

// is reports whether the type is the given one.
func (m *mediaType) is(typ, sub string) bool {
	return string(m.typ) == typ && string(m.sub) == sub
}

// param returns a parameter's plain value, of an extended one the text without
// its percent signs and charset; nil when there is none.
func (m *mediaType) param(name string) []byte {
	for _, p := range m.params {
		if string(p.name) == name {
			return p.value
		}
		if n := len(p.name) - 1; n == len(name) && p.name[n] == '*' && string(p.name[:n]) == name {
			return decodeExtended(p.value)
		}
	}
	return nil
}

// parseMediaType reads the body of a Content-Type field. What has no subtype or
// uses octets that a type cannot have is text/plain, as RFC 2045 section 5.2
// suggests; its parameters are kept. ok is false for an empty field.
func parseMediaType(body []byte) (m mediaType, ok bool) {
	s := skipSpace(body)
	if len(s) == 0 {
		return m, false
	}
	m.typ, s = mediaToken(s)
	s = skipSpace(s)
	if len(s) > 0 && s[0] == '/' {
		m.sub, s = mediaToken(skipSpace(s[1:]))
	}
	if !validMediaToken(m.typ) || !validMediaToken(m.sub) {
		m.typ, m.sub = []byte("text"), []byte("plain")
	}
	if s = skipSpace(s); len(s) > 0 && s[0] != ';' && !startsParameter(s) {
		i := bytes.IndexByte(s, ';')
		if i < 0 {
			return m, true
		}
		s = s[i:]
	}
	m.params = parseParameters(s)
	return m, true
}

// startsParameter tolerates a forgotten semicolon after the type.
func startsParameter(s []byte) bool {
	name, rest := parameterName(s)
	return len(name) > 0 && len(rest) > 0 && rest[0] == '='
}

// mediaToken takes a token off the head of s, in lower case.
func mediaToken(s []byte) (token, rest []byte) {
	i := 0
	for i < len(s) && isTokenChar(s[i]) {
		i++
	}
	return appendLower(nil, s[:i]), s[i:]
}

func validMediaToken(t []byte) bool { return len(t) > 0 && len(t) <= maxMediaToken }

// isTokenChar tells what a token may hold, RFC 2045 section 5.1.
func isTokenChar(c byte) bool { return tokenChars[c] }

// skipSpace skips white space, line ends and comments (RFC 5322 section 3.2.2)
// of at most [maxText] octets.
func skipSpace(s []byte) []byte {
	for len(s) > 0 {
		switch {
		case isSpace(s[0]):
			s = s[1:]
		case s[0] == '(':
			n := commentLength(s[:min(len(s), maxText)])
			if n == 0 {
				return s
			}
			s = s[n:]
		default:
			return s
		}
	}
	return s
}

// commentLength counts the octets of the comment at the head of s, comments
// inside it counted in; 0 when it does not end.
func commentLength(s []byte) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// quotedLength counts the octets of the quoted string at the head of s, quotes
// included; 0 when it does not end within [maxText].
func quotedLength(s []byte) int {
	s = s[:min(len(s), maxText)]
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// appendUnquoted appends the text of a quoted string, given with its quotes.
func appendUnquoted(b, quoted []byte) []byte {
	return appendUnescaped(b, quoted[1:len(quoted)-1])
}

// appendUnescaped appends text without the backslashes of quoted pairs and
// without line ends.
func appendUnescaped(b, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			i++
			b = append(b, s[i])
		case c == '\n', c == '\r' && i+1 < len(s) && s[i+1] == '\n':
		default:
			b = append(b, c)
		}
	}
	return b
}

// parseParameters reads "; name=value" pairs, at most [maxParameters].
func parseParameters(s []byte) []parameter {
	var raw []parameter
	for range maxParameters {
		for s = skipSpace(s); len(s) > 0 && s[0] == ';'; {
			s = skipSpace(s[1:])
		}
		if len(s) == 0 {
			break
		}
		var name, value []byte
		name, s = parameterName(s)
		if len(s) == 0 || s[0] != '=' {
			s = afterSemicolon(s)
			continue
		}
		value, s = parameterValue(s[1:])
		if len(name) > 0 {
			raw = append(raw, parameter{name, value})
		}
	}
	return joinContinuations(raw)
}

// parameterName takes a name off the head of s, in lower case, and the space
// after it.
func parameterName(s []byte) (name, rest []byte) {
	i := 0
	for i < len(s) && isTokenChar(s[i]) {
		i++
	}
	return appendLower(nil, s[:i]), skipSpace(s[i:])
}

func afterSemicolon(s []byte) []byte {
	if i := bytes.IndexByte(s, ';'); i >= 0 {
		return s[i+1:]
	}
	return nil
}

// parameterValue takes a value off the head of s and goes to the next semicolon.
// A value without quotes may hold spaces and other octets that it should not.
func parameterValue(s []byte) (value, rest []byte) {
	s = skipSpace(s)
	if len(s) > 0 && s[0] == '"' {
		if n := quotedLength(s); n > 0 {
			return appendUnquoted(nil, s[:n]), s[n:]
		}
		s = s[1:] // never closed
	}
	i := bytes.IndexByte(s, ';')
	if i < 0 {
		i = len(s)
	}
	value, rest = s[:i], s[i:]
	if c := bytes.Index(value, []byte(" (")); c >= 0 {
		value = value[:c] // a comment
	}
	return appendUnfolded(nil, value), rest
}

// segment is one part of a parameter that was cut into several.
type segment struct {
	index    int
	extended bool
}

// splitName takes "name*1*" apart. A name without a number has index -1.
func splitName(name []byte) (base []byte, seg segment) {
	seg.index = -1
	if n := len(name) - 1; n > 0 && name[n] == '*' {
		seg.extended, name = true, name[:n]
	}
	i := bytes.LastIndexByte(name, '*')
	if i <= 0 || len(name)-i > 4 || i+1 == len(name) {
		return name, seg
	}
	index := 0
	for _, c := range name[i+1:] {
		if c < '0' || c > '9' {
			return name, seg
		}
		index = index*10 + int(c-'0')
	}
	seg.index = index
	return name[:i], seg
}

// joinContinuations puts "name*0", "name*1" and so on together, in the place of
// the first seen. Segments after a missing one are left out.
func joinContinuations(raw []parameter) []parameter {
	if !slices.ContainsFunc(raw, func(p parameter) bool { return bytes.IndexByte(p.name, '*') >= 0 }) {
		return raw
	}
	var out []parameter
	joined := make(map[string]bool)
	for i, p := range raw {
		base, seg := splitName(p.name)
		switch {
		case seg.index < 0:
			out = append(out, p)
		case !joined[string(base)]:
			joined[string(base)] = true
			out = append(out, join(base, raw[i:])...)
		}
	}
	return out
}

// join gathers the segments of one parameter.
func join(base []byte, raw []parameter) []parameter {
	var found [maxParameters]*parameter
	extended := false
	for i := range raw {
		b, seg := splitName(raw[i].name)
		if seg.index >= 0 && seg.index < len(found) && bytes.Equal(b, base) && found[seg.index] == nil {
			found[seg.index] = &raw[i]
			extended = extended || seg.extended
		}
	}
	if found[0] == nil {
		return nil
	}
	p := parameter{name: slices.Clone(base)}
	if extended {
		p.name = append(p.name, '*')
		if _, seg := splitName(found[0].name); !seg.extended {
			p.value = append(p.value, "''"...) // no charset was given
		}
	}
	for _, s := range found {
		if s == nil {
			break
		}
		if _, seg := splitName(s.name); extended && !seg.extended {
			p.value = appendPercent(p.value, s.value)
		} else {
			p.value = append(p.value, s.value...)
		}
	}
	return []parameter{p}
}

// appendPercent writes plain text the way extended values are written.
func appendPercent(b, s []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range s {
		if isTokenChar(c) && c != '%' && c != '\'' && c != '*' {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// decodeExtended takes charset, language and percent signs off an extended value
// (RFC 2231 section 4). The octets keep their charset.
func decodeExtended(v []byte) []byte {
	if i := bytes.IndexByte(v, '\''); i >= 0 {
		if j := bytes.IndexByte(v[i+1:], '\''); j >= 0 {
			v = v[i+1+j+1:]
		}
	}
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) && isHex(v[i+1]) && isHex(v[i+2]) {
			out = append(out, unhex(v[i+1])<<4|unhex(v[i+2]))
			i += 2
			continue
		}
		out = append(out, v[i])
	}
	return out
}

func appendLower(b, s []byte) []byte {
	for _, c := range s {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// asciiLower is the lower-case form of a name that comes from a header.
func asciiLower(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			return string(appendLower(nil, []byte(s)))
		}
	}
	return s
}
