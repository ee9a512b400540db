package smtp

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"tripost/accounts"
)

const (
	// maxPath is the longest path taken, in octets. RFC 5321 section 4.5.3.1.3
	// asks for 256 at least.
	maxPath = 512
	// maxLocal is the longest local part. RFC 5321 section 4.5.3.1.1 asks for
	// 64; variable reverse-paths are longer.
	maxLocal = 256
	maxLabel = 63 // RFC 1035 section 2.3.4
)

// pathError is what is wrong with a path.
type pathError struct {
	kind fault
	text string
}

type fault uint8

const (
	badSyntax fault = iota // not a path at all
	badLocal
	badDomain
	notASCII
)

func (e *pathError) Error() string { return e.text }

// code is the SMTP reply code.
func (e *pathError) code() int {
	if e.kind == badSyntax {
		return 501
	}
	return 553
}

// role tells the paths of MAIL and RCPT apart, whose enhanced codes differ.
type role uint8

const (
	sender role = iota
	addressee
)

// enhanced is the code of RFC 3463 section 3.2, or 5.6.7 of RFC 6531.
func (e *pathError) enhanced(r role) string {
	switch {
	case e.kind == notASCII:
		return "5.6.7"
	case e.kind == badSyntax:
		return "5.5.2"
	case r == sender && e.kind == badDomain:
		return "5.1.8"
	case r == sender:
		return "5.1.7"
	default:
		return "5.1.3"
	}
}

var (
	errBrackets = &pathError{badSyntax, "an address stands in < and >"}
	errEnd      = &pathError{badSyntax, "the address has no end"}
	errRoute    = &pathError{badSyntax, "malformed source route"}
	errPathLong = &pathError{badSyntax, "address too long"}
	errNull     = &pathError{badSyntax, "the null path is no recipient"}
	errLocal    = &pathError{badLocal, "malformed local part"}
	errNoDomain = &pathError{badDomain, "a domain is required"}
	errDomain   = &pathError{badDomain, "malformed domain"}
	errLiteral  = &pathError{badDomain, "malformed address literal"}
	errNonASCII = &pathError{notASCII, "an address that is not ASCII needs SMTPUTF8"}
	errUTF8     = &pathError{notASCII, "the address is not UTF-8"}
	errControl  = &pathError{badSyntax, "address with a control character"}
)

// parseReversePath reads the path of MAIL and returns it without its brackets,
// and what follows it. The null path is "".
//
// RFC 5321 section 4.1.2, Reverse-path.
func parseReversePath(s string) (path, rest string, err *pathError) {
	if after, ok := strings.CutPrefix(s, "<>"); ok {
		return "", after, nil
	}
	return parsePath(s)
}

// parseForwardPath reads the path of RCPT.
//
// RFC 5321 section 4.1.2, Forward-path.
func parseForwardPath(s string) (path, rest string, err *pathError) {
	if strings.HasPrefix(s, "<>") {
		return "", "", errNull
	}
	return parsePath(s)
}

// parsePath reads "<" [ A-d-l ":" ] Mailbox ">". A quoted local part keeps its
// quotes: what it would be without them is another address.
func parsePath(s string) (path, rest string, err *pathError) {
	if !strings.HasPrefix(s, "<") {
		return "", "", errBrackets
	}
	s = s[1:]
	if strings.HasPrefix(s, "@") {
		if s, err = skipRoute(s); err != nil {
			return "", "", err
		}
	}
	n, err := scanLocal(s)
	if err != nil {
		return "", "", err
	}
	local := s[:n]
	s = s[n:]
	if rest, ok := strings.CutPrefix(s, ">"); ok {
		if strings.EqualFold(local, "postmaster") { // RFC 5321 section 4.5.1
			return local, rest, nil
		}
		return "", "", errNoDomain
	}
	if !strings.HasPrefix(s, "@") {
		return "", "", wrongAt(s, errLocal)
	}
	d, err := scanDomain(s[1:])
	if err != nil {
		return "", "", err
	}
	s, domain := s[1+d:], s[1:1+d]
	if !strings.HasPrefix(s, ">") {
		return "", "", wrongAt(s, errDomain)
	}
	if len(local)+1+len(domain) > maxPath {
		return "", "", errPathLong
	}
	if !printable(local) {
		return "", "", errUTF8
	}
	return local + "@" + domain, s[1:], nil
}

// wrongAt says what is wrong with the octet at which a part ended too early.
func wrongAt(s string, err *pathError) *pathError {
	switch {
	case s == "":
		return errEnd
	case s[0] >= 0x80:
		return errUTF8
	case s[0] < ' ' || s[0] == 0x7f:
		return errControl
	default:
		return err
	}
}

// skipRoute drops a source route, which may be ignored: RFC 5321 section 3.3
// and appendix C.
func skipRoute(s string) (string, *pathError) {
	for {
		if !strings.HasPrefix(s, "@") {
			return "", errRoute
		}
		n, err := scanDomain(s[1:])
		if err != nil {
			return "", err
		}
		s = s[1+n:]
		switch {
		case strings.HasPrefix(s, ":"):
			return s[1:], nil
		case strings.HasPrefix(s, ","):
			s = s[1:]
		default:
			return "", errRoute
		}
	}
}

// scanLocal returns the length of the local part at the begin of s: a Dot-string
// or a Quoted-string.
func scanLocal(s string) (int, *pathError) {
	if strings.HasPrefix(s, `"`) {
		return scanQuoted(s)
	}
	n := 0
	for n < len(s) && (atext(s[n]) || s[n] == '.' || s[n] >= 0x80) {
		n++
	}
	switch {
	case n > maxLocal:
		return 0, errPathLong
	case n == 0:
		return 0, wrongAt(s, errLocal)
	case s[0] == '.' || s[n-1] == '.' || strings.Contains(s[:n], ".."):
		return 0, errLocal
	}
	return n, nil
}

// scanQuoted returns the length of a Quoted-string with its quotes.
func scanQuoted(s string) (int, *pathError) {
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"' && i == 1:
			return 0, errLocal
		case c == '"' && i+1 > maxLocal:
			return 0, errPathLong
		case c == '"':
			return i + 1, nil
		case c == '\\':
			i++
			if i == len(s) || s[i] < ' ' || s[i] > '~' {
				return 0, errLocal
			}
		case c < ' ' || c == 0x7f:
			return 0, wrongAt(s[i:], errLocal)
		}
	}
	return 0, errEnd
}

// atext is RFC 5322 section 3.2.3.
func atext(c byte) bool {
	return alnum(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// scanDomain returns the length of the domain or address literal at the begin of
// s.
func scanDomain(s string) (int, *pathError) {
	if strings.HasPrefix(s, "[") {
		return scanLiteral(s)
	}
	n, label := 0, 0
	for ; n < len(s); n++ {
		c := s[n]
		switch {
		case c >= 0x80:
			return scanIDN(s)
		case alnum(c), c == '_': // names with '_' exist, though RFC 1123 has none
			label++
		case c == '-' && label > 0:
			label++
		case c == '.' && label > 0 && s[n-1] != '-':
			label = 0
		default:
			return endDomain(s, n, label)
		}
		if label > maxLabel {
			return 0, errDomain
		}
	}
	return endDomain(s, n, label)
}

// scanIDN returns the length of a domain with characters beyond ASCII: RFC 6531
// section 3.3, sub-domain.
func scanIDN(s string) (int, *pathError) {
	n := 0
	for n < len(s) && (alnum(s[n]) || s[n] == '-' || s[n] == '.' || s[n] >= 0x80) {
		n++
	}
	if _, err := accounts.CanonicalDomain(s[:n]); err != nil || n > maxDomain || s[n-1] == '.' {
		return 0, errDomain
	}
	return n, nil
}

// printable tells UTF-8 without control characters and blanks other than ' '.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r != ' ' && unicode.IsSpace(r)
	}) < 0
}

// endDomain checks a domain of n octets whose last label has so many.
func endDomain(s string, n, label int) (int, *pathError) {
	switch {
	case n == 0:
		return 0, wrongAt(s, errNoDomain)
	case label == 0 || s[n-1] == '-' || n > maxDomain:
		return 0, errDomain
	}
	return n, nil
}

// scanLiteral returns the length of an address literal, RFC 5321 section 4.1.3.
func scanLiteral(s string) (int, *pathError) {
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return 0, errLiteral
	}
	text := s[1:end]
	v6 := len(text) > 5 && strings.EqualFold(text[:5], "IPv6:")
	if v6 {
		text = text[5:]
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.Is4() == v6 {
		return 0, errLiteral
	}
	return end + 1, nil
}
