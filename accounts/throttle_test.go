package accounts

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// guessing is a throttle with a clock that the test moves.
type guessing struct {
	*throttle
	clock time.Time
}

func newGuessing() *guessing {
	g := &guessing{clock: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	g.throttle = newThrottle([]byte("key"), func() time.Time { return g.clock }, 20*time.Second)
	return g
}

// try makes one attempt that fails after its delay, if it is looked at.
func (g *guessing) try(addr netip.Addr, account, password string) (wait time.Duration, refused bool) {
	wait, refused = g.delay(addr, account)
	g.clock = g.clock.Add(wait)
	if !refused {
		g.failed(addr, account, password)
	}
	return wait, refused
}

var (
	attacker = netip.MustParseAddr("192.0.2.66")
	owner    = netip.MustParseAddr("198.51.100.7")
)

func TestDelayGrows(t *testing.T) {
	t.Parallel()
	g := newGuessing()
	want := []time.Duration{0, 0, 0, 1, 2, 4, 8, 16, 20, 20}
	for i, w := range want {
		if got, refused := g.try(attacker, "ann", fmt.Sprint("guess ", i)); got != w*time.Second || refused {
			t.Errorf("guess %d waits %v (refused: %v), want %v", i, got, refused, w*time.Second)
		}
	}
	if got, _ := g.delay(attacker, "bob"); got != 20*time.Second {
		t.Errorf("another account waits %v", got)
	}
	g.clock = g.clock.Add(throttleMemory)
	if got, _ := g.delay(attacker, "ann"); got != 0 {
		t.Errorf("after %v of peace it waits %v", throttleMemory, got)
	}
}

func TestSameWrongPasswordCountsOnce(t *testing.T) {
	t.Parallel()
	g := newGuessing()
	for range 100 {
		if wait, _ := g.try(owner, "ann", "last year's"); wait != 0 {
			t.Fatalf("it waits %v", wait)
		}
		g.clock = g.clock.Add(time.Second)
	}
	for i := range 4 { // one password sprayed over several accounts is several guesses
		g.try(attacker, fmt.Sprint("user", i), "123456")
	}
	if wait, _ := g.delay(attacker, "user9"); wait == 0 {
		t.Error("spraying is not slowed down")
	}
}

func TestUnseenPasswordsCountEach(t *testing.T) {
	t.Parallel()
	g := newGuessing()
	for range freeFailures {
		g.try(attacker, "ann", "")
	}
	if wait, _ := g.delay(attacker, "ann"); wait != firstDelay {
		t.Errorf("it waits %v", wait)
	}
}

func TestStrangersDoNotLockTheOwnerOut(t *testing.T) {
	t.Parallel()
	g := newGuessing()
	for i := range 500 {
		addr := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		g.failed(addr, "ann", fmt.Sprint("guess ", i))
	}
	for range 50 { // at the same time
		if wait, refused := g.delay(owner, "ann"); wait > cleanDelay || refused {
			t.Fatalf("the owner waits %v (refused: %v)", wait, refused)
		}
	}
	if wait, _ := g.delay(owner, "bob"); wait != 0 {
		t.Errorf("another account waits %v", wait)
	}
}

func TestAttemptsAtOnceQueueUp(t *testing.T) {
	t.Parallel()
	g := newGuessing()
	for i := range 5 {
		g.failed(attacker, "ann", fmt.Sprint(i))
	}
	var waits []time.Duration
	looked := 0
	for range 50 {
		wait, refused := g.delay(attacker, "ann")
		if !refused {
			looked++
			waits = append(waits, wait)
		} else if wait != 20*time.Second {
			t.Errorf("a refused attempt waits %v", wait)
		}
	}
	if looked != 5 { // 4 s each, 20 s at most
		t.Errorf("%d of 50 attempts are looked at: %v", looked, waits)
	}
	g.clock = g.clock.Add(20 * time.Second)
	if wait, refused := g.delay(attacker, "ann"); wait != 4*time.Second || refused {
		t.Errorf("later it waits %v (refused: %v)", wait, refused)
	}
}

func TestRightPasswordForgivesItsOwnFailures(t *testing.T) {
	t.Parallel()
	g := newGuessing()
	for i := range 6 {
		g.failed(attacker, "ann", fmt.Sprint(i))
		g.failed(attacker, "mallory", fmt.Sprint(i))
	}
	g.succeeded(attacker, "mallory")
	if wait, _ := g.delay(attacker, "ann"); wait != 8*time.Second {
		t.Errorf("signing in to an own account between guesses leaves %v", wait)
	}
	g = newGuessing()
	for i := range 6 {
		g.failed(owner, "ann", fmt.Sprint(i))
	}
	g.succeeded(owner, "ann")
	if wait, _ := g.delay(owner, "ann"); wait != 0 {
		t.Errorf("who remembered the password waits %v", wait)
	}
	if g.addresses.order.Len()+g.accounts.order.Len() != 0 {
		t.Error("something is left")
	}
}

func TestAddressesAreNetworks(t *testing.T) {
	t.Parallel()
	g := newGuessing()
	for i := range 5 {
		g.failed(netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2::%d", i)), "ann", fmt.Sprint(i))
	}
	for addr, delayed := range map[string]bool{"2001:db8:1:2:ffff::1": true, "2001:db8:1:3::1": false, "2001:db8:1:2::1%eth0": true} {
		if wait, _ := g.delay(netip.MustParseAddr(addr), "bob"); (wait > 0) != delayed {
			t.Errorf("%s waits %v", addr, wait)
		}
	}
	for i := range 5 {
		g.failed(netip.MustParseAddr("::ffff:192.0.2.1"), "ann", fmt.Sprint(i))
	}
	if wait, _ := g.delay(netip.MustParseAddr("192.0.2.1"), "bob"); wait == 0 {
		t.Error("an IPv4 address in IPv6 form is another one")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	g := newGuessing()
	for i := range 3 * maxCulprits {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		g.failed(addr, fmt.Sprint("user", i), fmt.Sprint(i))
		for j := range 2 * maxFailures / 16 {
			g.failed(attacker, "ann", fmt.Sprint(i, j))
		}
	}
	for name, s := range map[string]culprits{"addresses": g.addresses, "accounts": g.accounts} {
		if len(s.by) > maxCulprits || len(s.by) != s.order.Len() {
			t.Errorf("%d %s are remembered, %d in order", len(s.by), name, s.order.Len())
		}
	}
	if c := g.addresses.find(g.addressKey(attacker), g.clock); c.count() != maxFailures {
		t.Errorf("%d failures are remembered", c.count())
	}
}
