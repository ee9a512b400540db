package message

import (
	"bytes"
	"strconv"
)

// maxQuoted is the length above which a string is sent as a literal: clients
// read a quoted string as part of a line, and some bound their lines.
const maxQuoted = 1000

// AppendString appends s as an IMAP string (RFC 9051 section 4.3): quoted where
// that can hold it, else as a literal. A literal is used for octets outside
// ASCII, CR, LF and long strings. NUL, which neither form can hold, is dropped.
func AppendString(b []byte, s []byte) []byte {
	if len(s) <= maxQuoted {
		switch needs := quotedNeeds(s); needs {
		case plainQuoted:
			b = append(b, '"')
			b = append(b, s...)
			return append(b, '"')
		case escapeQuoted:
			return AppendQuoted(b, s)
		}
	}
	if bytes.IndexByte(s, 0) >= 0 {
		return AppendString(b, bytes.ReplaceAll(s, []byte{0}, nil))
	}
	b = append(b, '{')
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, "}\r\n"...)
	return append(b, s...)
}

// AppendNString appends s as [AppendString] does, or NIL when s is nil. An
// empty s that is not nil gives an empty string.
func AppendNString(b []byte, s []byte) []byte {
	if s == nil {
		return append(b, "NIL"...)
	}
	return AppendString(b, s)
}

// AppendQuoted appends s as an IMAP quoted string. The caller knows that s holds
// no CR, LF or NUL, and octets outside ASCII only where the session allows them
// (RFC 6855).
func AppendQuoted(b []byte, s []byte) []byte {
	b = append(b, '"')
	if bytes.IndexByte(s, '"') < 0 && bytes.IndexByte(s, '\\') < 0 {
		b = append(b, s...)
		return append(b, '"')
	}
	for _, c := range s {
		if c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return append(b, '"')
}

// quotedNeed is what an octet asks for in a quoted string.
type quotedNeed byte

const (
	plainQuoted  quotedNeed = iota // nothing
	escapeQuoted                   // a backslash before it
	neverQuoted                    // a literal
)

// quotedNeedOf never changes.
var quotedNeedOf = func() (needs [256]quotedNeed) {
	for c := range needs {
		switch {
		case c == '"' || c == '\\':
			needs[c] = escapeQuoted
		case c >= 0x80 || c == '\r' || c == '\n' || c == 0:
			needs[c] = neverQuoted
		}
	}
	return needs
}()

// quotedNeeds returns the most that any octet of s asks for.
func quotedNeeds(s []byte) quotedNeed {
	var most quotedNeed
	for _, c := range s {
		most = max(most, quotedNeedOf[c])
	}
	return most
}
