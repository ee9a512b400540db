package router

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"tripost/accounts"
)

// maxLine bounds a line of the table, in octets: two addresses and a comment.
const maxLine = 2048

// fault is what is wrong with one field of a record.
type fault struct {
	field string
	text  string
}

func (f *fault) Error() string { return f.field + ": " + f.text }

// The fields of a record, as faults name them.
const (
	wholeLine = "line"
	prefixes  = "prefix"
	leftSide  = "left side"
	rightSide = "right side"
)

func faultf(field, format string, args ...any) error {
	return &fault{field, fmt.Sprintf(format, args...)}
}

// parseRecord reads a line of the table. ok is false, without an error, for
// lines that hold no record. Errors are faults.
func parseRecord(line string) (r record, ok bool, err error) {
	switch {
	case len(line) > maxLine:
		return r, false, faultf(wholeLine, "it is longer than %d octets", maxLine)
	case !utf8.ValidString(line):
		return r, false, faultf(wholeLine, "it is not UTF-8")
	case strings.ContainsFunc(line, func(c rune) bool { return unicode.IsControl(c) && c != '\t' }):
		return r, false, faultf(wholeLine, "it has a control character")
	}
	code, _, _, err := cutOutside(line, ';')
	if err != nil {
		return r, false, err
	}
	if code = strings.TrimSpace(code); code == "" {
		return r, false, nil
	}
	if code, err = r.takePrefixes(code); err != nil {
		return r, false, err
	}
	left, right, err := cutSides(code)
	if err != nil {
		return r, false, err
	}
	if r.left, err = parsePattern(left); err != nil {
		return r, false, err
	}
	if r.right, err = parseTarget(right, r.left); err != nil {
		return r, false, err
	}
	r.fallback = r.fallback || r.left.everyDomain()
	return r, true, r.checkRelay()
}

// cutOutside cuts s at the first c that stands outside quotation marks.
func cutOutside(s string, c byte) (before, after string, found bool, err error) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case !quoted && s[i] == c:
			return s[:i], s[i+1:], true, nil
		}
	}
	if quoted {
		return "", "", false, faultf(wholeLine, "a quotation mark is not closed")
	}
	return s, "", false, nil
}

// takePrefixes reads the prefixes of a record and returns the rest.
func (r *record) takePrefixes(s string) (rest string, err error) {
	for {
		i := strings.IndexFunc(s, func(c rune) bool { return c > unicode.MaxASCII || !isLetterOrDigit(byte(c)) })
		if i < 0 || s[i] != ':' {
			break
		}
		if err := r.takePrefix(s[:i]); err != nil {
			return "", err
		}
		s = strings.TrimSpace(s[i+1:])
	}
	if !r.mail && !r.login {
		r.mail, r.login = true, true
	}
	return s, nil
}

func (r *record) takePrefix(word string) error {
	relay := relayDefault
	switch strings.ToLower(word) {
	case "relay":
		relay = relaySimple
	case "norelay":
		relay = relayNone
	case "relayall":
		relay = relayAll
	case "mail":
		r.mail = true
	case "access":
		r.login = true
	case "default":
		r.fallback = true
	case "signal":
		return faultf(prefixes, "Signal: is for calls and instant messages, which this server does not carry; expected Mail: or Access:")
	default:
		return faultf(prefixes, "%q is none; expected Relay:, NoRelay:, RelayAll:, Mail:, Access: or Default:", word+":")
	}
	if relay != relayDefault && r.relay != relayDefault && relay != r.relay {
		return faultf(prefixes, "expected only one of Relay:, NoRelay: and RelayAll:")
	}
	r.relay = max(r.relay, relay)
	return nil
}

// checkRelay refuses a record that would make the server relay for anybody to
// anywhere.
func (r *record) checkRelay() error {
	if r.relay != relaySimple && r.relay != relayAll {
		return nil
	}
	if r.left.everyDomain() || r.right.domain == "*" || r.right.inner.domain == "*" || r.right.domain == "*._via" {
		return faultf(prefixes, "strangers could send to all the world; expected no Relay: or RelayAll: where an asterisk stands for every domain")
	}
	return nil
}

// cutSides divides a record at the '=' between its sides. One inside of angle
// brackets belongs to the address.
func cutSides(s string) (left, right string, err error) {
	if !strings.HasPrefix(s, "<") {
		left, right, ok := strings.Cut(s, "=")
		if !ok {
			return "", "", faultf(wholeLine, "expected LEFT = RIGHT")
		}
		return strings.TrimSpace(left), strings.TrimSpace(right), nil
	}
	inside, rest, found, err := cutOutside(s, '>')
	if err != nil {
		return "", "", err
	}
	if !found {
		return "", "", faultf(leftSide, "expected '>' after the address")
	}
	right, ok := strings.CutPrefix(strings.TrimSpace(rest), "=")
	if !ok {
		return "", "", faultf(wholeLine, "expected '=' after %s>", inside)
	}
	return inside + ">", strings.TrimSpace(right), nil
}

func parsePattern(s string) (p pattern, err error) {
	inside, account := strings.CutPrefix(s, "<")
	if !account {
		if strings.Contains(s, "@") {
			return p, faultf(leftSide, "%q is not a domain; an address stands in angle brackets: <%s>", s, s)
		}
		p.domain, err = parsePatternDomain(leftSide, s)
		return p, err
	}
	p.account = true
	inside = strings.TrimSuffix(inside, ">")
	if p.local, p.domain, err = parsePatternAddress(leftSide, inside); err != nil {
		return p, err
	}
	p.local = lowerASCII(p.local)
	if stars(p.local, p.domain) > 1 {
		return p, faultf(leftSide, "%q has several asterisks; expected one at most", s)
	}
	return p, nil
}

// parsePatternAddress reads a local part, with a domain or without, in which an
// asterisk may stand.
func parsePatternAddress(field, s string) (local, domain string, err error) {
	local, rest, err := cutLocal(s)
	switch {
	case err != nil:
		return "", "", faultf(field, "%q is not an address; expected NAME or NAME@DOMAIN", s)
	case local == "":
		return "", "", faultf(field, "%q has nothing before the '@'", s)
	case len(local) > maxLocal:
		return "", "", faultf(field, "the local part is longer than %d octets", maxLocal)
	case rest == "":
		return local, "", nil
	case rest[0] != '@':
		return "", "", faultf(field, "expected '@' before %q", rest)
	}
	domain, err = parsePatternDomain(field, rest[1:])
	return local, domain, err
}

// parsePatternDomain reads a domain in which an asterisk may stand. In a domain
// with letters beyond ASCII it stands for whole labels.
func parsePatternDomain(field, s string) (string, error) {
	star := strings.IndexByte(s, '*')
	if star < 0 {
		domain, err := parseDomain(s)
		if err != nil {
			return "", faultf(field, "%q is not a domain or an IP address in brackets", s)
		}
		return domain, nil
	}
	if strings.Count(s, "*") > 1 {
		return "", faultf(field, "%q has several asterisks; expected one at most", s)
	}
	if rest, ok := strings.CutPrefix(s, "*."); ok {
		if domain, err := parseDomain(rest); err == nil && domain[0] != '[' {
			return "*." + domain, nil
		}
	}
	plain := strings.Replace(s, "*", "x", 1)
	if domain, err := parseDomain(plain); err != nil || domain[0] == '[' || domain != strings.ToLower(strings.TrimSuffix(plain, ".")) {
		return "", faultf(field, "%q is not a domain with an asterisk", s)
	}
	return strings.ToLower(strings.TrimSuffix(s, ".")), nil
}

func parseTarget(s string, left pattern) (t target, err error) {
	if act, ok := words[strings.ToLower(s)]; ok {
		return target{act: act}, nil
	}
	switch {
	case s == "" && left.account:
		return t, faultf(rightSide, "expected an address, error, null or spamtrap")
	case s == "":
		return t, nil
	case left.account:
		t.local, t.domain, err = parsePatternAddress(rightSide, s)
	case strings.Contains(s, "@"):
		return t, faultf(rightSide, "%q is not a domain; to give all of a domain one address write <*@%s> = %s", s, left.domain, s)
	default:
		t.domain, err = parsePatternDomain(rightSide, s)
	}
	if err != nil {
		return t, err
	}
	switch n := stars(t.local, t.domain); {
	case n > 1:
		return t, faultf(rightSide, "%q has several asterisks; expected one at most", s)
	case n == 1 && stars(left.local, left.domain) == 0:
		return t, faultf(rightSide, "%q has an asterisk, and there is none on the left side", s)
	}
	if err := checkTargetDomain(t.domain); err != nil {
		return t, err
	}
	t.recogniseHost(left)
	return t, nil
}

// checkTargetDomain looks at what the endings of a domain promise.
func checkTargetDomain(domain string) error {
	if domain == "" || domain[0] == '[' {
		return nil
	}
	sample := strings.Replace(domain, "*", "x", 1)
	if host, ok := strings.CutSuffix(sample, "._via"); ok {
		if _, _, ok := parseVia(host); !ok {
			return faultf(rightSide, "%q: expected HOST._via or HOST.PORT._via with a port from 1 to 65535", domain)
		}
		return nil
	}
	if account, ok := strings.CutSuffix(sample, ".local"); ok {
		if _, err := accounts.CanonicalName(account); err != nil {
			return faultf(rightSide, "%q: expected the name of an account before .local", domain)
		}
		return nil
	}
	if !isHost(sample) && !strings.HasPrefix(domain, "*") {
		return faultf(rightSide, "%q is not a domain that mail could be sent to", domain)
	}
	return nil
}

// recogniseHost finds the right sides that name a host to send to. A domain's
// addresses stay as they are on the way there; of NAME%DOMAIN@host._via the host
// gets NAME@DOMAIN.
func (t *target) recogniseHost(left pattern) {
	if t.domain == "" || t.domain[0] != '[' && !strings.HasSuffix(t.domain, "._via") {
		return
	}
	if !left.account {
		t.act = sendTo
		return
	}
	i := strings.LastIndexByte(t.local, '%')
	if i <= 0 {
		return
	}
	domain, err := parsePatternDomain(rightSide, t.local[i+1:])
	if err == nil {
		t.act, t.inner = sendTo, address{local: t.local[:i], domain: domain}
	}
}

func stars(local, domain string) int {
	return strings.Count(local, "*") + strings.Count(domain, "*")
}

// lowerASCII leaves all but the letters of ASCII alone, and so keeps the length.
func lowerASCII(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lower(b[i])
			}
			return string(b)
		}
	}
	return s
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
