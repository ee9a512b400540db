package mailauth

import (
	"context"
	"net"
	"strings"

	"blitiri.com.ar/go/spf"
)

// SPF is what the domain of the reverse-path says about the address of the host.
type SPF struct {
	Result Result
	Domain string // that was asked; "" for None without one
	Helo   bool   // Domain is the name in EHLO, for the null reverse-path
	Reason string // what decided, for people
}

// SPF checks the reverse-path alone.
func (c *Checker) SPF(ctx context.Context, client Client) SPF {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	return c.spf(ctx, client)
}

// spf checks the reverse-path, and for the null reverse-path the name in EHLO.
//
// RFC 7208 section 4.
func (c *Checker) spf(ctx context.Context, client Client) SPF {
	local, domain := "postmaster", client.Helo
	if at := strings.LastIndexByte(client.From, '@'); at >= 0 {
		local, domain = client.From[:at], client.From[at+1:]
	}
	s := SPF{Result: None, Domain: canonical(domain), Helo: client.From == ""}
	if s.Domain == "" || !client.Remote.IsValid() {
		s.Reason = "no domain to ask"
		return s
	}
	ip := net.IP(client.Remote.Unmap().WithZone("").AsSlice())
	result, err := spf.CheckHostWithSender(ip, client.Helo, local+"@"+s.Domain,
		spf.WithContext(ctx), spf.WithResolver(resolver{c.DNS}))
	s.Result = Result(result)
	if err != nil {
		s.Reason = err.Error()
	}
	return s
}
