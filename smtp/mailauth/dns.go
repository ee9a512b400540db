package mailauth

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// resolver gives the libraries what they need. They look at the type of an error,
// so each one is a [*net.DNSError]; and they must not bring in the system's
// search list.
type resolver struct{ dns DNS }

func (r resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	txt, err := r.dns.LookupTXT(ctx, absolute(name))
	return txt, failure(name, err)
}

func (r resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	mx, err := r.dns.LookupMX(ctx, absolute(name))
	return mx, failure(name, err)
}

func (r resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	ips, err := r.dns.LookupNetIP(ctx, "ip", absolute(host))
	if err != nil {
		return nil, failure(host, err)
	}
	addrs := make([]net.IPAddr, 0, len(ips))
	for _, ip := range ips {
		addrs = append(addrs, net.IPAddr{IP: ip.Unmap().AsSlice()})
	}
	return addrs, nil
}

func (r resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	names, err := r.dns.LookupAddr(ctx, addr)
	return names, failure(addr, err)
}

func absolute(name string) string { return strings.TrimSuffix(name, ".") + "." }

// failure makes an error a [*net.DNSError], temporary unless it says that there
// is no such name.
func failure(name string, err error) error {
	if err == nil {
		return nil
	}
	var d *net.DNSError
	if errors.As(err, &d) && d.IsNotFound {
		return d
	}
	return &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true, IsTimeout: errors.Is(err, context.DeadlineExceeded)}
}

func notFound(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// canonical returns a domain name in lower case and A-labels, "" when it is none
// that the DNS could have.
func canonical(domain string) string {
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(domain, "."))
	if err != nil {
		ascii = strings.ToLower(strings.TrimSuffix(domain, ".")) // "_" and "--" are used all the same
	}
	if len(ascii) > 253 || !strings.Contains(ascii, ".") {
		return ""
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return ""
		}
	}
	return ascii
}

// Name is the name of a host's address.
type Name struct {
	Result Result // "" when it was not looked up
	Host   string // a name that leads back to the address; of Pass
	Addr   netip.Addr
}

// maxNames is how many names of one address are followed (RFC 8601 section 2.7.3
// with RFC 7208 section 4.6.4).
const maxNames = 10

// Reverse looks for a name of an address that leads back to it: pass; fail when
// none does, temperror when the DNS did not say, permerror when there is no
// name.
//
// RFC 8601 section 2.7.3, iprev.
func (c *Checker) Reverse(ctx context.Context, addr netip.Addr) Name {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	addr = addr.Unmap().WithZone("")
	n := Name{Result: PermError, Addr: addr}
	r := resolver{c.DNS}
	names, err := r.LookupAddr(ctx, addr.String())
	if err != nil && !notFound(err) {
		n.Result = TempError
		return n
	}
	for _, host := range names[:min(len(names), maxNames)] {
		host = canonical(host)
		if host == "" {
			continue
		}
		if n.Result == PermError {
			n.Result = Fail
		}
		ips, err := c.DNS.LookupNetIP(ctx, "ip", absolute(host))
		if err != nil && !notFound(err) {
			n.Result = TempError
		}
		for _, ip := range ips {
			if ip.Unmap() == addr {
				n.Result, n.Host = Pass, host
				return n
			}
		}
	}
	return n
}
