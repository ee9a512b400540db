package queue

import (
	"bytes"
	"strings"
)

// maxResults is the longest Authentication-Results field of others that is kept,
// in octets.
const maxResults = 16 << 10

// resultsOf returns the name under which what a source says about authentication
// is taken out, because only we say it: RFC 8601 section 5. Nothing is found out
// about what users and client addresses send, so it would stand unchecked. Peers of
// LMTP are the mail transfer agent on our side of the border, and may have said it.
func (q *Queue) resultsOf(src *Source) string {
	if src.Internal || src.Account == nil && src.Module == "LMTP" {
		return ""
	}
	return q.o.Hostname
}

// settle drops the field that was held back if it claims to be ours.
func (f *filter) settle() {
	if f.held == 0 {
		return
	}
	field := f.buf[f.held-1:]
	if strings.EqualFold(authServer(field), f.results) {
		f.buf = f.buf[:f.held-1]
	}
	f.held = 0
}

// authServer returns the authserv-id of a whole Authentication-Results field
// (RFC 8601 section 2.2), which comments and folding may precede.
func authServer(field []byte) string {
	_, rest, _ := bytes.Cut(field, []byte{':'})
	rest = skipComments(rest)
	if len(rest) > 0 && rest[0] == '"' {
		return unquoteID(rest[1:])
	}
	end := bytes.IndexAny(rest, " \t\r\n;(/")
	if end < 0 {
		end = len(rest)
	}
	return strings.TrimSuffix(string(rest[:end]), ".")
}

// unquoteID reads a quoted string to its end.
func unquoteID(b []byte) string {
	var id []byte
	for i := 0; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		}
		id = append(id, b[i])
	}
	return strings.TrimSuffix(string(id), ".")
}

// skipComments leaves out blanks, line ends and comments (RFC 5322 section
// 3.2.2, CFWS).
func skipComments(b []byte) []byte {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '(':
			depth++
		case depth > 0 && c == ')':
			depth--
		case depth > 0 && c == '\\':
			i++
		case depth > 0 || c == ' ' || c == '\t' || c == '\r' || c == '\n':
		default:
			return b[i:]
		}
	}
	return nil
}
