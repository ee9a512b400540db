package smtp

import (
	"net/netip"
	"testing"
	"time"
)

func TestRecent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := NewRecent(10*time.Minute, func() time.Time { return now })
	host, other := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
	want := func(addr netip.Addr, has bool) {
		t.Helper()
		if r.Has(addr) != has {
			t.Errorf("%s: %t", addr, !has)
		}
	}
	want(host, false)
	r.Add(host)
	r.Add(netip.Addr{})
	want(host, true)
	want(netip.MustParseAddr("::ffff:192.0.2.7"), true)
	want(other, false)
	want(netip.Addr{}, false)
	now = now.Add(9 * time.Minute)
	r.Add(host)
	now = now.Add(9 * time.Minute)
	want(host, true)
	now = now.Add(time.Minute)
	want(host, false)

	r.Add(other)
	now = now.Add(time.Second)
	for i := range maxRecent + 10 {
		r.Add(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if len(r.all) > maxRecent || r.Has(other) {
		t.Errorf("%d addresses, the oldest among them: %t", len(r.all), r.Has(other))
	}

	r = NewRecent(0, nil)
	r.Add(host)
	want(host, false)
}
