package send

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"

	"tripost/smtp/resolve"
)

// Errors of a destination that will not go away by waiting.
var (
	// ErrNullMX: the domain says that it takes no mail (RFC 7505).
	ErrNullMX = errors.New("the domain takes no mail")
	// ErrNoDomain: there is no such domain, or it has no address.
	ErrNoDomain = errors.New("no such mail domain")
	// ErrSelf: the way there leads back to this server (RFC 5321 section 5.1).
	ErrSelf = errors.New("mail for the domain leads back to this server")
)

// DNS is what is asked; a [resolve.Resolver] answers. The answers are secure
// where DNSSEC vouches for them.
type DNS interface {
	MX(ctx context.Context, domain string) (list []*net.MX, secure bool, err error)
	Host(ctx context.Context, name string) (resolve.Host, error)
	TLSA(ctx context.Context, port uint16, host string) (list []resolve.TLSA, secure bool, err error)
}

const (
	maxExchangers = 20 // hosts of one domain that are looked at
	maxTargets    = 30 // addresses of one domain that are tried
)

// Route is where a message shall go.
type Route struct {
	Host   string // a mail domain, or with Direct a host; an IP address or address literal is always a host
	Port   int    // 0: the finder's
	Direct bool
}

// Target is one address of a host.
type Target struct {
	Name string // of the host
	Addr netip.AddrPort
	// Domain is the mail domain whose MX led here; empty where the host was named
	// itself.
	Domain string
	// Alias is where the aliases of the name end; empty when it is none.
	Alias string
	// Certain tells that the name is that of the right host: DNSSEC vouches for
	// the MX, or who set this server up named the host.
	Certain bool
	// Secure tells that DNSSEC vouches for the addresses, and for the MX where
	// one led here: only then can there be DANE (RFC 7672 section 2.2).
	Secure bool
	// Pref is the preference of the MX that led here: lower is better.
	Pref uint16
	// Err tells why the addresses of the host are not known now; there is no Addr
	// then. It is temporary.
	Err error
}

// String returns "mx.company.test [192.0.2.7]".
func (t Target) String() string {
	if t.Name == t.Addr.Addr().String() {
		return "[" + t.Name + "]"
	}
	return t.Name + " [" + t.Addr.Addr().String() + "]"
}

// Finder finds the hosts that take mail for a domain.
type Finder struct {
	DNS  DNS
	Port int                       // default 25
	Self func(netip.AddrPort) bool // addresses at which this server listens; nil: none
	// Hostname is the name of this server: an MX with it leads back here, whatever
	// its addresses are, which may be those of a router or a load balancer.
	Hostname string
}

// Targets returns the addresses to be tried, in this order: those of the MX
// hosts by preference, equals in random order, or of the domain itself when it
// has no MX (RFC 5321 section 5.1). Where one of them is this server, it and all
// that are not preferred to it are left out. A host whose addresses cannot be had
// now stands in its place without an address, so that what another one says is not
// taken for the last word; but there is at least one address.
//
// Errors are ErrNullMX, ErrNoDomain and ErrSelf; all others are temporary.
func (f *Finder) Targets(ctx context.Context, r Route) ([]Target, error) {
	port := uint16(25)
	if f.Port > 0 {
		port = uint16(f.Port)
	}
	if r.Port > 0 {
		port = uint16(r.Port)
	}
	if a, ok := literal(r.Host); ok {
		return f.withoutSelf([]exchanger{{name: a.String(), host: resolve.Host{Addrs: []netip.Addr{a}}}}, r, port)
	}
	hosts := []exchanger{{name: absolute(r.Host), secure: true}}
	if !r.Direct {
		var err error
		if hosts, err = f.exchangers(ctx, r.Host); err != nil {
			return nil, err
		}
	}
	f.resolve(ctx, hosts)
	return f.withoutSelf(hosts, r, port)
}

// exchanger is a host that takes mail for a domain.
type exchanger struct {
	name   string
	pref   uint16
	secure bool // DNSSEC vouches for the way to the name
	host   resolve.Host
	err    error // the addresses are not known now
}

// literal reads an IP address, or an address literal of RFC 5321 section 4.1.3.
func literal(host string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
		if len(host) > 5 && strings.EqualFold(host[:5], "IPv6:") {
			host = host[5:]
		}
	}
	a, err := netip.ParseAddr(host)
	return a, err == nil
}

// exchangers asks for the MX records of a domain.
func (f *Finder) exchangers(ctx context.Context, domain string) ([]exchanger, error) {
	records, secure, err := f.DNS.MX(ctx, domain)
	if err != nil {
		if resolve.NotFound(err) {
			return []exchanger{{name: absolute(domain), secure: true}}, nil
		}
		return nil, fmt.Errorf("look up MX of %q: %w", domain, err)
	}
	if len(records) == 1 && strings.Trim(records[0].Host, ".") == "" {
		return nil, ErrNullMX
	}
	rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	slices.SortStableFunc(records, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	var hosts []exchanger
	for _, mx := range records {
		if name := strings.TrimSuffix(mx.Host, "."); name != "" && len(hosts) < maxExchangers {
			hosts = append(hosts, exchanger{name: strings.ToLower(name), pref: mx.Pref, secure: secure})
		}
	}
	if len(hosts) == 0 {
		return nil, ErrNullMX
	}
	return hosts, nil
}

// resolve fills in the addresses. A host that is not there has none.
func (f *Finder) resolve(ctx context.Context, hosts []exchanger) {
	for i := range hosts {
		h := &hosts[i]
		if a, ok := literal(h.name); ok {
			h.host.Addrs = []netip.Addr{a}
		} else if host, err := f.DNS.Host(ctx, h.name); err == nil {
			h.host = host
		} else if !resolve.NotFound(err) {
			h.err = fmt.Errorf("look up addresses of %q: %w", h.name, err)
		}
	}
}

// withoutSelf leaves out this server and what is not preferred to it.
func (f *Finder) withoutSelf(hosts []exchanger, r Route, port uint16) ([]Target, error) {
	self := slices.IndexFunc(hosts, func(h exchanger) bool { return f.isSelf(h, r, port) })
	var targets []Target
	var unknown error
	addresses := 0
	for _, h := range hosts {
		if self >= 0 && h.pref >= hosts[self].pref {
			break // they are in the order of preference
		}
		t := Target{Name: h.name, Pref: h.pref, Certain: r.Direct || h.secure && h.host.Secure, Secure: h.secure && h.host.Secure}
		if !r.Direct {
			t.Domain = absolute(r.Host)
		}
		if h.err != nil {
			t.Err = h.err
			targets = append(targets, t)
			if unknown == nil {
				unknown = h.err
			}
		}
		if h.host.Name != h.name {
			t.Alias = h.host.Name
		}
		for _, a := range h.host.Addrs {
			if addresses < maxTargets {
				t.Addr = netip.AddrPortFrom(a.Unmap(), port)
				targets = append(targets, t)
				addresses++
			}
		}
	}
	switch {
	case addresses > 0:
		return targets, nil
	case unknown != nil:
		return nil, unknown
	case self >= 0:
		return nil, ErrSelf
	default:
		return nil, ErrNoDomain
	}
}

// isSelf tells whether a host is this server: by its name where an MX led there, or
// by its addresses.
func (f *Finder) isSelf(h exchanger, r Route, port uint16) bool {
	if !r.Direct && r.Port == 0 && sameHost(h.name, f.Hostname) {
		return true
	}
	return f.Self != nil && slices.ContainsFunc(h.host.Addrs, func(a netip.Addr) bool { return f.Self(netip.AddrPortFrom(a.Unmap(), port)) })
}

// sameHost tells whether a name is the one of this server. A name without a dot is
// nobody's alone.
func sameHost(name, ours string) bool {
	return strings.Contains(ours, ".") && absolute(name) == absolute(ours)
}

// absolute is a name in the form in which it is compared.
func absolute(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
