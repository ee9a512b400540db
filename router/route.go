package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"tripost/accounts"
	"tripost/store"
	"tripost/syslog"
)

// Purpose is what an address is routed for.
type Purpose uint8

const (
	ForMail  Purpose = iota // a recipient
	ForLogin                // the account part of a login name
)

// Kind is where an address leads.
type Kind uint8

const (
	Local   Kind = iota + 1 // Account, with Mailbox, Individual and Detail
	Remote                  // Host, Port, Direct and Address
	List                    // Addresses: route each
	Discard                 // accepted and thrown away
	Refused                 // Code, Enhanced, Reason, Temporary
)

// Result says where an address leads and why.
type Result struct {
	Kind Kind

	// Of Local.
	Account    accounts.Account
	Mailbox    string // "" is INBOX; always one of the account's own, which may not exist
	Individual string // for whom of those who share the account, as written
	Detail     string // "news" of jsmith+news@company.test
	Role       bool   // the account reads it for postmaster or abuse, as nobody has that name

	// Of Remote.
	Host    string // the domain whose MX hosts are asked; with Direct the host itself, a name or an IP address
	Port    int    // 0 is the usual one
	Direct  bool   // no MX lookup
	Address string // for RCPT TO: a valid mailbox of RFC 5321 section 4.1.2 (RFC 6531 if not ASCII); of Refused: what it came down to

	// Of List.
	Addresses []string
	List      accounts.Group   // the group, or all@ the domain, which has no Members
	Senders   accounts.Senders // who may send to it; 0: anyone

	// Of Refused: an SMTP reply code, an enhanced status code (RFC 3463), and a
	// sentence for the client.
	Code      int
	Enhanced  string
	Reason    string
	Temporary bool // it may work later
	Trap      bool // the address is bait: the message is to be refused for all recipients

	Rule  string // the rule or the record of the table that decided
	Relay bool   // it leads outside, and no record opens it to strangers
	Steps []Step // each rule that did something, if asked for
}

// Step is one thing that was done to an address.
type Step struct {
	Address string // before
	Rule    string
	Result  string // the address after it, or where it leads, in words
}

// Options are the settings of a [Router].
type Options struct {
	DirectMailbox bool                  // mailbox#account@domain is a mailbox of the account
	Subaddress    string                // between account and detail, "+"; "" for none
	Hostname      string                // of this host: a name of the Main Domain
	MaxSteps      int                   // changes to one address; default 20
	LocalAddress  func(netip.Addr) bool // tells the IP addresses of this host; nil: none
	Now           func() time.Time      // default time.Now
	Log           *syslog.Logger        // hears of changes of the table; may be nil
}

// Router resolves addresses and login names. What changed in the directory or
// in the table counts at once. It may be shared by goroutines.
type Router struct {
	directory *accounts.Directory
	options   Options
	rules     []rule
	cache     cache
	recent    recent
}

// New returns a router for the accounts in d, with the table that is kept in the
// same store. It watches the store for as long as that is open.
func New(d *accounts.Directory, o Options) *Router {
	if o.MaxSteps <= 0 {
		o.MaxSteps = 20
	}
	if o.LocalAddress == nil {
		o.LocalAddress = func(netip.Addr) bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Hostname = strings.ToLower(strings.TrimSuffix(o.Hostname, "."))
	r := &Router{directory: d, options: o, rules: rules()}
	r.store().Watch(store.SpaceRouter, []byte{keyTable}, func() { r.cache.changes.Add(1) })
	return r
}

// Route resolves an address, written as in SMTP, with or without angle brackets
// and domain. With explain, Steps tells how. An address that leads nowhere is a
// Result like any other; an error means that the directory could not be read,
// and that the same may work later.
func (r *Router) Route(ctx context.Context, addr string, p Purpose, explain bool) (Result, error) {
	return r.route(ctx, addr, p, explain, netip.Addr{})
}

// route is Route for a client that connected to local, if that is known.
func (r *Router) route(ctx context.Context, addr string, p Purpose, explain bool, local netip.Addr) (Result, error) {
	parsed, syntax := parseAddress(addr)
	if syntax != nil {
		w := walk{router: r, question: question{explain: explain}, shown: cmp.Or(printable(addr), "<>")}
		w.refuse("syntax", 501, "5.1.3", syntax.Error())
		return w.result, nil
	}
	w := walk{router: r, question: question{
		addr: parsed, purpose: p, explain: explain, simple: isSimple(addr, parsed), local: local,
	}}
	var err error
	if w.table, err = r.inForce(ctx); err == nil {
		err = r.directory.View(ctx, func(n *accounts.Names) error {
			w.names = n
			return w.run()
		})
	}
	if err != nil {
		return Result{}, fmt.Errorf("routing %q: %w", printable(addr), err)
	}
	if !explain {
		if w.start != parsed {
			addr = w.start.String()
		}
		r.recent.note(addr, p, &w.result)
	}
	return w.result, nil
}

var _ accounts.LoginRouter = (*Router)(nil)

// RouteLogin implements [accounts.LoginRouter]: it finds the account that the
// account part of a login name leads to. A name without a domain belongs to the
// domain that local, the address that the client connected to, is assigned to,
// else to the Main Domain.
func (r *Router) RouteLogin(ctx context.Context, name string, local netip.Addr) (accounts.LoginRoute, error) {
	res, err := r.route(ctx, name, ForLogin, false, local)
	if err != nil {
		return accounts.LoginRoute{}, err
	}
	if res.Kind != Local {
		return accounts.LoginRoute{Name: res.Address}, fmt.Errorf("login name %q: %w", printable(name), accounts.ErrNoAccount)
	}
	return accounts.LoginRoute{Account: res.Account, Individual: res.Individual, Name: res.Account.Address()}, nil
}

// String says in words where the result leads.
func (r Result) String() string { return r.describe() }

// describe says in words where the result leads.
func (r Result) describe() string {
	switch r.Kind {
	case Local:
		s := "account " + r.Account.Address()
		if r.Mailbox != "" {
			s += ", mailbox " + r.Mailbox
		}
		if r.Individual != "" {
			s += ", for " + r.Individual
		}
		if r.Detail != "" {
			s += ", detail " + r.Detail
		}
		return s
	case Remote:
		s := "send " + r.Address + " to the MX hosts of " + r.Host
		if r.Direct {
			s = "send " + r.Address + " to host " + r.Host
		}
		if r.Port != 0 {
			s += fmt.Sprintf(", port %d", r.Port)
		}
		return s
	case List:
		return "each of " + r.Members()
	case Discard:
		return "accept and throw away"
	default:
		return fmt.Sprintf("refuse: %d %s %s", r.Code, r.Enhanced, r.Reason)
	}
}

// Members says in words to whom a List leads, and what its group changes for them.
func (r Result) Members() string {
	s := strings.Join(r.Addresses, ", ")
	if r.List.ReplyTo {
		s += "; answers go to " + r.List.Address()
	}
	if r.List.Owner != "" {
		s += "; reports about them go to " + r.List.Owner
	}
	return s
}

// absent reports whether err says that a name or domain is not there, and
// leaves a failure of the store to the caller.
func absent(err error) bool {
	return errors.Is(err, accounts.ErrNoAccount) || errors.Is(err, accounts.ErrNoDomain)
}
