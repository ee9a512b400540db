package smtp

import (
	"net/netip"
	"sync"
	"time"
)

// Recent are the addresses from which somebody signed in to read mail not long
// ago. For a while they may relay without signing in again, for mail programs
// that cannot do that. A nil set is empty. It may be shared by goroutines.
type Recent struct {
	keep time.Duration
	now  func() time.Time

	mu  sync.Mutex // guards all
	all map[netip.Addr]time.Time
}

// maxRecent bounds the addresses that are known at once; those whose time ends
// first make room.
const maxRecent = 10_000

// NewRecent returns a set that keeps addresses for some time; nil for none. now is
// for tests; nil: time.Now.
func NewRecent(keep time.Duration, now func() time.Time) *Recent {
	if keep <= 0 {
		return nil
	}
	if now == nil {
		now = time.Now
	}
	return &Recent{keep: keep, now: now, all: make(map[netip.Addr]time.Time)}
}

// Add notes that somebody has signed in from an address.
func (r *Recent) Add(addr netip.Addr) {
	if r == nil || !addr.IsValid() {
		return
	}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	addr = addr.Unmap().WithZone("")
	if _, ok := r.all[addr]; !ok && len(r.all) >= maxRecent {
		r.makeRoom(now)
	}
	r.all[addr] = now.Add(r.keep)
}

// makeRoom forgets those whose time is over, or else the one whose time ends
// first.
func (r *Recent) makeRoom(now time.Time) {
	var first netip.Addr
	for addr, end := range r.all {
		if !now.Before(end) {
			delete(r.all, addr)
		} else if !first.IsValid() || end.Before(r.all[first]) {
			first = addr
		}
	}
	if len(r.all) >= maxRecent {
		delete(r.all, first)
	}
}

// Has tells whether somebody has signed in from an address not long ago.
func (r *Recent) Has(addr netip.Addr) bool {
	if r == nil || !addr.IsValid() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now().Before(r.all[addr.Unmap().WithZone("")])
}
