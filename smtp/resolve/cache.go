package resolve

import (
	"time"

	"github.com/miekg/dns"
)

// How long answers are kept, whatever their TTL says.
const (
	maxKept     = 24 * time.Hour
	minKept     = 5 * time.Second
	maxDenied   = time.Hour
	failureKept = time.Second
	// maxKeptOctets is the largest answer that is kept: none that mail needs is
	// longer, and so the memory of all is bounded by their number.
	maxKeptOctets = 8 << 10
)

// recall returns an answer that is kept, or nil.
func (r *Resolver) recall(q question) *answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.cache[q]
	if a != nil && r.o.Now().After(a.until) {
		delete(r.cache, q)
		return nil
	}
	return a
}

// keep remembers an answer within the bounds.
func (r *Resolver) keep(q question, a *answer) {
	size := 0
	for _, rr := range a.records {
		size += dns.Len(rr)
	}
	if size > maxKeptOctets {
		return
	}
	now := r.o.Now()
	if least := now.Add(minKept); a.err == nil && a.until.Before(least) {
		a.until = least
	}
	if !a.until.After(now) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.cache) >= r.o.Entries {
		r.makeRoom(now)
	}
	r.cache[q] = a
}

// makeRoom drops what is over, and a tenth of the rest if that is not enough,
// taken as the map gives it. The caller holds mu.
func (r *Resolver) makeRoom(now time.Time) {
	for q, a := range r.cache {
		if now.After(a.until) {
			delete(r.cache, q)
		}
	}
	excess := len(r.cache) - r.o.Entries*9/10
	for q := range r.cache {
		if excess <= 0 {
			return
		}
		delete(r.cache, q)
		excess--
	}
}
