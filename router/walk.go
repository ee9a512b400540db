package router

import (
	"net/netip"
	"strings"

	"tripost/accounts"
)

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
func (r *Router) walk(n *accounts.Names, t *table, q question) (Result, error) {
	w := walk{router: r, names: n, table: t, question: q}
	err := w.run()
	return w.result, err
}

// walk is one address on its way through the rules.
type walk struct {
	router   *Router
	names    *accounts.Names
	table    *table
	question // addr is what the address has become

	start  address // what it was, a bare login name with its domain
	shown  string  // instead of addr, where it could not be parsed
	open   bool    // a record lets strangers send it to another host
	caught bool    // a domain's policy for unknown names has given it its address
	result Result  // decided once its Kind is set

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
	if err := w.placeBareName(w.local); err != nil {
		return err
	}
	w.start = w.addr
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
