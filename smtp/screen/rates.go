package screen

import (
	"cmp"
	"net/netip"
	"sync"
	"time"
)

// Rates bound what one address may do within a period; 0: no bound.
type Rates struct {
	Connections int
	Messages    int
	Refused     int           // recipients that are refused for good
	Period      time.Duration // default an hour
}

// Counted is what is counted of an address.
type Counted uint8

const (
	Connection Counted = iota
	Message
	RefusedRecipient
	kinds
)

// maxMeters is how many addresses are counted at once. When there are more, those
// are forgotten whose period ends first.
const maxMeters = 50_000

// meters counts what addresses do.
type meters struct {
	limits [kinds]int
	period time.Duration
	now    func() time.Time

	mu   sync.Mutex // guards all
	all  map[netip.Addr]*meter
	next time.Time // when some are to be forgotten
}

type meter struct {
	until time.Time // the end of its period
	count [kinds]int
}

func newMeters(r Rates, now func() time.Time) *meters {
	return &meters{
		limits: [kinds]int{r.Connections, r.Messages, r.Refused},
		period: cmp.Or(max(r.Period, 0), time.Hour), now: now,
		all: make(map[netip.Addr]*meter),
	}
}

// whose returns what is counted together: an IPv4 address, or the network that
// one holder of IPv6 addresses has (RFC 6177).
func whose(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		p, _ := addr.Prefix(64)
		return p.Addr()
	}
	return addr
}

// Count counts one more, and tells whether it is within the bound. Beyond that
// nothing is counted.
func (s *Screen) Count(what Counted, addr netip.Addr) bool {
	m := s.rates
	if m.limits[what] <= 0 || !addr.IsValid() {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.of(whose(addr))
	if one.count[what] >= m.limits[what] {
		return false
	}
	one.count[what]++
	return true
}

// Exceeded tells whether an address has done all that it may, without counting.
func (s *Screen) Exceeded(what Counted, addr netip.Addr) bool {
	m := s.rates
	if m.limits[what] <= 0 || !addr.IsValid() {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.all[whose(addr)]
	return one != nil && m.now().Before(one.until) && one.count[what] >= m.limits[what]
}

func (m *meters) of(addr netip.Addr) *meter {
	now := m.now()
	if one := m.all[addr]; one != nil && now.Before(one.until) {
		return one
	}
	if len(m.all) >= maxMeters || !now.Before(m.next) {
		m.forget(now)
	}
	one := &meter{until: now.Add(m.period)}
	m.all[addr] = one
	return one
}

// forget drops those whose period is over, and when that makes no room half of
// the others.
func (m *meters) forget(now time.Time) {
	for addr, one := range m.all {
		if !now.Before(one.until) {
			delete(m.all, addr)
		}
	}
	for addr := range m.all {
		if len(m.all) < maxMeters/2 {
			break
		}
		delete(m.all, addr)
	}
	m.next = now.Add(m.period)
}
