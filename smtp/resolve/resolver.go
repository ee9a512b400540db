package resolve

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Options of a [Resolver]. Zero values take the defaults.
type Options struct {
	// Servers are recursive servers, "host:port", "host" or an address; they are
	// asked in this order. None: those of the system.
	Servers []string
	// Validates says that the servers validate DNSSEC and that nobody can change
	// their answers on the way here (RFC 7672 section 2.1.1): without it no
	// answer is secure.
	Validates bool
	Timeout   time.Duration // for one server's answer; default 3 s
	Rounds    int           // how often all servers are asked; default 2
	Entries   int           // answers kept; default 10,000
	Now       func() time.Time
}

func (o *Options) defaults() {
	if len(o.Servers) == 0 {
		o.Servers = systemServers()
	}
	if o.Timeout <= 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Rounds <= 0 {
		o.Rounds = 2
	}
	if o.Entries <= 0 {
		o.Entries = 10_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// maxServers bounds the time that one question takes.
const maxServers = 3

// systemServers reads resolv.conf.
func systemServers() []string {
	var list []string
	if c, err := dns.ClientConfigFromFile("/etc/resolv.conf"); err == nil {
		for _, s := range c.Servers {
			list = append(list, net.JoinHostPort(s, c.Port))
		}
	}
	if len(list) == 0 {
		list = []string{"127.0.0.1:53"}
	}
	return list
}

// Resolver asks and remembers.
type Resolver struct {
	o Options

	mu    sync.Mutex // guards what follows
	cache map[question]*answer
}

// New returns a resolver.
func New(o Options) *Resolver {
	o.defaults()
	servers := make([]string, 0, maxServers)
	for _, s := range o.Servers[:min(len(o.Servers), maxServers)] {
		if _, _, err := net.SplitHostPort(s); err != nil {
			s = net.JoinHostPort(strings.Trim(s, "[]"), "53")
		}
		servers = append(servers, s)
	}
	o.Servers = servers
	return &Resolver{o: o, cache: make(map[question]*answer)}
}

// LookupMX returns the MX records of a domain as they came, at most 100.
func (r *Resolver) LookupMX(ctx context.Context, domain string) ([]*net.MX, error) {
	list, _, err := r.MX(ctx, domain)
	return list, err
}

// MX is LookupMX that also tells whether the records are secure.
func (r *Resolver) MX(ctx context.Context, domain string) (list []*net.MX, secure bool, err error) {
	a, err := r.lookup(ctx, domain, dns.TypeMX)
	if err != nil {
		return nil, false, err
	}
	for _, rr := range a.records {
		if mx, ok := rr.(*dns.MX); ok {
			list = append(list, &net.MX{Host: mx.Mx, Pref: mx.Preference})
		}
	}
	return list, a.secure, nil
}

// Host is what a name has for addresses.
type Host struct {
	Addrs []netip.Addr // IPv4 first, which hosts without IPv6 reach
	// Name is where the aliases (CNAME) of the name end, without a dot at the
	// end; the name itself when it is none.
	Name string
	// Secure tells that DNSSEC vouches for the addresses and for every alias.
	Secure bool
}

// LookupNetIP returns the addresses of a host; network is "ip", "ip4" or "ip6".
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	h, err := r.host(ctx, network, host)
	return h.Addrs, err
}

// LookupIPAddr is LookupNetIP in an older form.
func (r *Resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	h, err := r.host(ctx, "ip", host)
	var list []net.IPAddr
	for _, a := range h.Addrs {
		list = append(list, net.IPAddr{IP: a.AsSlice()})
	}
	return list, err
}

// Host returns the addresses of a host, and whether they are secure.
func (r *Resolver) Host(ctx context.Context, name string) (Host, error) {
	return r.host(ctx, "ip", name)
}

func (r *Resolver) host(ctx context.Context, network, name string) (Host, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return Host{Addrs: []netip.Addr{a}, Name: name}, nil
	}
	if isLocalhost(name) {
		return Host{Addrs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, Name: name}, nil
	}
	kinds := []uint16{dns.TypeA, dns.TypeAAAA}
	switch network {
	case "ip4":
		kinds = kinds[:1]
	case "ip6":
		kinds = kinds[1:]
	}
	answers, errs := make([]*answer, len(kinds)), make([]error, len(kinds))
	var both sync.WaitGroup
	for i, kind := range kinds {
		both.Go(func() { answers[i], errs[i] = r.lookup(ctx, name, kind) })
	}
	both.Wait()
	return merge(answers, errs)
}

// isLocalhost tells names that are this machine whatever a server says: RFC 6761
// section 6.3.
func isLocalhost(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// merge puts the addresses of both families together. One family is enough; a
// missing one is no error while the other may exist.
func merge(answers []*answer, errs []error) (h Host, err error) {
	h.Secure = true
	for i, a := range answers {
		if a == nil {
			if err == nil || !NotFound(errs[i]) {
				err = errs[i]
			}
			continue
		}
		h.Name, h.Secure = strings.TrimSuffix(a.name, "."), h.Secure && a.secure
		for _, rr := range a.records {
			if addr, ok := addressOf(rr); ok {
				h.Addrs = append(h.Addrs, addr)
			}
		}
	}
	if len(h.Addrs) > 0 {
		return h, nil
	}
	return Host{}, err
}

func addressOf(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		return netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		return netip.AddrFromSlice(rr.AAAA.To16())
	}
	return netip.Addr{}, false
}

// LookupTXT returns the TXT records of a name, each with its strings joined.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := r.lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, rr := range a.records {
		if txt, ok := rr.(*dns.TXT); ok {
			list = append(list, unescape(strings.Join(txt.Txt, "")))
		}
	}
	return list, nil
}

// unescape undoes the presentation form in which the library keeps strings:
// \DDD and \X (RFC 1035 section 5.1).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b = append(b, s[i])
		case i+3 < len(s) && digits(s[i+1:i+4]):
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
		default:
			i++
			b = append(b, s[i])
		}
	}
	return string(b)
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// LookupAddr returns the names of an address (PTR), which anybody can claim:
// only one that leads back to the address means something.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	name, err := dns.ReverseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: "not an address", Name: addr, IsNotFound: true}
	}
	a, err := r.lookup(ctx, name, dns.TypePTR)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, rr := range a.records {
		if ptr, ok := rr.(*dns.PTR); ok {
			list = append(list, ptr.Ptr)
		}
	}
	return list, nil
}

// TLSA is one TLSA record: RFC 6698 section 2.1.
type TLSA struct {
	Usage, Selector, Matching uint8
	Data                      string // in hexadecimal, lower case
}

// TLSA returns the TLSA records of a TCP port of a host, and whether they are
// secure; records that are not mean nothing.
func (r *Resolver) TLSA(ctx context.Context, port uint16, host string) (list []TLSA, secure bool, err error) {
	a, err := r.lookup(ctx, fmt.Sprintf("_%d._tcp.%s", port, host), dns.TypeTLSA)
	if err != nil {
		return nil, false, err
	}
	for _, rr := range a.records {
		if t, ok := rr.(*dns.TLSA); ok {
			list = append(list, TLSA{t.Usage, t.Selector, t.MatchingType, strings.ToLower(t.Certificate)})
		}
	}
	return list, a.secure, nil
}
