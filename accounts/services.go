package accounts

import (
	"fmt"
	"strings"
)

// Service is one thing an account may be allowed to do, or several: see
// [Names.Services].
type Service uint16

const (
	Mail  Service = 1 << iota // receive mail
	POP                       // sign in by POP
	IMAP                      // sign in by IMAP
	Relay                     // send mail to the outside

	AllServices = Mail | POP | IMAP | Relay
)

// serviceNames returns the names in the order in which they are written.
func serviceNames() []string { return []string{"mail", "pop", "imap", "relay"} }

// ParseServices reads a list as [Service.String] writes it: names separated by
// commas, in any case and order, or "all", or "none".
func ParseServices(s string) (Service, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "all":
		return AllServices, nil
	case "none", "":
		return 0, nil
	}
	var set Service
	for word := range strings.SplitSeq(s, ",") {
		one, ok := serviceByName(strings.ToLower(strings.TrimSpace(word)))
		if !ok {
			return 0, fmt.Errorf("service %q: %w: use %s, all or none", word, ErrBadValue, strings.Join(serviceNames(), ", "))
		}
		set |= one
	}
	return set, nil
}

func serviceByName(name string) (Service, bool) {
	for i, n := range serviceNames() {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// String returns "all", "none", or the names separated by commas.
func (s Service) String() string {
	switch s & AllServices {
	case AllServices:
		return "all"
	case 0:
		return "none"
	}
	var on []string
	for i, name := range serviceNames() {
		if s&(1<<i) != 0 {
			on = append(on, name)
		}
	}
	return strings.Join(on, ",")
}

// Services returns those that are on for an account of a domain: of its own, or
// what its domain or the server say where it leaves them to these, the ones that
// are on for the domain too.
func (n *Names) Services(acct Account, dom Domain) Service { return acct.services(dom, *n.server) }

// Services is [Names.Services].
func (d *Directory) Services(acct Account, dom Domain) Service { return acct.services(dom, d.server) }

func (a Account) services(dom Domain, server Policy) Service {
	of := dom.services(server)
	return a.Policy.Services.Or(of) & of
}

// services returns those that are on for a domain.
func (d Domain) services(server Policy) Service {
	return d.Policy.Services.Or(server.Services.Or(AllServices))
}

// Has reports whether all of want are on.
func (s Service) Has(want Service) bool { return s&want == want }
