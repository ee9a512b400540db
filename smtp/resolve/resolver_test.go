package resolve

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"tripost/smtp/dnstest"
)

const zone = `
client.test.        MX    10 mx1.client.test.
client.test.        MX    20 mx2.client.test.
client.test.        TXT   "v=spf1 " "mx -all"
client.test.        TXT   "a \"quoted\" word; \195\188"
null.test.          MX    0 .
mx1.client.test.    A     192.0.2.1
mx1.client.test.    AAAA  2001:db8::1
mx2.client.test.    A     192.0.2.2
alias.test.         CNAME other.test.
other.test.         CNAME mx2.client.test.
loop1.test.         CNAME loop2.test.
loop2.test.         CNAME loop1.test.
dangling.test.      CNAME nowhere.test.
1.2.0.192.in-addr.arpa. PTR mx1.client.test.
signed.test.        MX    10 mx.signed.test.
mx.signed.test.     A     192.0.2.3
_25._tcp.mx.signed.test. TLSA 3 1 1 AB12
mixed.test.         CNAME mx.signed.test.
xn--bcher-kva.test. MX    10 mx1.client.test.
`

type world struct {
	*dnstest.Server
	*Resolver
	now time.Time
}

func newWorld(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{Server: dnstest.New(t, zone), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.Sign("signed.test.")
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second // the machine may be busy
	}
	o.Servers = []string{w.Addr}
	o.Now = func() time.Time { return w.now }
	w.Resolver = New(o)
	return w
}

func TestLookups(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, c := range []struct {
		name string
		look func(ctx context.Context) (any, error)
		want string
	}{
		{"MX", func(ctx context.Context) (any, error) { return mxOf(w.LookupMX(ctx, "Client.TEST")) }, "[10 mx1.client.test. 20 mx2.client.test.]"},
		{"null MX", func(ctx context.Context) (any, error) { return mxOf(w.LookupMX(ctx, "null.test")) }, "[0 .]"},
		{"MX of a name that is not ASCII", func(ctx context.Context) (any, error) { return mxOf(w.LookupMX(ctx, "bücher.test")) }, "[10 mx1.client.test.]"},
		{"both families", func(ctx context.Context) (any, error) { return w.LookupNetIP(ctx, "ip", "mx1.client.test.") }, "[192.0.2.1 2001:db8::1]"},
		{"one family", func(ctx context.Context) (any, error) { return w.LookupNetIP(ctx, "ip4", "mx1.client.test.") }, "[192.0.2.1]"},
		{"alias of an alias", func(ctx context.Context) (any, error) { return w.Host(ctx, "alias.test") }, "{[192.0.2.2] mx2.client.test false}"},
		{"an address", func(ctx context.Context) (any, error) { return w.LookupNetIP(ctx, "ip", "192.0.2.9") }, "[192.0.2.9]"},
		{"this machine", func(ctx context.Context) (any, error) { return w.LookupNetIP(ctx, "ip", "localhost.") }, "[127.0.0.1 ::1]"},
		{"TXT", func(ctx context.Context) (any, error) { return w.LookupTXT(ctx, "client.test") }, `[v=spf1 mx -all a "quoted" word; ü]`},
		{"PTR", func(ctx context.Context) (any, error) { return w.LookupAddr(ctx, "192.0.2.1") }, "[mx1.client.test.]"},
		{"older form", func(ctx context.Context) (any, error) { return w.LookupIPAddr(ctx, "mx2.client.test") }, "[{192.0.2.2 }]"},
	} {
		got, err := c.look(t.Context())
		if text := fmt.Sprint(got); err != nil || text != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, text, err, c.want)
		}
	}
}

func mxOf(list []*net.MX, err error) (any, error) {
	var all []string
	for _, mx := range list {
		all = append(all, fmt.Sprintf("%d %s", mx.Pref, mx.Host))
	}
	slices.Sort(all)
	return all, err
}

// Broken names, and whether waiting may mend them.
func TestFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for name, how := range map[string]dnstest.Failure{
		"servfail.test": dnstest.ServFail, "refused.test": dnstest.Refused,
		"cut.test": dnstest.CutTCP, "other.test": dnstest.Other, "garbage.test": dnstest.Garbage,
	} {
		w.Fail(name, how)
		w.Add(name + ". A 192.0.2.9")
	}
	w.Add("bogus.signed.test. A 192.0.2.9")
	w.Spoil("bogus.signed.test")
	for name, temporary := range map[string]bool{
		"servfail.test": true, "refused.test": true, "cut.test": true, "other.test": true,
		"garbage.test": true, "loop1.test": true, "bogus.signed.test": true,
		"missing.test": false, "client.test": false, "dangling.test": false,
		"": false, "a b.test": false, "a..test": false, strings.Repeat("a", 64) + ".test": false,
		strings.Repeat("abcdefgh.", 40) + "test": false, "x\x00.test": false,
	} {
		addrs, err := w.LookupNetIP(t.Context(), "ip4", name)
		var d *net.DNSError
		switch {
		case err == nil:
			t.Errorf("%q has %v", name, addrs)
		case NotFound(err) == temporary:
			t.Errorf("%q: %v: not found is %v", name, err, !temporary)
		case !asDNSError(err, &d) || d.IsTemporary != temporary:
			t.Errorf("%q: %#v, want temporary %v", name, err, temporary)
		}
	}
}

// A server that says nothing is a temporary failure.
func TestSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Timeout: 50 * time.Millisecond})
	w.Fail("silent.test", dnstest.Silent)
	_, err := w.LookupMX(t.Context(), "silent.test")
	var d *net.DNSError
	if !asDNSError(err, &d) || !d.IsTemporary || !d.IsTimeout || NotFound(err) {
		t.Errorf("%#v", err)
	}
}

// Who gives up does not wait for a server that says nothing.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Timeout: time.Hour})
	w.Fail("held.test", dnstest.Held)
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := w.LookupMX(ctx, "held.test")
		gaveUp <- err
	}()
	w.WaitAsked("held.test", "MX")
	cancel()
	var d *net.DNSError
	if err := <-gaveUp; !asDNSError(err, &d) || !d.IsTemporary {
		t.Errorf("%#v", err)
	}
}

func asDNSError(err error, d **net.DNSError) bool {
	e, ok := err.(*net.DNSError)
	*d = e
	return ok
}

// A long answer comes by TCP, and only a part of a huge one is used.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.Fail("mx1.client.test", dnstest.Cut)
	if addrs, err := w.LookupNetIP(t.Context(), "ip4", "mx1.client.test"); err != nil || len(addrs) != 1 {
		t.Errorf("a cut answer: %v (%v)", addrs, err)
	}
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, "huge.test. A 10.0.%d.%d\n", i/250, i%250)
	}
	w.Add(b.String())
	addrs, err := w.LookupNetIP(t.Context(), "ip4", "huge.test")
	if err != nil || len(addrs) != maxRecords {
		t.Errorf("a huge answer: %d addresses (%v), want %d", len(addrs), err, maxRecords)
	}
}

func TestSecure(t *testing.T) {
	t.Parallel()
	for _, validates := range []bool{true, false} {
		w := newWorld(t, Options{Validates: validates})
		_, mx, err := w.MX(t.Context(), "signed.test")
		if err != nil || mx != validates {
			t.Errorf("with %v the MX is secure: %v (%v)", validates, mx, err)
		}
		h, err := w.Host(t.Context(), "mx.signed.test")
		if err != nil || h.Secure != validates {
			t.Errorf("with %v the host is %+v (%v)", validates, h, err)
		}
		list, tlsa, err := w.TLSA(t.Context(), 25, "mx.signed.test")
		if err != nil || tlsa != validates || len(list) != 1 || list[0] != (TLSA{3, 1, 1, "ab12"}) {
			t.Errorf("with %v TLSA is %+v, secure %v (%v)", validates, list, tlsa, err)
		}
		for _, insecure := range []string{"mx1.client.test", "mixed.test"} {
			if h, err := w.Host(t.Context(), insecure); err != nil || h.Secure {
				t.Errorf("with %v %s is %+v (%v)", validates, insecure, h, err)
			}
		}
		if _, _, err := w.TLSA(t.Context(), 25, "mx1.client.test"); !NotFound(err) {
			t.Errorf("missing TLSA: %v", err)
		}
	}
}

// Answers are kept as long as their TTL says, within bounds: also that there is
// nothing, and for a moment that the server failed.
func TestCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Entries: 100})
	w.Add("short.test. 0 A 192.0.2.7\nlong.test. 2000000 A 192.0.2.8\nbroken.test. A 192.0.2.9")
	w.Fail("broken.test", dnstest.ServFail)
	for _, c := range []struct {
		name string
		kept time.Duration
	}{
		{"mx2.client.test", 300 * time.Second}, {"short.test", minKept}, {"long.test", maxKept},
		{"missing.test", time.Minute}, {"broken.test", failureKept},
	} {
		look := func() int {
			_, _ = w.LookupNetIP(t.Context(), "ip4", c.name)
			return w.Asked(c.name, "A")
		}
		first := look()
		if n := look(); n != first {
			t.Errorf("%s: asked %d times at once, want %d", c.name, n, first)
		}
		w.now = w.now.Add(c.kept - time.Millisecond)
		if n := look(); n != first {
			t.Errorf("%s: asked %d times before %v, want %d", c.name, n, c.kept, first)
		}
		w.now = w.now.Add(2 * time.Millisecond)
		if n := look(); n == first {
			t.Errorf("%s: not asked again after %v", c.name, c.kept)
		}
	}
	for i := range 1000 {
		_, _ = w.LookupNetIP(t.Context(), "ip4", fmt.Sprintf("n%d.test", i))
	}
	if n := len(w.cache); n > 100 {
		t.Errorf("%d answers are kept, want 100 at most", n)
	}
}

// A second server is asked when the first one does not help.
func TestServersInTurn(t *testing.T) {
	t.Parallel()
	first, second := dnstest.New(t, zone), dnstest.New(t, zone)
	first.Fail("mx2.client.test", dnstest.ServFail)
	r := New(Options{Servers: []string{first.Addr, second.Addr}, Timeout: 30 * time.Second})
	if addrs, err := r.LookupNetIP(t.Context(), "ip4", "mx2.client.test"); err != nil || len(addrs) != 1 {
		t.Errorf("%v (%v)", addrs, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.LookupMX(ctx, "client.test"); err == nil || NotFound(err) {
		t.Errorf("after the end of the context: %v", err)
	}
	if _, err := r.LookupMX(t.Context(), "client.test"); err != nil {
		t.Errorf("what was given up is remembered: %v", err)
	}
}
