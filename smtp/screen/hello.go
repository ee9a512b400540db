package screen

import (
	"net/netip"
	"strings"
)

// Hello looks at the name with which a host introduces itself. One that has
// nothing wrong with it gives no finding.
//
// RFC 5321 section 4.1.4 forbids to refuse mail because a name does not lead to
// the address, so that is not asked.
func (s *Screen) Hello(helo string, addr netip.Addr) (Finding, bool) {
	why := s.wrongHello(strings.TrimSuffix(helo, "."), addr.Unmap())
	if why == "" || s.o.Points.Hello == 0 {
		return Finding{}, false
	}
	return Finding{"hello", s.o.Points.Hello, why}, true
}

func (s *Screen) wrongHello(helo string, addr netip.Addr) string {
	if literal, ok := strings.CutPrefix(helo, "["); ok {
		literal = strings.TrimSuffix(literal, "]")
		if len(literal) > 5 && strings.EqualFold(literal[:5], "IPv6:") {
			literal = literal[5:]
		}
		if a, err := netip.ParseAddr(literal); err == nil && a.Unmap() == addr {
			return ""
		}
		return "an address that is not its own"
	}
	if _, err := netip.ParseAddr(helo); err == nil {
		return "an address without brackets"
	}
	switch {
	case strings.EqualFold(helo, s.o.Hostname):
		return "our own name"
	case strings.EqualFold(helo, "localhost"), strings.HasSuffix(strings.ToLower(helo), ".localhost"), strings.HasPrefix(strings.ToLower(helo), "localhost."):
		return "localhost"
	case !strings.Contains(helo, "."):
		return "not a whole name"
	}
	for label := range strings.SplitSeq(helo, ".") {
		if label == "" || len(label) > 63 {
			return "not a name of the DNS"
		}
	}
	return ""
}
