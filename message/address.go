package message

import (
	"errors"
	"slices"
)

// ErrAddressSyntax is returned by [ParseAddressList] for a list that no reading
// of RFC 5322 allows, also when most of it could be made out.
var ErrAddressSyntax = errors.New("malformed address list")

// Address is one mailbox of an address list.
type Address struct {
	Name   string // display name decoded to UTF-8, or the comment that stands in for it; may be empty
	Local  string // local part without quotes
	Domain string // as written, without comments and white space; empty when there is none
	Group  string // name of the group the mailbox stands in, decoded; empty outside groups
}

// Addr returns the address in the form local@domain, the local part quoted
// where RFC 5322 section 3.4.1 asks for it. Without a domain it is the local
// part alone.
func (a Address) Addr() string {
	b := appendLocal(nil, a.Local)
	if a.Domain != "" {
		b = append(b, '@')
		b = append(b, a.Domain...)
	}
	return string(b)
}

// appendLocal appends a local part, quoted unless it is a dot-atom.
func appendLocal(b []byte, local string) []byte {
	if isDotAtom(local) {
		return append(b, local...)
	}
	b = append(b, '"')
	for i := range len(local) {
		if c := local[i]; c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, local[i])
	}
	return append(b, '"')
}

// isDotAtom implements RFC 5322 section 3.2.3, with RFC 6532 section 3.2.
func isDotAtom(s string) bool {
	dot := true // a dot may not come next
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if dot {
				return false
			}
			dot = true
		case isAtomChar(c):
			dot = false
		default:
			return false
		}
	}
	return !dot
}

// isAtomChar is atext of RFC 5322 section 3.2.3 with the octets of UTF-8.
func isAtomChar(c byte) bool {
	return isTokenChar(c) && c != '.' || c >= 0x80 || c == '/' || c == '?' || c == '='
}

// ParseAddressList reads a list of addresses: the value of To, Cc and the like,
// folded or not. It knows groups, comments, quoted and encoded names, quoted
// local parts, routes (left out), empty members, semicolons between members and
// UTF-8. All that can be made out is returned, in order; where the list breaks
// the syntax the error is [ErrAddressSyntax] besides. Callers who only show
// addresses may ignore it; callers who send mail to them should not. At most
// 4,096 addresses are read: beyond that the error is the same.
func ParseAddressList(s string) ([]Address, error) {
	p := addressParser{s: []byte(s)}
	var (
		list  []Address
		group string
	)
	for p.next() {
		switch p.kind {
		case groupStart:
			group = string(appendDecoded(nil, p.name))
		case groupEnd:
			group = ""
		case mailbox:
			if len(list) == maxRecipients {
				return list, ErrAddressSyntax
			}
			list = append(list, Address{
				Name:   string(appendDecoded(nil, p.name)),
				Local:  string(p.local),
				Domain: string(p.domain),
				Group:  group,
			})
			p.bad = p.bad || !sendable(p.local, p.domain)
		}
	}
	if p.bad {
		return list, ErrAddressSyntax
	}
	return list, nil
}

// sendable reports whether local part and domain could stand in a mail
// transaction: no control characters, nothing in the domain that ends it.
func sendable(local, domain []byte) bool {
	if len(local) == 0 || slices.ContainsFunc(local, isControl) {
		return false
	}
	if len(domain) > 1 && domain[0] == '[' {
		return domain[len(domain)-1] == ']' && !slices.ContainsFunc(domain, isControl)
	}
	return len(domain) == 0 || isDotAtom(string(domain))
}

func isControl(c byte) bool { return c < ' ' || c == 0x7f }
