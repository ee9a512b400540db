package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/smtp/dnstest"
	"tripost/smtp/resolve"
	"tripost/smtp/send"
	"tripost/smtp/sinktest"
)

// A destination gets more connections as long as that goes well, and fewer when
// it breaks off.
func TestLaneAdapts(t *testing.T) {
	t.Parallel()
	p := &lane{allowed: firstConnections, cost: 1}
	good, bad := &job{delivered: true}, &job{trouble: true}
	for range 100 {
		p.adapt(good, 20)
	}
	if p.allowed != 20 {
		t.Errorf("after success: %d connections, want 20", p.allowed)
	}
	p.live.Store(19)
	p.adapt(bad, 20)
	if p.allowed != 10 {
		t.Errorf("after trouble: %d connections, want 10", p.allowed)
	}
	p.live.Store(3)
	p.adapt(bad, 20)
	if p.allowed != 3 {
		t.Errorf("with three that stand: %d connections, want 3", p.allowed)
	}
	p.live.Store(0)
	p.adapt(bad, 20)
	if p.allowed != 1 {
		t.Errorf("with none that stands: %d connections, want 1", p.allowed)
	}
	before := p.allowed
	p.adapt(good, 20)
	if p.allowed != before {
		t.Errorf("after much trouble one success is not enough: %d connections", p.allowed)
	}
}

// A host that takes two connections and refuses others gets everything over two.
func TestSenderCrowdedHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	var mu sync.Mutex
	open, refused := 0, 0
	s := sinktest.New(t, sinktest.Options{})
	n.host("client.test", "192.0.2.1", s)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if open == 2 {
			refused++
			return nil, errors.New("too many connections")
		}
		open++
		nc, err := n.dial(ctx, network, address)
		return &counted{nc, sync.OnceFunc(func() {
			mu.Lock()
			defer mu.Unlock()
			open--
		})}, err
	}
	for range 60 {
		w.submit("ann@example.test", "joe@client.test")
	}
	sender := NewSender(w.Queue, SenderOptions{DNS: n, Dial: dial, Batch: 3, Idle: time.Hour})
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- sender.Run(ctx) }()
	w.until("all is sent", w.empty)
	cancel()
	must(t, <-ended)
	if got := len(s.Messages()); got != 60 {
		t.Errorf("%d messages arrived", got)
	}
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d connections were refused", refused)
}

// counted tells when a connection is closed.
type counted struct {
	net.Conn
	closed func()
}

func (c *counted) Close() error {
	c.closed()
	return c.Conn.Close()
}

// A host that does not answer is not asked again for each domain that it serves,
// but when somebody wants it. All that is due is deferred with the reason.
func TestSenderDeadHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	var mu sync.Mutex
	dials, up := 0, false
	s := sinktest.New(t, sinktest.Options{})
	n.sinks["192.0.2.1"] = s
	var ids []string
	for i := range 5 {
		domain := fmt.Sprintf("d%d.test", i)
		n.mx[domain] = []*net.MX{{Host: "mx.test.", Pref: 10}}
		ids = append(ids, w.submit("ann@example.test", "joe@"+domain).ID, w.submit("ann@example.test", "jim@"+domain).ID)
	}
	n.host("mx.test", "192.0.2.1", s)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if dials++; !up {
			return nil, errors.New("no route to host")
		}
		return n.dial(ctx, network, address)
	}
	sender := NewSender(w.Queue, SenderOptions{DNS: n, Dial: dial, Workers: 1, Batch: 1})
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- sender.Run(ctx) }()
	w.until("all are deferred", func() bool {
		for _, it := range w.items() {
			if it.Attempts != 1 || !strings.Contains(it.LastError, "no route to host") {
				return false
			}
		}
		return true
	})
	mu.Lock()
	if up = true; dials != 1 {
		t.Errorf("the host was asked %d times, want once", dials)
	}
	mu.Unlock()
	must(t, w.steer(Retry, ids[0]))
	w.until("the first has gone", func() bool { return len(w.items()) < 10 })
	for _, id := range ids[1:] {
		must(t, w.steer(Retry, id))
	}
	w.until("all is sent", w.empty)
	cancel()
	must(t, <-ended)
}

// The pause after which a dead host is asked again grows, and its memory is
// bounded.
func TestHostsPause(t *testing.T) {
	t.Parallel()
	h := newHosts([]time.Duration{5 * time.Minute, 4 * time.Hour})
	n := newInternet()
	n.host("x.test", "192.0.2.1", nil)
	targets, err := (&send.Finder{DNS: n}).Targets(t.Context(), send.Route{Host: "x.test"})
	must(t, err)
	a, now := targets[0].Addr, time.Unix(1_000_000, 0)
	for _, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		h.failed(a, now, errors.New("refused"))
		if err := h.check(a, now.Add(pause-time.Second)); !errors.Is(err, errAsleep) || !strings.Contains(err.Error(), "refused") {
			t.Errorf("before %v: %v", pause, err)
		}
		if now = now.Add(pause); h.check(a, now) != nil {
			t.Errorf("it is still asleep after %v", pause)
		}
	}
	h.answered(a)
	h.failed(a, now, errors.New("refused"))
	if h.check(a, now.Add(time.Minute)) != nil {
		t.Error("an old outage counts after an answer")
	}
}

// A connection is kept for a moment and used for what comes then.
func TestSenderReusesConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	s := sinktest.New(t, sinktest.Options{})
	n.host("client.test", "192.0.2.1", s)
	w.run(n, SenderOptions{Idle: time.Hour, PerHost: 1}) // the next job begins when the one before has given its connection back
	for i := range 5 {
		w.submit("ann@example.test", "joe@client.test")
		s.Wait(i + 1)
		w.until("it is recorded", w.empty)
	}
	if got := s.Connections(); got != 1 {
		t.Errorf("%d connections, want one", got)
	}
}

// Routes of the configuration: for a domain, for all below one, for a host that
// the router names.
func TestRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	s := NewSender(w.Queue, SenderOptions{
		Smarthost: Smarthost{Host: "smart.test", Port: 587, User: "us", Password: "x"},
		Routes: []Route{
			{Domain: "a.test", Host: "one.test", Port: 26},
			{Domain: "*.a.test", Host: "two.test"},
			{Domain: "*.b.a.test", Host: "three.test", User: "we", Password: "y", Level: send.Encrypted},
			{Domain: "direct.test", Level: send.Verified},
			{Domain: "named.test:2525", User: "they", Password: "z"},
		},
	})
	for _, c := range []struct {
		d    destination
		want string
	}{
		{destination{host: "a.test"}, "one.test:26 true  0"},
		{destination{host: "x.a.test"}, "two.test:0 true  0"},
		{destination{host: "x.b.a.test"}, "three.test:0 true we 1"},
		{destination{host: "direct.test"}, "direct.test:0 false  2"},
		{destination{host: "other.test"}, "smart.test:587 true us 0"},
		{destination{host: "named.test", port: 2525, direct: true}, "named.test:2525 true they 0"},
		{destination{host: "named.test", direct: true}, "named.test:0 true  0"},
		{destination{host: "x.a.test", direct: true}, "x.a.test:0 true  0"},
	} {
		got := s.way(&c.d)
		user := ""
		if got.login != nil {
			user = got.login.User
		}
		if text := fmt.Sprintf("%s:%d %v %s %d", got.route.Host, got.route.Port, got.route.Direct, user, got.least); text != c.want {
			t.Errorf("%+v: %s, want %s", c.d, text, c.want)
		}
	}
}

// Broken DNS: what may be mended is waited for, and says what is wrong.
func TestSenderBrokenDNS(t *testing.T) {
	t.Parallel()
	server := dnstest.New(t, `
cut.test. A 192.0.2.1
loop1.test. CNAME loop2.test.
loop2.test. CNAME loop1.test.
gone.test. MX 10 nowhere.test.
null.test. MX 0 .
`)
	for name, how := range map[string]dnstest.Failure{
		"servfail.test": dnstest.ServFail, "refused.test": dnstest.Refused,
		"cut.test": dnstest.CutTCP, "garbage.test": dnstest.Garbage, "other.test": dnstest.Other,
	} {
		server.Fail(name, how)
	}
	w := newWorld(t, Options{})
	for _, domain := range []string{"servfail", "refused", "cut", "garbage", "other", "loop1", "gone", "null", "missing"} {
		w.submit("ann@example.test", "joe@"+domain+".test")
	}
	n := newInternet()
	sender := NewSender(w.Queue, SenderOptions{Dial: n.dial,
		DNS: resolve.New(resolve.Options{Servers: []string{server.Addr}, Timeout: 30 * time.Second, Rounds: 1})})
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- sender.Run(ctx) }()
	w.until("all were tried", func() bool {
		items := w.items()
		for _, it := range items {
			if it.Attempts != 1 || it.LastError == "" {
				return false
			}
		}
		return len(items) == 6 && len(w.inbox("ann")) == 3
	})
	cancel()
	must(t, <-ended)
	for _, it := range w.items() {
		switch host := it.Recipients[0].Host; host {
		case "gone.test", "null.test", "missing.test":
			t.Errorf("%s waits: %s", host, it.LastError)
		default:
			if !strings.Contains(it.LastError, "look up") {
				t.Errorf("%s: %s", host, it.LastError)
			}
		}
	}
}
