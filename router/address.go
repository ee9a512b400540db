package router

import (
	"errors"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"tripost/accounts"
)

// RFC 5321 section 4.5.3.1 allows 64 octets to a local part and 255 to a
// domain. Longer local parts exist.
const (
	maxAddress = 1024 // with a source route
	maxLocal   = 255
	maxDomain  = 255
)

// What is wrong with an address, said to the client.
var (
	errSyntax = errors.New("not a valid address")
	errLong   = errors.New("the address is too long")
	errDomain = errors.New("not a valid domain in the address")
)

// address is a parsed address. The local part is without quotes; as long as it
// is a dot-string (RFC 5321 section 4.1.2) it may hold another address, else it
// is opaque. The domain is lower case, A-labels, or an IP address in brackets,
// or "".
type address struct {
	local  string
	domain string
}

// String writes the address, with quotes where they are needed.
func (a address) String() string {
	local := a.local
	if !isDotString(local) {
		local = quote(local)
	}
	if a.domain == "" {
		return local
	}
	return local + "@" + a.domain
}

// parseAddress reads an address in SMTP form: a mailbox, a local part alone, or
// a source route with a mailbox. The route becomes the percent form that means
// the same: @a,@b:x@c is x%c%b@a.
func parseAddress(s string) (address, error) {
	if len(s) > maxAddress {
		return address{}, errLong
	}
	if strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") {
		s = s[1 : len(s)-1]
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return address{}, errSyntax
	}
	if !strings.HasPrefix(s, "@") {
		return parseMailbox(s)
	}
	route, mailbox, ok := strings.Cut(s, ":")
	if !ok {
		return address{}, errSyntax
	}
	return parseRoute(route, mailbox)
}

// CheckAddress says what is wrong with an address that a name is to stand for,
// nil for nothing. It does not ask where it leads.
func CheckAddress(s string) error {
	_, err := parseAddress(s)
	return err
}

func parseRoute(route, mailbox string) (address, error) {
	a, err := parseMailbox(mailbox)
	if err != nil {
		return address{}, err
	}
	hops := strings.Split(route, ",")
	for i, hop := range hops {
		if !strings.HasPrefix(hop, "@") {
			return address{}, errSyntax
		}
		if hops[i], err = parseDomain(hop[1:]); err != nil {
			return address{}, err
		}
	}
	if !isDotString(a.local) || strings.HasPrefix(a.domain, "[") {
		return a, nil // it has no percent form; RFC 5321 appendix C allows to ignore the route
	}
	for i := len(hops) - 1; i >= 0; i-- {
		if a.domain != "" {
			a.local += "%" + a.domain
		}
		a.domain = hops[i]
	}
	if len(a.local) > maxLocal {
		return address{}, errLong
	}
	return a, nil
}

// parseMailbox reads local@domain or local.
func parseMailbox(s string) (address, error) {
	local, rest, err := cutLocal(s)
	if err != nil {
		return address{}, err
	}
	switch {
	case local == "":
		return address{}, errSyntax
	case len(local) > maxLocal:
		return address{}, errLong
	case rest == "":
		return address{local: local}, nil
	case rest[0] != '@':
		return address{}, errSyntax
	}
	domain, err := parseDomain(rest[1:])
	return address{local: local, domain: domain}, err
}

// cutLocal takes the local part off s, and its quotes off that.
func cutLocal(s string) (local, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		return unquote(s)
	}
	end := strings.IndexByte(s, '@')
	if end < 0 {
		end = len(s)
	}
	for i := range end {
		if !isAtomOctet(s[i]) && s[i] != '.' {
			return "", "", errSyntax
		}
	}
	return s[:end], s[end:], nil
}

// unquote reads the quoted string that s begins with.
func unquote(s string) (content, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			i++
			if i == len(s) {
				return "", "", errSyntax
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errSyntax
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// parseDomain reads a domain or an IP address in brackets. It takes what the
// rules need too: "Cl1.local", "host.26._via".
func parseDomain(s string) (string, error) {
	if strings.HasPrefix(s, "[") {
		ip, ok := parseLiteral(s)
		if !ok {
			return "", errDomain
		}
		return literal(ip), nil
	}
	if len(s) > maxDomain {
		return "", errLong
	}
	s = strings.TrimSuffix(s, ".")
	if isDomainText(s) {
		return strings.ToLower(s), nil
	}
	ascii, err := accounts.CanonicalDomain(s)
	if err != nil {
		return "", errDomain
	}
	return ascii, nil
}

// isDomainText is loose: labels are looked at by isHost when they are to be used.
func isDomainText(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !isLetterOrDigit(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// isHost reports whether a domain from parseDomain can be looked up. Underscores
// are not by the book, and in use.
func isHost(domain string) bool {
	if len(domain) > maxDomain {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		last = label
	}
	return strings.Trim(last, "0123456789") != "" // an IP address needs brackets
}

// parseLiteral reads an address literal, RFC 5321 section 4.1.3.
func parseLiteral(s string) (netip.Addr, bool) {
	if len(s) < 3 || s[0] != '[' || s[len(s)-1] != ']' {
		return netip.Addr{}, false
	}
	s = s[1 : len(s)-1]
	const tag = "IPv6:"
	six := len(s) > len(tag) && strings.EqualFold(s[:len(tag)], tag)
	if six {
		s = s[len(tag):]
	}
	ip, err := netip.ParseAddr(s)
	return ip, err == nil && ip.Zone() == "" && ip.Is6() == six
}

// literal writes an IP address as the domain of an address.
func literal(ip netip.Addr) string {
	if ip.Is6() {
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + ip.String() + "]"
}

// nested reads the address that a local part may hold: x%y and y!x are x@y. A
// '#' ends the mailbox part of mailbox#account, in which they mean nothing.
func nested(local string) (address, bool) {
	if !isDotString(local) {
		return address{}, false
	}
	from := strings.LastIndexByte(local, '#') + 1
	if i := strings.IndexByte(local, '!'); i > 0 && from == 0 {
		return nestedParts(local[i+1:], local[:i])
	}
	if i := strings.LastIndexByte(local, '%'); i > from {
		return nestedParts(local[:i], local[i+1:])
	}
	return address{}, false
}

func nestedParts(local, domain string) (address, bool) {
	if local == "" {
		return address{}, false
	}
	domain, err := parseDomain(domain)
	return address{local: local, domain: domain}, err == nil
}

// isDotString tells local parts that need no quotes: atoms with dots between.
func isDotString(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if !isAtomOctet(s[i]) && s[i] != '.' {
			return false
		}
	}
	return true
}

// isAtomOctet is atext of RFC 5322 section 3.2.3, and UTF-8 (RFC 6531).
func isAtomOctet(c byte) bool {
	return isLetterOrDigit(c) || c >= 0x80 || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// printable shortens and cleans what a client sent, to be shown.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, s)
}
