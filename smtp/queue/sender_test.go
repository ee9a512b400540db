package queue

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/smtp/resolve"
	"tripost/smtp/send"
	"tripost/smtp/sinktest"
	"tripost/store"
	"tripost/wire/wiretest"
)

// internet is a little Internet: names, addresses, and the sinks that stand there.
type internet struct {
	mx    map[string][]*net.MX
	addrs map[string][]netip.Addr
	sinks map[string]*sinktest.Sink // by address
}

func (n *internet) MX(_ context.Context, name string) ([]*net.MX, bool, error) {
	if mx, ok := n.mx[name]; ok {
		return mx, false, nil
	}
	return nil, false, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (n *internet) Host(_ context.Context, name string) (resolve.Host, error) {
	if name == "servfail.test" {
		return resolve.Host{}, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	}
	if addrs, ok := n.addrs[name]; ok {
		return resolve.Host{Addrs: addrs, Name: name}, nil
	}
	return resolve.Host{}, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (n *internet) TLSA(_ context.Context, _ uint16, host string) ([]resolve.TLSA, bool, error) {
	return nil, false, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// dial reaches the sinks and nothing else.
func (n *internet) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	s := n.sinks[host]
	if s == nil {
		return nil, errors.New("connection refused")
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", s.Addr.String())
}

// host puts a sink at a name and address.
func (n *internet) host(name, addr string, s *sinktest.Sink) {
	n.addrs[name] = append(n.addrs[name], netip.MustParseAddr(addr))
	if s != nil {
		n.sinks[addr] = s
	}
}

func newInternet() *internet {
	return &internet{mx: map[string][]*net.MX{}, addrs: map[string][]netip.Addr{}, sinks: map[string]*sinktest.Sink{}}
}

// run starts a sender, which ends with the test.
func (w *world) run(n *internet, o SenderOptions) (stop func()) {
	w.t.Helper()
	o.DNS, o.Dial = n, n.dial
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- NewSender(w.Queue, o).Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the sender ended: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// until waits for a condition.
func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("waited in vain until %s; the queue is %+v", what, w.items())
		}
	}
}

func (w *world) empty() bool { return len(w.items()) == 0 }

func TestSenderCarries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	one, two := sinktest.New(t, sinktest.Options{}), sinktest.New(t, sinktest.Options{})
	n.mx["client.test"] = []*net.MX{{Host: "mx.client.test.", Pref: 10}}
	n.host("mx.client.test", "192.0.2.1", one)
	n.host("other.test", "192.0.2.2", two)

	w.submit("ann@example.test", "joe@client.test", "jim@client.test", "eve@other.test", "bob@example.test")
	w.run(n, SenderOptions{})
	w.submit("", "joe@client.test") // while it runs
	w.until("all is sent", w.empty)
	got := one.Wait(2)
	slices.SortFunc(got, func(a, b sinktest.Message) int { return len(b.To) - len(a.To) })
	if !slices.Equal(got[0].To, []string{"<joe@client.test>", "<jim@client.test>"}) || !strings.HasPrefix(got[0].From, "<ann@example.test>") ||
		!strings.HasPrefix(got[0].Data, "Received: ") || !strings.HasSuffix(got[0].Data, "\r\n"+hello) || got[0].Helo != "mail.example.test" {
		t.Errorf("one host got %+v", got[0])
	}
	if !strings.HasPrefix(got[1].From, "<> ") {
		t.Errorf("one host got %+v", got[1])
	}
	if got := two.Wait(1); len(got) != 1 || got[0].To[0] != "<eve@other.test>" {
		t.Errorf("the other host got %+v", got)
	}
	if n := len(w.inbox("bob")); n != 1 {
		t.Errorf("bob has %d messages", n)
	}
}

// Messages for one destination share a connection.
func TestSenderBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	s := sinktest.New(t, sinktest.Options{})
	n.host("client.test", "192.0.2.1", s)
	for range 10 {
		w.submit("ann@example.test", "joe@client.test")
	}
	w.run(n, SenderOptions{})
	w.until("all is sent", w.empty)
	if len(s.Wait(10)) != 10 || s.Connections() != 1 {
		t.Errorf("%d messages over %d connections", len(s.Messages()), s.Connections())
	}
}

// A peer may stop at any point: the message waits, and gets there in the end,
// once unless the peer had it and did not say so.
func TestSenderAgainstStoppingPeer(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"greeting", "EHLO", "MAIL", "RCPT", "DATA", "mid-data", "data", "421", "QUIT"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			n := newInternet()
			var mu sync.Mutex
			stops := true
			s := sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case !stops:
				case command == point:
					return sinktest.Hangup
				case point == "mid-data" && command == "DATA":
					return sinktest.MidData
				case point == "421" && command == "RCPT":
					return "421 4.3.2 bye"
				}
				return ""
			}})
			n.host("client.test", "192.0.2.1", s)
			id := w.submit("ann@example.test", "joe@client.test").ID
			w.run(n, SenderOptions{})
			if point != "QUIT" {
				w.until("an attempt has failed", func() bool { return w.only().Attempts == 1 })
				it := w.only()
				if it.LastError == "" || it.Next.Sub(w.clock()) != 5*time.Minute {
					t.Errorf("after the failure: %+v", it)
				}
				mu.Lock()
				stops = false
				mu.Unlock()
				must(t, w.steer(Retry, id))
			}
			w.until("all is sent", w.empty)
			if got := s.Wait(1); len(got) != 1 || !strings.HasSuffix(got[0].Data, hello) {
				t.Errorf("taken: %+v", got)
			}
			if n := len(w.inbox("ann")); n != 0 {
				t.Errorf("%d reports", n)
			}
		})
	}
}

// What cannot be sent comes back, with the reason.
func TestSenderGivesBack(t *testing.T) {
	t.Parallel()
	refuse := func(at, reply string) *sinktest.Sink {
		return sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
			if command == at {
				return reply
			}
			return ""
		}})
	}
	for name, c := range map[string]struct {
		to, status string
		set        func(*internet)
	}{
		"refused at RCPT": {"joe@client.test", "5.1.1", func(n *internet) {
			n.host("client.test", "192.0.2.1", refuse("RCPT", "550 5.1.1 no such user"))
		}},
		"refused at MAIL": {"joe@client.test", "5.0.0", func(n *internet) {
			n.host("client.test", "192.0.2.1", refuse("MAIL", "550 without a code"))
		}},
		"refused after the message": {"joe@client.test", "5.6.0", func(n *internet) {
			n.host("client.test", "192.0.2.1", refuse("data", "554 5.6.0 no"))
		}},
		"null MX": {"joe@client.test", "5.1.10", func(n *internet) {
			n.mx["client.test"] = []*net.MX{{Host: ".", Pref: 0}}
		}},
		"no such domain": {"joe@client.test", "5.1.2", func(*internet) {}},
		"ourselves": {"joe@client.test", "5.4.6", func(n *internet) {
			n.host("client.test", "198.51.100.1", nil)
		}},
		"too long": {"joe@client.test", "5.3.4", func(n *internet) {
			n.host("client.test", "192.0.2.1", sinktest.New(t, sinktest.Options{Extensions: []string{"SIZE 10"}}))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Options{})
			n := newInternet()
			c.set(n)
			w.submit("ann@example.test", c.to)
			w.run(n, SenderOptions{Self: func(a netip.AddrPort) bool { return a == netip.MustParseAddrPort("198.51.100.1:25") }})
			w.until("it has come back", func() bool { return w.empty() && len(w.inbox("ann")) == 1 })
			if report := w.inbox("ann")[0]; !strings.Contains(report, "\r\nStatus: "+c.status+"\r\n") {
				t.Errorf("the report is %s", report)
			}
		})
	}
}

// What may go away is waited for.
func TestSenderWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	n.addrs["servfail.test"] = nil
	n.host("down.test", "192.0.2.9", nil)
	n.host("busy.test", "192.0.2.1", sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
		if command == "RCPT" {
			return "452 4.2.2 full"
		}
		return ""
	}}))
	for _, host := range []string{"servfail", "down", "busy"} {
		w.submit("ann@example.test", "joe@"+host+".test")
	}
	w.run(n, SenderOptions{})
	w.until("each was tried once", func() bool {
		items := w.items()
		return len(items) == 3 && !slices.ContainsFunc(items, func(it Item) bool { return it.Attempts != 1 })
	})
	for _, it := range w.items() {
		want := map[string]string{"servfail.test": "server misbehaving", "down.test": "connection refused", "busy.test": "452 4.2.2 full"}[it.Recipients[0].Host]
		if !strings.Contains(it.LastError, want) {
			t.Errorf("%s: %q", it.Recipients[0].Host, it.LastError)
		}
	}
}

// The next host is tried when the first is not there or does not want us.
func TestSenderNextHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	s := sinktest.New(t, sinktest.Options{})
	n.mx["client.test"] = []*net.MX{{Host: "c.", Pref: 30}, {Host: "a.", Pref: 10}, {Host: "b.", Pref: 20}}
	n.host("a", "192.0.2.1", nil)
	n.host("b", "192.0.2.2", sinktest.New(t, sinktest.Options{Reply: func(string, string) string { return "554 go away" }}))
	n.host("c", "192.0.2.3", s)
	w.submit("ann@example.test", "joe@client.test")
	w.run(n, SenderOptions{})
	w.until("it is sent", w.empty)
	s.Wait(1)
}

// smarthostTLS is a certificate for smart.test, and the pool that trusts it.
var smarthostTLS = sync.OnceValues(func() (*tls.Config, *x509.CertPool) {
	return wiretest.TLS("smart.test", false)
})

// Through a smart host goes everything, signed in under TLS, but what the router
// sends to a host of its own.
func TestSenderSmarthost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	config, pool := smarthostTLS()
	smart := sinktest.New(t, sinktest.Options{TLS: config, Login: "us secret"})
	own := sinktest.New(t, sinktest.Options{})
	n.host("smart.test", "192.0.2.1", smart)
	n.host("host.test", "192.0.2.2", own)
	w.submit("ann@example.test", "joe@client.test", "eve@other.test", "x@host.test.2525._via")
	w.run(n, SenderOptions{Smarthost: Smarthost{Host: "smart.test", Port: 587, User: "us", Password: "secret"}, RootCAs: pool})
	w.until("all is sent", w.empty)
	for _, m := range smart.Wait(2) {
		if !m.TLS || m.User != "us" {
			t.Errorf("the smart host got %+v", m)
		}
	}
	own.Wait(1)
}

// The end of Run lets an attempt in flight finish, and waits no longer than
// Grace for one that does not.
func TestSenderStops(t *testing.T) {
	t.Parallel()
	t.Run("finishes", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, Options{})
		n := newInternet()
		asked, goOn := make(chan struct{}), make(chan struct{})
		s := sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
			if command == "data" {
				close(asked)
				<-goOn
			}
			return ""
		}})
		n.host("client.test", "192.0.2.1", s)
		w.submit("ann@example.test", "joe@client.test")
		stop := w.run(n, SenderOptions{Grace: 20 * time.Second})
		<-asked
		stopped := make(chan struct{})
		go func() {
			stop()
			close(stopped)
		}()
		close(goOn)
		<-stopped
		if !w.empty() || len(s.Messages()) != 1 {
			t.Errorf("the queue is %+v", w.items())
		}
	})
	t.Run("is cut off", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, Options{})
		n := newInternet()
		asked := make(chan struct{})
		n.host("client.test", "192.0.2.1", sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
			if command == "RCPT" {
				close(asked)
				return sinktest.Silence
			}
			return ""
		}}))
		w.submit("ann@example.test", "joe@client.test")
		stop := w.run(n, SenderOptions{Grace: time.Millisecond})
		<-asked
		stop()
		if it := w.only(); len(it.Recipients) != 1 {
			t.Errorf("the queue is %+v", it)
		}
	})
}

// Held messages stay, and go when they are let go.
func TestSenderHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	s := sinktest.New(t, sinktest.Options{})
	n.host("client.test", "192.0.2.1", s)
	held := w.submit("ann@example.test", "held@client.test").ID
	must(t, w.steer(Hold, held))
	w.submit("ann@example.test", "joe@client.test")
	w.run(n, SenderOptions{})
	w.until("the other is sent", func() bool { return len(w.items()) == 1 })
	if it := w.only(); it.ID != held || it.Attempts != 0 {
		t.Errorf("left: %+v", it)
	}
	must(t, w.steer(Release, held))
	w.until("it is sent", w.empty)
	if got := s.Wait(2); got[1].To[0] != "<held@client.test>" {
		t.Errorf("taken %+v", got)
	}
}

// Many messages to many hosts, of which some fail at random points, all arrive.
func TestSenderMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Retry: []time.Duration{time.Millisecond}})
	n := newInternet()
	const hosts, each = 5, 20
	var mu sync.Mutex
	count := 0
	for i := range hosts {
		n.host(fmt.Sprintf("h%d.test", i), fmt.Sprintf("192.0.2.%d", i+1), sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
			mu.Lock()
			defer mu.Unlock()
			if count++; count%17 == 0 && command != "data" {
				return sinktest.Hangup
			}
			return ""
		}}))
	}
	for i := range hosts * each {
		w.submit("ann@example.test", fmt.Sprintf("u%d@h%d.test", i, i%hosts))
	}
	w.run(n, SenderOptions{Workers: 6, PerHost: 2, Batch: 5})
	w.until("all is sent", func() bool {
		w.pass(time.Millisecond)
		for _, it := range w.items() {
			_ = w.steer(Retry, it.ID) // wakes the sender, whose clock stands still
			break
		}
		return w.empty()
	})
	got := map[string]int{}
	for _, s := range n.sinks {
		for _, m := range s.Messages() {
			got[m.To[0]]++
		}
	}
	if len(got) != hosts*each {
		t.Errorf("%d of %d messages arrived", len(got), hosts*each)
	}
	for to, n := range got {
		if n != 1 {
			t.Errorf("%s got it %d times", to, n)
		}
	}
}

var _ send.DNS = (*internet)(nil)

// A record that cannot be read is passed over, and holds up nothing else.
func TestSenderDamagedRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	s := sinktest.New(t, sinktest.Options{})
	n.host("client.test", "192.0.2.1", s)
	bad := w.submit("ann@example.test", "bad@client.test").ID
	id, err := parseID(bad)
	must(t, err)
	must(t, w.store.Update(w.ctx, func(tx *store.Tx) error {
		tx.Put(store.SpaceQueue, destinationKey(id, "client.test"), []byte{99})
		return nil
	}))
	for range 3 {
		w.submit("ann@example.test", "joe@client.test")
	}
	w.run(n, SenderOptions{})
	for _, m := range s.Wait(3) {
		if m.To[0] != "<joe@client.test>" {
			t.Errorf("taken %+v", m)
		}
	}
	if _, err := w.Item(w.ctx, bad); !errors.Is(err, errRecord) {
		t.Errorf("the damaged one: %v", err)
	}
	w.until("only the damaged one is listed", func() bool { return len(w.items()) == 1 })
	if it := w.only(); it.ID != bad || !strings.Contains(it.LastError, "damaged") {
		t.Errorf("the damaged one is listed as %+v", it)
	}
}
