package send

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"tripost/smtp/resolve"
)

// zone is a name server on loopback: records by "TYPE name.", or a response code
// where the name stands in broken.
type zone struct {
	records map[string][]string // text of the records
	broken  map[string]int
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	name := strings.ToLower(q.Question[0].Name)
	if code, ok := z.broken[name]; ok {
		m.Rcode = code
		_ = w.WriteMsg(m)
		return
	}
	known := false
	for _, kind := range []string{"MX", "A", "AAAA"} {
		texts, ok := z.records[kind+" "+name]
		known = known || ok
		if dns.TypeToString[q.Question[0].Qtype] != kind {
			continue
		}
		for _, text := range texts {
			rr, err := dns.NewRR(name + " 60 IN " + kind + " " + text)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
	}
	if !known {
		m.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(m)
}

// start returns the address of the zone's server.
func (z *zone) start(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: pc, Handler: z}
	ended := make(chan error, 1)
	up := make(chan struct{})
	s.NotifyStartedFunc = func() { close(up) }
	go func() { ended <- s.ActivateAndServe() }()
	<-up
	t.Cleanup(func() {
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return pc.LocalAddr().String()
}

func TestTargets(t *testing.T) {
	t.Parallel()
	z := &zone{
		records: map[string][]string{
			"MX two.test.":     {"20 b.two.test.", "10 a.two.test."},
			"A a.two.test.":    {"192.0.2.1"},
			"A b.two.test.":    {"192.0.2.2"},
			"AAAA b.two.test.": {"2001:db8::2"},
			"A plain.test.":    {"192.0.2.3"},
			"MX null.test.":    {"0 ."},
			"MX half.test.":    {"10 gone.test.", "20 a.two.test."},
			"MX nowhere.test.": {"10 gone.test."},
			"MX self.test.":    {"10 a.two.test.", "20 us.test.", "30 b.two.test."},
			"MX only-us.test.": {"10 us.test.", "20 a.two.test."},
			"A us.test.":       {"198.51.100.1"},
			"MX flaky.test.":   {"10 broken.test."},
			"MX number.test.":  {"10 192.0.2.9."},
			// We are the backup of a host that cannot be found now.
			"MX backup.test.":  {"10 broken.test.", "20 us.test.", "30 a.two.test."},
			"MX equals.test.":  {"20 broken.test.", "20 us.test."},
			"MX behind.test.":  {"10 us.test.", "20 broken.test."},
			"MX missing.test.": {"10 gone.test.", "20 us.test."},
			"MX unsure.test.":  {"10 broken.test.", "20 a.two.test."},
			// Our own name, at an address that is not ours: a router's.
			"MX name.test.":          {"10 b.two.test.", "20 MAIL.example.test.", "30 a.two.test."},
			"MX only-name.test.":     {"10 mail.example.test.", "20 a.two.test."},
			"A mail.example.test.":   {"203.0.113.1"},
			"MX name-backup.test.":   {"10 broken.test.", "20 mail.example.test."},
			"MX mail2.example.test.": {"10 mail2.example.test."},
			"A mail2.example.test.":  {"203.0.113.2"},
		},
		broken: map[string]int{"broken.test.": dns.RcodeServerFailure, "refused.test.": dns.RcodeRefused},
	}
	f := &Finder{
		DNS:  resolve.New(resolve.Options{Servers: []string{z.start(t)}, Timeout: 30 * time.Second}),
		Port: 2525,
		Self: func(a netip.AddrPort) bool { return a == netip.MustParseAddrPort("198.51.100.1:2525") },

		Hostname: "mail.example.test",
	}
	temporary := errors.New("something else")
	for _, c := range []struct {
		route Route
		want  []string
		err   error
	}{
		{Route{Host: "two.test"}, []string{"192.0.2.1:2525", "192.0.2.2:2525", "[2001:db8::2]:2525"}, nil},
		{Route{Host: "TWO.test."}, []string{"192.0.2.1:2525", "192.0.2.2:2525", "[2001:db8::2]:2525"}, nil},
		{Route{Host: "plain.test"}, []string{"192.0.2.3:2525"}, nil},
		{Route{Host: "a.two.test", Direct: true, Port: 26}, []string{"192.0.2.1:26"}, nil},
		{Route{Host: "null.test"}, nil, ErrNullMX},
		{Route{Host: "half.test"}, []string{"192.0.2.1:2525"}, nil},
		{Route{Host: "nowhere.test"}, nil, ErrNoDomain},
		{Route{Host: "unknown.test"}, nil, ErrNoDomain},
		{Route{Host: "unknown.test", Direct: true}, nil, ErrNoDomain},
		{Route{Host: "self.test"}, []string{"192.0.2.1:2525"}, nil},
		{Route{Host: "only-us.test"}, nil, ErrSelf},
		{Route{Host: "us.test"}, nil, ErrSelf},
		{Route{Host: "us.test", Direct: true, Port: 26}, []string{"198.51.100.1:26"}, nil},
		{Route{Host: "198.51.100.1", Direct: true}, nil, ErrSelf},
		{Route{Host: "[192.0.2.7]"}, []string{"192.0.2.7:2525"}, nil},
		{Route{Host: "[IPv6:2001:db8::7]"}, []string{"[2001:db8::7]:2525"}, nil},
		{Route{Host: "192.0.2.7", Direct: true, Port: 99}, []string{"192.0.2.7:99"}, nil},
		{Route{Host: "broken.test"}, nil, temporary},
		{Route{Host: "refused.test"}, nil, temporary},
		{Route{Host: "flaky.test"}, nil, temporary},
		{Route{Host: "backup.test"}, nil, temporary},
		{Route{Host: "equals.test"}, nil, ErrSelf},
		{Route{Host: "behind.test"}, nil, ErrSelf},
		{Route{Host: "missing.test"}, nil, ErrSelf},
		{Route{Host: "unsure.test"}, []string{"broken.test: unknown", "192.0.2.1:2525"}, nil},
		{Route{Host: "name.test"}, []string{"192.0.2.2:2525", "[2001:db8::2]:2525"}, nil},
		{Route{Host: "only-name.test"}, nil, ErrSelf},
		{Route{Host: "mail.example.test"}, nil, ErrSelf},
		{Route{Host: "mail.example.test", Direct: true}, []string{"203.0.113.1:2525"}, nil},
		{Route{Host: "name-backup.test"}, nil, temporary},
		{Route{Host: "mail2.example.test"}, []string{"203.0.113.2:2525"}, nil},
	} {
		targets, err := f.Targets(context.Background(), c.route)
		var got []string
		for _, target := range targets {
			if target.Err != nil {
				got = append(got, target.Name+": unknown")
				continue
			}
			got = append(got, target.Addr.String())
		}
		known := errors.Is(err, ErrNullMX) || errors.Is(err, ErrNoDomain) || errors.Is(err, ErrSelf)
		switch {
		case c.err == nil && err != nil, c.err == temporary && (err == nil || known),
			c.err != nil && c.err != temporary && !errors.Is(err, c.err):
			t.Errorf("%+v: error %v, want %v", c.route, err, c.err)
		case c.err == nil && !slices.Equal(got, c.want):
			t.Errorf("%+v: %q, want %q", c.route, got, c.want)
		}
	}
}

// Hosts of one preference share the load.
func TestTargetsShuffled(t *testing.T) {
	t.Parallel()
	z := &zone{records: map[string][]string{
		"MX x.test.": {"10 a.test.", "10 b.test."},
		"A a.test.":  {"192.0.2.1"}, "A b.test.": {"192.0.2.2"},
	}}
	f := &Finder{DNS: resolve.New(resolve.Options{Servers: []string{z.start(t)}, Timeout: 30 * time.Second})}
	first := map[string]bool{}
	for range 200 {
		targets, err := f.Targets(context.Background(), Route{Host: "x.test"})
		if err != nil {
			t.Fatal(err)
		}
		if first[targets[0].Name] = true; len(first) == 2 {
			return
		}
	}
	t.Errorf("always %v first", first)
}

// No name server that answers is a temporary failure.
func TestTargetsSilentServer(t *testing.T) {
	t.Parallel()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Finder{DNS: resolve.New(resolve.Options{Servers: []string{pc.LocalAddr().String()}})}
	pc.Close() // nobody is there
	_, err = f.Targets(context.Background(), Route{Host: "x.test"})
	if err == nil || errors.Is(err, ErrNoDomain) {
		t.Errorf("got %v, want a temporary error", err)
	}
}
