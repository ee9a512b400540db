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

// Inquiry is what the lists say about an address, from when they are asked on.
type Inquiry struct {
	lists, allows []List
	all           sync.WaitGroup

	mu      sync.Mutex // guards what follows
	listed  []string   // the reasons of lists; empty: not listed, or not answered yet
	allowed []bool
	open    int // allow lists that have not answered yet
}

// Inquire asks all lists at once, and does not wait for what they say.
func (s *Screen) Inquire(ctx context.Context, addr netip.Addr) *Inquiry {
	q := &Inquiry{lists: s.o.Lists, allows: s.o.AllowLists}
	if !addr.IsValid() || len(q.lists)+len(q.allows) == 0 {
		q.lists, q.allows = nil, nil
		return q
	}
	q.listed, q.allowed, q.open = make([]string, len(q.lists)), make([]bool, len(q.allows)), len(q.allows)
	ctx, cancel := context.WithTimeout(ctx, s.o.Time)
	var asked sync.WaitGroup
	for i, l := range q.lists {
		asked.Go(func() {
			why := s.ask(ctx, l, addr, true)
			q.mu.Lock()
			defer q.mu.Unlock()
			q.listed[i] = why
		})
	}
	for i, l := range q.allows {
		asked.Go(func() {
			yes := s.ask(ctx, l, addr, false) != ""
			q.mu.Lock()
			defer q.mu.Unlock()
			q.allowed[i] = yes
			q.open--
		})
	}
	q.all.Go(func() {
		asked.Wait()
		cancel()
	})
	return q
}

// Wait waits until all lists have answered, or their time is over.
func (q *Inquiry) Wait() { q.all.Wait() }

// Answers returns what the lists have said so far. allowed names the allow list
// that has the address; while one of them has not answered nothing is found.
func (q *Inquiry) Answers() (found []Finding, allowed string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, l := range q.allows {
		if q.allowed[i] {
			return nil, l.Zone
		}
	}
	if q.open > 0 {
		return nil, ""
	}
	for i, l := range q.lists {
		if q.listed[i] != "" {
			found = append(found, Finding{"listed", l.Points, l.Zone + ": " + q.listed[i]})
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
