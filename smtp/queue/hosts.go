package queue

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"tripost/smtp/send"
)

// hosts remembers which hosts did not answer, so that they are not asked again
// for each domain and message: the pause doubles with each failure.
type hosts struct {
	first, most time.Duration

	mu   sync.Mutex // guards what follows
	dead map[netip.AddrPort]*outage
}

type outage struct {
	failures int
	until    time.Time // it is not asked again before
	why      string
	slow     bool // it had its part in a search that took too long
}

// errAsleep is for a host that is not asked now.
var errAsleep = errors.New("did not answer lately and is not asked again yet")

const (
	maxDead       = 10_000
	maxFirstPause = time.Minute
	maxDeadPause  = 15 * time.Minute
	// deadMemory is how long after its pause a host's failures still count.
	deadMemory = time.Hour
)

// newHosts takes the bounds of the pauses from those between attempts.
func newHosts(retry []time.Duration) *hosts {
	return &hosts{
		first: min(retry[0], maxFirstPause),
		most:  min(retry[len(retry)-1], maxDeadPause),
		dead:  make(map[netip.AddrPort]*outage),
	}
}

// check returns why a host must not be asked now.
func (h *hosts) check(a netip.AddrPort, now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o := h.dead[a]; o != nil && now.Before(o.until) {
		return fmt.Errorf("%w: %s", errAsleep, o.why)
	}
	return nil
}

// answered forgets what was wrong with a host.
func (h *hosts) answered(a netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.dead, a)
}

// failed notes that a host did not answer.
func (h *hosts) failed(a netip.AddrPort, now time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.dead[a]
	if o == nil || now.After(o.until.Add(deadMemory)) {
		h.makeRoom(now)
		o = &outage{}
		h.dead[a] = o
	}
	pause := h.first << min(o.failures, 16)
	o.failures++
	o.until = now.Add(min(pause, max(h.most, h.first)))
	o.why = clean(err.Error(), 256)
}

// keptWaiting notes hosts that were asked until there was no time left for others.
func (h *hosts) keptWaiting(asked []netip.AddrPort, now time.Time, err error) {
	for _, a := range asked {
		if h.check(a, now) == nil {
			h.failed(a, now, err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range asked {
		if o := h.dead[a]; o != nil {
			o.slow = true
		}
	}
}

// patientFirst puts hosts that have kept us waiting behind the others, as long as it
// is remembered: else those would never have their turn.
func (h *hosts) patientFirst(targets []send.Target, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	slow := func(t send.Target) bool {
		o := h.dead[t.Addr]
		return o != nil && o.slow && now.Before(o.until.Add(deadMemory))
	}
	slices.SortStableFunc(targets, func(x, y send.Target) int {
		switch {
		case slow(x) == slow(y):
			return 0
		case slow(x):
			return 1
		}
		return -1
	})
}

// makeRoom keeps the memory bounded: what is over goes first. The caller holds
// mu.
func (h *hosts) makeRoom(now time.Time) {
	if len(h.dead) < maxDead {
		return
	}
	for a, o := range h.dead {
		if !now.Before(o.until) {
			delete(h.dead, a)
		}
	}
	for a := range h.dead {
		if len(h.dead) < maxDead {
			return
		}
		delete(h.dead, a)
	}
}
