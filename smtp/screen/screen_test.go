package screen

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tripost/smtp/dnstest"
	"tripost/smtp/resolve"
	"tripost/store/storetest"
)

// world is a screen on a real store, with a clock that the test sets.
type world struct {
	*Screen
	t   *testing.T
	ctx context.Context
	at  time.Time
}

func newWorld(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{t: t, ctx: context.Background(), at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	o.Hostname, o.Now = "mail.example.test", func() time.Time { return w.at }
	if o.Time == 0 {
		o.Time = time.Minute // the machine may be busy
	}
	w.Screen = New(storetest.New(t), o)
	return w
}

var (
	host    = netip.MustParseAddr("192.0.2.7")
	sibling = netip.MustParseAddr("192.0.2.8")
	other   = netip.MustParseAddr("198.51.100.7")
	host6   = netip.MustParseAddr("2001:db8::7")
)

func TestLists(t *testing.T) {
	t.Parallel()
	dns := dnstest.New(t, `
7.2.0.192.bad.test.   A   127.0.0.2
7.2.0.192.bad.test.   TXT "sends\"nonsense"
7.2.0.192.worse.test. A   127.0.0.4
8.2.0.192.bad.test.   A   127.255.255.254
7.100.51.198.bad.test. A  192.0.2.1
7.100.51.198.good.test. A 127.0.0.1
7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bad.test. A 127.0.0.9
`)
	dns.Fail("7.2.0.192.down.test.", dnstest.ServFail)
	w := newWorld(t, Options{
		DNS:        resolve.New(resolve.Options{Servers: []string{dns.Addr}, Timeout: 30 * time.Second}),
		Lists:      []List{{"bad.test", 5}, {"down.test", 50}, {"worse.test", 2.5}},
		AllowLists: []List{{"good.test", 0}},
	})
	for _, c := range []struct {
		addr netip.Addr
		want string
	}{
		{host, `listed 5 bad.test: sends"nonsense; listed 2.5 worse.test: 127.0.0.4; `},
		{netip.MustParseAddr("::ffff:192.0.2.7"), `listed 5 bad.test: sends"nonsense; listed 2.5 worse.test: 127.0.0.4; `},
		{sibling, ""},
		{other, "allowed by good.test"},
		{host6, "listed 5 bad.test: 127.0.0.9; "},
		{netip.Addr{}, ""},
	} {
		asked := w.Inquire(w.ctx, c.addr)
		asked.Wait()
		found, allowed := asked.Answers()
		got := ""
		if allowed != "" {
			got = "allowed by " + allowed
		}
		for _, f := range found {
			got += fmt.Sprintf("%s %g %s; ", f.Name, f.Points, f.Detail)
		}
		if got != c.want {
			t.Errorf("%s: %s\nwant %s", c.addr, got, c.want)
		}
	}
}

func TestParseList(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]List{
		"zen.test":        {"zen.test", 5},
		" Zen.Test. = 7 ": {"zen.test", 7},
		"zen.test=0.5":    {"zen.test", 0.5},
	} {
		if got, err := ParseList(text, 5); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "zen", "a b.test", "zen.test=much", "zen.test=-1", "zen.test=NaN", "zen.test=1e9", strings.Repeat("a.", 100) + "test"} {
		if got, err := ParseList(text, 5); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestHello(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Points: Points{Hello: 2}})
	for helo, want := range map[string]string{
		"mx.client.test": "", "MX.client.test.": "", "[192.0.2.7]": "",
		"[192.0.2.8]":       "an address that is not its own",
		"[nonsense]":        "an address that is not its own",
		"192.0.2.7":         "an address without brackets",
		"mail.example.TEST": "our own name",
		"localhost":         "localhost", "localhost.localdomain": "localhost",
		"pc7": "not a whole name", "a..test": "not a name of the DNS",
	} {
		f, wrong := w.Hello(helo, host)
		if f.Detail != want || wrong != (want != "") {
			t.Errorf("%q: %+v", helo, f)
		}
	}
	if _, wrong := w.Hello("[IPv6:2001:db8::7]", host6); wrong {
		t.Error("an IPv6 literal")
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rates: Rates{Messages: 3, Refused: 1}})
	count := func(addr netip.Addr) (n int) {
		for n < 10 && w.Count(Message, addr) {
			n++
		}
		return n
	}
	if a, b := count(host), count(other); a != 3 || b != 3 {
		t.Errorf("%d and %d, want 3 each", a, b)
	}
	if !w.Count(Connection, host) {
		t.Error("connections have no limit")
	}
	if w.Exceeded(RefusedRecipient, host) || !w.Count(RefusedRecipient, host) || !w.Exceeded(RefusedRecipient, host) {
		t.Error("refused recipients are not counted")
	}
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:0:0:1::1")
	if n := count(a) + count(b); n != 3 {
		t.Errorf("a network had %d", n)
	}
	w.at = w.at.Add(time.Hour)
	if n := count(host); n != 3 || w.Exceeded(RefusedRecipient, host) {
		t.Errorf("%d after the period", n)
	}
}

// However many addresses come, memory stays bounded.
func TestRatesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rates: Rates{Messages: 1}})
	for i := range maxMeters + 1000 {
		w.Count(Message, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if n := len(w.rates.all); n > maxMeters {
		t.Errorf("%d addresses are counted", n)
	}
}

func TestGreylist(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Greylist: Greylist{On: true}})
	want := func(addr netip.Addr, from, to string, wait time.Duration) {
		t.Helper()
		if got := w.PutOff(w.ctx, addr, from, to); got != wait {
			t.Errorf("%s <%s> <%s> waits %v, want %v", addr, from, to, got, wait)
		}
	}
	want(host, "joe@client.test", "ann@example.test", 5*time.Minute)
	w.at = w.at.Add(2 * time.Minute)
	want(sibling, "JOE@client.test", "ann@example.test", 3*time.Minute) // tries again, too early, from its other address
	want(host, "jim@client.test", "ann@example.test", 5*time.Minute)
	w.at = w.at.Add(3 * time.Minute)
	want(host, "joe@client.test", "ann@example.test", 0)
	want(host, "new@client.test", "bob@example.test", 0) // the network is known now
	want(other, "joe@client.test", "ann@example.test", 5*time.Minute)
	w.at = w.at.Add(25 * time.Hour)
	want(other, "joe@client.test", "ann@example.test", 5*time.Minute) // it took too long
	w.at = w.at.Add(20 * 24 * time.Hour)
	want(host, "joe@client.test", "ann@example.test", 0)
	w.at = w.at.Add(20 * 24 * time.Hour)
	want(host, "joe@client.test", "ann@example.test", 0) // it is kept since its last mail
	w.at = w.at.Add(37 * 24 * time.Hour)
	want(host, "joe@client.test", "ann@example.test", 5*time.Minute)
	want(netip.Addr{}, "joe@client.test", "ann@example.test", 0)
}

func TestTrap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{TrapTime: time.Hour})
	if w.InTrap(w.ctx, host) {
		t.Error("in the trap from the begin")
	}
	w.Trapped(w.ctx, host)
	if !w.InTrap(w.ctx, host) || w.InTrap(w.ctx, sibling) {
		t.Error("not exactly the address is in the trap")
	}
	w.at = w.at.Add(time.Hour)
	if w.InTrap(w.ctx, host) {
		t.Error("in the trap for ever")
	}
}

// What is remembered is bounded, and what ends first is forgotten first.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{TrapTime: time.Hour, Remember: 100})
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	for i := range 150 {
		w.Trapped(w.ctx, addr(i))
		w.at = w.at.Add(time.Second)
	}
	if w.memory.count > 100 || w.InTrap(w.ctx, addr(0)) || !w.InTrap(w.ctx, addr(149)) {
		t.Errorf("%d things are remembered", w.memory.count)
	}
	again := &memory{store: w.store, limit: 100}
	if err := again.load(w.ctx); err != nil || again.count != w.memory.count {
		t.Errorf("counted anew: %d and %v, want %d", again.count, err, w.memory.count)
	}
	w.at = w.at.Add(time.Hour - 50*time.Second)
	if err := w.memory.purge(w.ctx, w.at); err != nil {
		t.Fatal(err)
	}
	if n := w.memory.count; n == 0 || n > 50 {
		t.Errorf("%d things are left", n)
	}
	w.at = w.at.Add(time.Hour)
	if err := w.memory.purge(w.ctx, w.at); err != nil || w.memory.count != 0 {
		t.Errorf("%d things are left, %v", w.memory.count, err)
	}
}
