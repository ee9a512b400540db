package smtp

import (
	"fmt"
	"net/netip"
	"strings"
)

// Clients is a set of addresses that may relay without signing in. A nil set is
// empty. It does not change and may be shared.
type Clients struct {
	include, exclude []span
}

// span is a range of addresses of one family, both ends included.
type span struct{ lo, hi netip.Addr }

func (s span) contains(a netip.Addr) bool {
	return a.BitLen() == s.lo.BitLen() && s.lo.Compare(a) <= 0 && a.Compare(s.hi) <= 0
}

// ParseClients reads a list of which each entry is an address, a range
// "192.0.2.1 - 192.0.2.9", or a network "192.0.2.0/24". A "!" before it excludes
// the addresses, whatever else includes them. What follows a ";" is a comment.
//
// A list that covers so much that it makes an open relay is refused: no entry
// may cover more than a network of /8 (IPv6: /16), nor all of them more than
// four such networks.
func ParseClients(entries []string) (*Clients, error) {
	c := new(Clients)
	for _, entry := range entries {
		text, _, _ := strings.Cut(entry, ";")
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		rest, excluded := strings.CutPrefix(text, "!")
		s, err := parseSpan(strings.TrimSpace(rest))
		if err != nil {
			return nil, fmt.Errorf("client address %q: %w", text, err)
		}
		if excluded {
			c.exclude = append(c.exclude, s)
			continue
		}
		if s.share() > 1 {
			return nil, fmt.Errorf("client address %q: so many addresses would make this server an open relay", text)
		}
		c.include = append(c.include, s)
	}
	if c.share() > maxShare {
		return nil, fmt.Errorf("client addresses: so many of them together would make this server an open relay")
	}
	return c, nil
}

// Match tells whether an address may relay. The zero address may not.
func (c *Clients) Match(a netip.Addr) bool {
	if c == nil || !a.IsValid() {
		return false
	}
	a = a.Unmap().WithZone("")
	return contains(c.include, a) && !contains(c.exclude, a)
}

func contains(all []span, a netip.Addr) bool {
	for _, s := range all {
		if s.contains(a) {
			return true
		}
	}
	return false
}

// parseSpan reads one entry without its sign.
func parseSpan(s string) (span, error) {
	if lo, hi, ok := strings.Cut(s, "-"); ok {
		return parseRange(lo, hi)
	}
	if strings.Contains(s, "/") {
		return parseNetwork(s)
	}
	a, err := parseAddr(s)
	return span{a, a}, err
}

func parseRange(lo, hi string) (span, error) {
	a, err := parseAddr(lo)
	if err != nil {
		return span{}, err
	}
	b, err := parseAddr(hi)
	if err != nil {
		return span{}, err
	}
	if a.BitLen() != b.BitLen() || b.Less(a) {
		return span{}, fmt.Errorf("the range has no addresses")
	}
	return span{a, b}, nil
}

func parseNetwork(s string) (span, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return span{}, err
	}
	if p.Addr().Is4In6() {
		return span{}, fmt.Errorf("write an IPv4 network as one")
	}
	p = p.Masked()
	return span{p.Addr(), last(p)}, nil
}

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSpace(s))
	if err != nil {
		return a, err
	}
	return a.Unmap().WithZone(""), nil
}

// last returns the last address of a network.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// maxShare is how much all entries may cover together, in the units of share.
const maxShare = 4

// share returns how much of the addresses of its family a range covers: 1 is a
// network of /8 (IPv6: /16).
func (s span) share() float64 {
	unit := float64(1 << 24)
	if s.lo.Is6() {
		unit = float64(1<<56) * float64(1<<56)
	}
	return (number(s.hi) - number(s.lo) + 1) / unit
}

// share sums up all entries, which may overlap.
func (c *Clients) share() (sum float64) {
	for _, s := range c.include {
		sum += s.share()
	}
	return sum
}

func number(a netip.Addr) (n float64) {
	for _, b := range a.AsSlice() {
		n = n*256 + float64(b)
	}
	return n
}
