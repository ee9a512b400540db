package screen

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"strings"
	"time"

	"tripost/syslog"
)

// Greylist puts off what comes from a network for the first time: a mail server
// comes back, most of what sends unwanted mail does not. Zero times take the
// defaults.
type Greylist struct {
	On    bool
	Delay time.Duration // before which nobody may come back; default 5 minutes
	Wait  time.Duration // for who does not come back; default a day
	Keep  time.Duration // for who did, since its last mail; default 36 days
}

func (g *Greylist) defaults() {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&g.Delay, 5*time.Minute)
	set(&g.Wait, 24*time.Hour)
	set(&g.Keep, 36*24*time.Hour)
}

// network returns what hosts of one operator have in common: many send a message
// from another address each time they try.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 24
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}

func keyOf(kind byte, parts ...string) []byte {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return append([]byte{kind}, sum[:16]...)
}

// PutOff tells how long a message has to wait before it is taken; 0: it is taken
// now. When that cannot be remembered it is taken too.
func (s *Screen) PutOff(ctx context.Context, addr netip.Addr, from, to string) time.Duration {
	if !s.o.Greylist.On || !addr.IsValid() {
		return 0
	}
	wait, err := s.putOff(ctx, network(addr).String(), strings.ToLower(from), strings.ToLower(to))
	if err != nil {
		s.o.Log.Logf(syslog.Failure, "greylist: %v", err)
		return 0
	}
	return wait
}

func (s *Screen) putOff(ctx context.Context, network, from, to string) (time.Duration, error) {
	g, now := &s.o.Greylist, s.o.Now()
	known := keyOf('n', network)
	t, err := s.memory.get(ctx, known)
	if err != nil {
		return 0, err
	}
	if now.Before(t.end) {
		if t.end.Sub(now) > g.Keep-g.Keep/10 {
			return 0, nil // it need not be written down each time
		}
		return 0, s.memory.put(ctx, known, thing{t.since, now.Add(g.Keep)})
	}
	attempt := keyOf('g', network, from, to)
	t, err = s.memory.get(ctx, attempt)
	switch {
	case err != nil:
		return 0, err
	case !now.Before(t.end):
		return g.Delay, s.memory.put(ctx, attempt, thing{now, now.Add(g.Wait)})
	case now.Before(t.since.Add(g.Delay)):
		return t.since.Add(g.Delay).Sub(now), nil
	}
	return 0, s.memory.put(ctx, known, thing{now, now.Add(g.Keep)})
}

// Trapped remembers an address that wrote to a trap.
func (s *Screen) Trapped(ctx context.Context, addr netip.Addr) {
	if s.o.TrapTime <= 0 || !addr.IsValid() {
		return
	}
	now := s.o.Now()
	if err := s.memory.put(ctx, trapKey(addr), thing{now, now.Add(s.o.TrapTime)}); err != nil {
		s.o.Log.Logf(syslog.Failure, "trap: %v", err)
	}
}

// InTrap tells an address that wrote to a trap not long ago.
func (s *Screen) InTrap(ctx context.Context, addr netip.Addr) bool {
	if s.o.TrapTime <= 0 || !addr.IsValid() {
		return false
	}
	t, err := s.memory.get(ctx, trapKey(addr))
	if err != nil {
		s.o.Log.Logf(syslog.Failure, "trap: %v", err)
	}
	return s.o.Now().Before(t.end)
}

func trapKey(addr netip.Addr) []byte { return append([]byte{'t'}, whose(addr).AsSlice()...) }
