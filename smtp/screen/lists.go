package screen

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"tripost/syslog"
)

// DNS answers what the lists are asked. A [net.Resolver] is one.
type DNS interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// List is a zone that lists addresses: RFC 5782.
type List struct {
	Zone   string
	Points float64 // of who is listed; for an allow list it means nothing
}

// ParseList reads "zone" or "zone=points".
func ParseList(s string, points float64) (List, error) {
	zone, number, found := strings.Cut(s, "=")
	zone = strings.ToLower(strings.Trim(strings.TrimSpace(zone), "."))
	l := List{zone, points}
	if strings.Trim(zone, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || !strings.Contains(zone, ".") || len(zone) > 180 {
		return l, fmt.Errorf("%q is not a zone of the DNS", s)
	}
	if found {
		if _, err := fmt.Sscanf(strings.TrimSpace(number), "%g", &l.Points); err != nil || !(l.Points >= 0 && l.Points <= 1000) {
			return l, fmt.Errorf("%q: %q is not a number of points", s, number)
		}
	}
	return l, nil
}

// Lists asks all lists at once. allowed names the allow list that has the
// address.
func (s *Screen) Lists(ctx context.Context, addr netip.Addr) (found []Finding, allowed string) {
	if !addr.IsValid() || len(s.o.Lists)+len(s.o.AllowLists) == 0 {
		return nil, ""
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Time)
	defer cancel()
	answers := make([]string, len(s.o.Lists)) // reasons
	allows := make([]string, len(s.o.AllowLists))
	var all sync.WaitGroup
	for i, l := range s.o.Lists {
		all.Go(func() { answers[i] = s.ask(ctx, l, addr, true) })
	}
	for i, l := range s.o.AllowLists {
		all.Go(func() { allows[i] = s.ask(ctx, l, addr, false) })
	}
	all.Wait()
	for i, l := range s.o.AllowLists {
		if allows[i] != "" {
			return nil, l.Zone
		}
	}
	for i, l := range s.o.Lists {
		if answers[i] != "" {
			found = append(found, Finding{"listed", l.Points, l.Zone + ": " + answers[i]})
		}
	}
	return found, ""
}

// maxReason is how much of a list's reason is shown, in octets.
const maxReason = 200

// ask asks one list and returns why the address is on it, "" when it is not, or
// when that cannot be known.
func (s *Screen) ask(ctx context.Context, l List, addr netip.Addr, why bool) string {
	name := reversed(addr) + "." + l.Zone + "."
	ips, err := s.o.DNS.LookupNetIP(ctx, "ip4", name)
	if err != nil {
		var d *net.DNSError
		if !errors.As(err, &d) || !d.IsNotFound {
			s.o.Log.Logf(syslog.Problem, "list %s: %v", l.Zone, err)
		}
		return ""
	}
	listed := ""
	for _, ip := range ips {
		ip = ip.Unmap()
		switch b := ip.AsSlice(); {
		case len(b) != 4 || b[0] != 127:
		case b[1] == 255 && b[2] == 255: // "we do not answer you", not a listing
			s.o.Log.Logf(syslog.Problem, "list %s refuses to answer: %s", l.Zone, ip)
		default:
			listed = ip.String()
		}
	}
	if listed == "" || !why {
		return listed
	}
	if txt, err := s.o.DNS.LookupTXT(ctx, name); err == nil && len(txt) > 0 {
		return plain(txt[0], maxReason)
	}
	return listed
}

// reversed writes an address as the DNS has it: RFC 5782 sections 2.1 and 2.4.
func reversed(addr netip.Addr) string {
	b := addr.Unmap().AsSlice()
	var parts []string
	for i := len(b) - 1; i >= 0; i-- {
		if len(b) == 4 {
			parts = append(parts, fmt.Sprint(b[i]))
			continue
		}
		h := hex.EncodeToString(b[i : i+1])
		parts = append(parts, h[1:], h[:1])
	}
	return strings.Join(parts, ".")
}

// plain makes text of others fit for a header field and a reply.
func plain(s string, most int) string {
	s = s[:min(len(s), most)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}
