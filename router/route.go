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

	// Of Remote.
	Host    string // the domain whose MX hosts are asked; with Direct the host itself, a name or an IP address
	Port    int    // 0 is the usual one
	Direct  bool   // no MX lookup
	Address string // for RCPT TO: a valid mailbox of RFC 5321 section 4.1.2 (RFC 6531 if not ASCII); of Refused: what it came down to

	// Of List.
	Addresses []string

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
		w := walk{router: r, explain: explain, shown: cmp.Or(printable(addr), "<>")}
		w.refuse("syntax", 501, "5.1.3", syntax.Error())
		return w.result, nil
	}
	q := question{addr: parsed, purpose: p, explain: explain, simple: isSimple(addr, parsed), local: local}
	var res Result
	t, err := r.inForce(ctx)
	if err == nil {
		err = r.directory.View(ctx, func(n *accounts.Names) (err error) {
			res, err = r.walk(n, t, &q)
			return err
		})
	}
	if err != nil {
		return Result{}, fmt.Errorf("routing %q: %w", printable(addr), err)
	}
	if !explain {
		if q.addr != parsed {
			addr = q.addr.String()
		}
		r.recent.note(addr, p, &res)
	}
	return res, nil
}

// question is an address and what is to be known of it.
type question struct {
	addr    address
	purpose Purpose
	explain bool
	simple  bool       // it was given without another address in it
	local   netip.Addr // that the client connected to, if known
}

// ask makes a question of an address as a client writes it.
func ask(addr string, p Purpose) (question, bool) {
	parsed, err := parseAddress(addr)
	return question{addr: parsed, purpose: p, simple: isSimple(addr, parsed)}, err == nil
}

// isSimple tells addresses that hold no other address: strangers hide in those
// where they want to send to.
func isSimple(written string, a address) bool {
	return !strings.ContainsAny(a.local, "%!@") && !strings.HasPrefix(strings.TrimPrefix(written, "<"), "@")
}

// walk finds where an address leads by one table and one state of the directory.
// A bare login name gets its domain in q.
func (r *Router) walk(n *accounts.Names, t *table, q *question) (Result, error) {
	w := walk{router: r, names: n, table: t, purpose: q.purpose, explain: q.explain, simple: q.simple, addr: q.addr}
	err := w.placeBareName(q.local)
	if q.addr = w.addr; err == nil {
		err = w.run()
	}
	return w.result, err
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

// walk is one address on its way through the rules.
type walk struct {
	router  *Router
	names   *accounts.Names
	table   *table
	purpose Purpose
	explain bool

	addr   address
	shown  string // instead of addr, where it could not be parsed
	simple bool   // it was given without another address in it
	open   bool   // a record lets strangers send it to another host
	result Result // decided once its Kind is set

	last domainAnswer // of domain
}

// domainAnswer is what the directory said about a domain.
type domainAnswer struct {
	asked  bool
	name   string
	domain accounts.Domain
	err    error
}

// domain finds the address's domain in the directory. Several rules ask for the
// same, so the answer is kept for as long as the domain stays.
func (w *walk) domain() (accounts.Domain, error) {
	if !w.last.asked || w.last.name != w.addr.domain {
		dom, err := w.names.Domain(w.addr.domain)
		w.last = domainAnswer{asked: true, name: w.addr.domain, domain: dom, err: err}
	}
	return w.last.domain, w.last.err
}

// placeBareName gives a login name without a domain the domain of the address
// that the client connected to. It is done once, before the rules, which cut
// off the Main Domain's name where the user did type it.
func (w *walk) placeBareName(local netip.Addr) error {
	if w.purpose != ForLogin || w.addr.domain != "" || !local.IsValid() {
		return nil
	}
	if _, ok := nested(w.addr.local); ok {
		return nil
	}
	dom, err := w.names.DomainAt(local)
	switch {
	case absent(err):
		return nil
	case err == nil && !dom.Main:
		w.rewrite("local address", address{local: w.addr.local, domain: dom.Name})
	}
	return err
}

// loopRule decides for addresses that lead in a circle.
const loopRule = "routing loop"

// run applies the rules until one has decided.
func (w *walk) run() error {
	for changes := 0; ; {
		changed, err := w.apply()
		if err != nil || w.result.Kind != 0 {
			return err
		}
		if changed {
			changes++
		}
		if changes >= w.router.options.MaxSteps || !changed {
			w.refuse(loopRule, 554, "5.4.6", "the address leads in a circle")
			return nil
		}
	}
}

// apply tries the rules in turn, up to the first that does something.
func (w *walk) apply() (changed bool, err error) {
	for _, rule := range w.router.rules {
		before := w.addr
		if err := rule.apply(w, rule.name); err != nil {
			return false, err
		}
		if w.result.Kind != 0 || w.addr != before {
			return true, nil
		}
	}
	return false, nil
}

// rewrite makes addr the address for the next round.
func (w *walk) rewrite(rule string, addr address) {
	w.step(rule, func() string { return addr.String() })
	w.addr = addr
}

// decide ends the walk.
func (w *walk) decide(rule string, res Result) {
	res.Rule = rule
	w.result.Kind = res.Kind // before step, which describes it
	w.step(rule, func() string { return res.describe() })
	res.Steps = w.result.Steps
	w.result = res
}

// refuse ends the walk with a reply. The address stays in the result, for
// [Router.RouteLogin].
func (w *walk) refuse(rule string, code int, enhanced, reason string) {
	addr := ""
	if w.shown == "" {
		addr = strings.ToLower(w.addr.String())
	}
	w.decide(rule, Result{Kind: Refused, Code: code, Enhanced: enhanced, Reason: reason, Temporary: code < 500, Address: addr})
}

func (w *walk) step(rule string, result func() string) {
	if !w.explain {
		return
	}
	before := w.shown
	if before == "" {
		before = w.addr.String()
	}
	w.result.Steps = append(w.result.Steps, Step{Address: before, Rule: rule, Result: result()})
}

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
		return "each of " + strings.Join(r.Addresses, ", ")
	case Discard:
		return "accept and throw away"
	default:
		return fmt.Sprintf("refuse: %d %s %s", r.Code, r.Enhanced, r.Reason)
	}
}

// absent reports whether err says that a name or domain is not there, and
// leaves a failure of the store to the caller.
func absent(err error) bool {
	return errors.Is(err, accounts.ErrNoAccount) || errors.Is(err, accounts.ErrNoDomain)
}
