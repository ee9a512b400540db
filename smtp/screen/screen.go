package screen

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"tripost/store"
	"tripost/syslog"
)

// Options say what is looked at. Zero values take the defaults; what has none is
// off.
type Options struct {
	Hostname   string // ours
	DNS        DNS
	Lists      []List         // of addresses that send unwanted mail
	AllowLists []List         // of addresses that are never screened
	Allow      []netip.Prefix // likewise
	Time       time.Duration  // for all lists, and for each filter; default 10 s

	Points Points
	Rates  Rates

	Greylist Greylist
	TrapTime time.Duration // how long an address that wrote to a trap is refused; 0: not at all
	Remember int           // most things that are remembered in the store; default 100,000

	Rspamd     Rspamd
	Milters    []Milter
	MustFilter bool // while a filter does not answer, mail is refused for the time being

	Now func() time.Time // default time.Now
	Log *syslog.Logger   // tag SCREEN; nil: silent
}

// Points is what a finding counts for; 0: it does not.
type Points struct {
	NoName   float64 // the address has no name that leads back to it
	Hello    float64 // the name in EHLO cannot be right
	Early    float64 // the client did not wait for us to speak
	SPFFail  float64 // the domain of the reverse-path says that the host is not its own
	SoftFail float64 // likewise, but perhaps

	Junk   float64 // from so many on a message is unwanted; 0: never
	Refuse float64 // from so many on it is refused, whoever is to get it; 0: never
}

// Finding is something that speaks about a message.
type Finding struct {
	Name   string // one word
	Points float64
	Detail string // for people
}

// Screen looks at hosts and messages.
type Screen struct {
	o      Options
	store  *store.Store
	rates  *meters
	memory *memory
	http   *http.Client
}

// New returns a screen that remembers in a store.
func New(st *store.Store, o Options) *Screen {
	if o.Time <= 0 {
		o.Time = 10 * time.Second
	}
	if o.Remember <= 0 {
		o.Remember = 100_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Greylist.defaults()
	s := &Screen{o: o, store: st, rates: newMeters(o.Rates, o.Now)}
	s.memory = &memory{store: st, limit: o.Remember}
	s.http = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}}
	return s
}

// Points returns what findings count for.
func (s *Screen) Points() Points { return s.o.Points }

// Allowed tells an address that is never screened, by the configuration.
func (s *Screen) Allowed(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range s.o.Allow {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// purgeEvery is how often what is out of date is forgotten.
const purgeEvery = 10 * time.Minute

// Run forgets what is out of date, until ctx ends.
func (s *Screen) Run(ctx context.Context) error {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.http.CloseIdleConnections()
			return nil
		case <-tick.C:
			if err := s.memory.purge(ctx, s.o.Now()); err != nil && ctx.Err() == nil {
				s.o.Log.Logf(syslog.Failure, "forget what is out of date: %v", err)
			}
		}
	}
}
