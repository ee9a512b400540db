package router

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"tripost/accounts"
)

// rule is one way to treat an address. apply rewrites the walk's address, or
// decides, or does nothing because the rule is not for this address.
type rule struct {
	name  string
	apply func(w *walk, name string) error
}

// rules returns all rules in the order in which they are tried. See the package
// comment.
func rules() []rule {
	return []rule{
		{"Main Domain", cutMainDomain},
		{"nested address", openNested},
		{"table", tableRecords},
		{"domain alias", replaceDomainAlias},
		{"own host", ownHost},
		{".local", dotLocal},
		{".domain", dotDomain},
		{"._via", via},
		{"IP address", literalHost},
		{"blacklisted", blacklisted},
		{"own domain", ownDomain},
		{"default records", defaultRecords},
		{"other domain", otherDomain},
	}
}

// openNested makes the address in a local part without a domain the address.
func openNested(w *walk, name string) error {
	if w.addr.domain != "" {
		return nil
	}
	if inner, ok := nested(w.addr.local); ok {
		w.opened()
		w.rewrite(name, inner)
	}
	return nil
}

// opened is called for each address that was in another one. What a record
// allowed for the outer one does not hold for it, if it is from a stranger.
func (w *walk) opened() {
	if !w.simple {
		w.open = false
	}
}

// dotLocal takes name@ACCOUNT.local, ACCOUNT being in the Main Domain.
func dotLocal(w *walk, name string) error {
	account, ok := strings.CutSuffix(w.addr.domain, ".local")
	if !ok {
		return nil
	}
	return w.individual(name, "", account, w.addr.local)
}

// dotDomain takes name%ACCOUNT@sec.dom.domain, ACCOUNT being in domain sec.dom,
// and ACCOUNT@sec.dom.domain, for nobody in particular.
func dotDomain(w *walk, name string) error {
	domain, ok := strings.CutSuffix(w.addr.domain, ".domain")
	if !ok {
		return nil
	}
	individual, account := "", w.addr.local
	if i := strings.LastIndexByte(account, '%'); i >= 0 {
		individual, account = account[:i], account[i+1:]
	}
	return w.individual(name, domain, account, individual)
}

// individual decides for an account that several people share.
func (w *walk) individual(rule, domain, account, individual string) error {
	obj, err := w.names.Lookup(account, domain)
	if absent(err) {
		w.refuse(rule, 550, "5.1.1", "no such account")
		return nil
	}
	if err != nil {
		return err
	}
	w.deliver(rule, obj, Result{Individual: individual})
	return nil
}

// via takes x@host._via and x@host.port._via: x, which is often an address
// itself, is sent to exactly that host.
func via(w *walk, name string) error {
	target, ok := strings.CutSuffix(w.addr.domain, "._via")
	if !ok {
		return nil
	}
	host, port, ok := parseVia(target)
	if !ok {
		w.refuse(name, 553, "5.1.2", "not a valid host before ._via")
		return nil
	}
	w.direct(name, host, port)
	return nil
}

// parseVia reads "host", "host.port", or the same with an IPv4 address.
func parseVia(target string) (host string, port int, ok bool) {
	if _, err := netip.ParseAddr(target); err == nil || isHost(target) {
		return target, 0, true
	}
	i := strings.LastIndexByte(target, '.')
	if i < 0 {
		return "", 0, false
	}
	port, err := strconv.Atoi(target[i+1:])
	if err != nil || port < 1 || port > 65535 {
		return "", 0, false
	}
	host = target[:i]
	_, err = netip.ParseAddr(host)
	return host, port, err == nil || isHost(host)
}

// literalHost takes x@[192.0.2.1], when it is not one of our addresses.
func literalHost(w *walk, name string) error {
	if ip, ok := parseLiteral(w.addr.domain); ok {
		w.direct(name, ip.String(), 0)
	}
	return nil
}

// direct decides for one host, without asking for MX hosts. The host is cut off
// the address; a local part that is no address then gets it back, since RCPT TO
// needs a domain.
func (w *walk) direct(rule, host string, port int) {
	inner, ok := nested(w.addr.local)
	if ok {
		w.opened()
	} else {
		inner = address{local: w.addr.local, domain: host}
		if ip, err := netip.ParseAddr(host); err == nil {
			inner.domain = literal(ip)
		}
	}
	w.send(rule, host, port, inner)
}

// send decides for an address and the one host that it is sent to.
func (w *walk) send(rule, host string, port int, to address) {
	switch {
	case w.purpose == ForLogin:
		w.refuse(rule, 550, "5.1.1", "not an account here")
	case !isHost(to.domain) && !strings.HasPrefix(to.domain, "["):
		w.refuse(rule, 553, "5.1.2", "not a valid domain in the address")
	default:
		w.decide(rule, Result{Kind: Remote, Host: host, Port: port, Direct: true, Address: to.String(), Relay: !w.open})
	}
}

// ownDomain looks the local part up in a domain of ours.
func ownDomain(w *walk, name string) error {
	dom, err := w.domain()
	if absent(err) && w.addr.domain != "" {
		return nil
	}
	if absent(err) { // no domain at all yet
		w.refuse(name, 550, "5.1.1", "this host has no accounts")
		return nil
	}
	if err != nil {
		return err
	}
	return w.lookUp(name, dom)
}

// otherDomain takes what is left: it is reached through DNS.
func otherDomain(w *walk, name string) error {
	switch {
	case w.purpose == ForLogin:
		w.refuse(name, 550, "5.1.1", "not an account here")
	case !isHost(w.addr.domain):
		w.refuse(name, 553, "5.1.2", "not a valid domain in the address")
	default:
		w.decide(name, Result{Kind: Remote, Host: w.addr.domain, Address: w.addr.String(), Relay: !w.open})
	}
	return nil
}

// deliver decides for an account, which must be able to receive mail if it is
// mail that is routed.
func (w *walk) deliver(rule string, obj accounts.Object, res Result) {
	if w.purpose == ForMail && !obj.Services.Has(accounts.Mail) {
		w.refuse("mail service", 550, "5.2.1", fmt.Sprintf("%s does not receive mail", obj.Account.Address()))
		return
	}
	res.Kind, res.Account = Local, *obj.Account
	w.decide(rule, res)
}
