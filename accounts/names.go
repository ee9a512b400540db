package accounts

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	maxName   = 128 // octets in the name of an account or alias
	maxDomain = 253 // octets in a domain name in text form, RFC 1035 section 3.1
	maxLabel  = 63  // octets between two dots of it
)

// CanonicalName returns the form in which the name of an account or alias is
// kept: lower case. Allowed are Latin letters, digits, '_', '-' and '.', the
// dot not first or last, 1 to 128 in all.
func CanonicalName(name string) (string, error) {
	if !isName(name) {
		return "", fmt.Errorf("name %q: %w: use letters, digits, '_', '-' and '.', no dot first or last, at most %d", clip(name), ErrBadName, maxName)
	}
	return strings.ToLower(name), nil
}

func isName(name string) bool {
	if name == "" || len(name) > maxName || name[0] == '.' || name[len(name)-1] == '.' {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isLetterOrDigit(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// CanonicalDomain returns the form in which a domain name is kept and compared:
// A-labels (RFC 5890) in lower case without the final dot. It takes Unicode.
func CanonicalDomain(name string) (string, error) {
	ascii := strings.TrimSuffix(name, ".")
	if len(name) <= 4*maxDomain && !isASCII(ascii) && utf8.ValidString(ascii) {
		var err error
		if ascii, err = idna.Lookup.ToASCII(ascii); err != nil {
			return "", fmt.Errorf("domain %q: %w", clip(name), ErrBadName)
		}
	}
	if !isDomain(ascii) {
		return "", fmt.Errorf("domain %q: %w: use labels of letters, digits and '-' with dots between", clip(name), ErrBadName)
	}
	return strings.ToLower(ascii), nil
}

func isDomain(name string) bool {
	if name == "" || len(name) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel follows RFC 1123 section 2.1: a digit may come first.
func isLabel(label string) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		if c := label[i]; !isLetterOrDigit(c) && c != '-' {
			return false
		}
	}
	return true
}

// ownDomain is CanonicalDomain for a domain that is to become ours. Names that
// the router reads in another way cannot be one.
func ownDomain(name string) (string, error) {
	domain, err := CanonicalDomain(name)
	if err != nil {
		return "", err
	}
	_, notAddress := netip.ParseAddr(domain)
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	switch {
	case notAddress == nil:
		return "", fmt.Errorf("domain %q: %w: it is an IP address", name, ErrBadName)
	case last == "local" || last == "domain":
		return "", fmt.Errorf("domain %q: %w: the ending .%s leads to accounts by name", name, ErrBadName, last)
	case domain == "localhost":
		return "", fmt.Errorf("domain %q: %w: it always stands for the Main Domain", name, ErrBadName)
	}
	return domain, nil
}

// splitAddress divides "name@domain" at the last '@'. Without one the domain is
// "", which stands for the Main Domain; with nothing after it, "@", which is none.
func splitAddress(addr string) (local, domain string) {
	i := strings.LastIndexByte(addr, '@')
	switch {
	case i < 0:
		return addr, ""
	case i == len(addr)-1:
		return addr[:i], "@"
	}
	return addr[:i], addr[i+1:]
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// clip shortens what a client sent before it goes into an error or the log.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
