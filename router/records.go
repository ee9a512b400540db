package router

import (
	"strings"
)

// tableRecords applies the first record of the table that is for the address.
func tableRecords(w *walk, _ string) error {
	return w.useRecord(&w.table.stages(w.purpose).first)
}

// defaultRecords does the same with the default records.
func defaultRecords(w *walk, _ string) error {
	return w.useRecord(&w.table.stages(w.purpose).fallback)
}

// useRecord applies the first record of f that is for the address. A record that
// leaves the address as it is keeps the later ones from it.
func (w *walk) useRecord(f *finder) error {
	main, err := w.names.Main()
	if err != nil {
		return err
	}
	hit, ok := f.find(w.addr, main)
	if !ok {
		return nil
	}
	r := &w.table.records[hit.index]
	w.open = w.open || r.opens(w.simple)
	switch r.right.act {
	case failAs:
		w.refuse(r.name, 550, "5.1.1", "no such recipient")
	case discardAs:
		w.discard(r.name)
	case trapAs:
		w.trap(r.name)
	case sendTo:
		w.sendBy(r, hit.captured)
	default:
		w.rewriteBy(r, hit.captured)
	}
	return nil
}

func (w *walk) discard(rule string) {
	if w.purpose == ForLogin {
		w.refuse(rule, 550, "5.1.1", "not an account here")
		return
	}
	w.decide(rule, Result{Kind: Discard})
}

func (w *walk) trap(rule string) {
	if w.purpose == ForLogin {
		w.refuse(rule, 550, "5.1.1", "not an account here")
		return
	}
	w.refuse(rule, 550, "5.7.1", "the message is refused")
	w.result.Trap = true
}

// rewriteBy makes the right side of a record the address.
func (w *walk) rewriteBy(r *record, captured string) {
	next := address{local: w.addr.local}
	if r.left.account {
		next.local = fill(r.right.local, captured)
	}
	var err error
	if next.domain, err = fillDomain(r.right.domain, captured); err != nil || !isLocal(next.local) {
		w.nowhere(r)
		return
	}
	w.rewrite(r.name, next)
}

// sendBy sends the address to the host that a record names. An IP address of
// this host is no such host: it stands for the Main Domain.
func (w *walk) sendBy(r *record, captured string) {
	domain, err := fillDomain(r.right.domain, captured)
	if err != nil {
		w.nowhere(r)
		return
	}
	host, port, ok := "", 0, false
	if ip, isIP := parseLiteral(domain); isIP {
		if w.router.options.LocalAddress(ip.Unmap()) {
			w.rewriteBy(r, captured)
			return
		}
		host, ok = ip.String(), true
	} else {
		host, port, ok = parseVia(strings.TrimSuffix(domain, "._via"))
	}
	inner := w.addr
	if r.right.inner.local != "" {
		inner.local = fill(r.right.inner.local, captured)
		inner.domain, err = fillDomain(r.right.inner.domain, captured)
	}
	if err != nil || !ok || !isLocal(inner.local) {
		w.nowhere(r)
		return
	}
	w.send(r.name, host, port, inner)
}

// nowhere refuses what a record with an asterisk has made no address of.
func (w *walk) nowhere(r *record) {
	w.refuse(r.name, 550, "5.1.3", "the address leads nowhere")
}

// fill puts what the asterisk on the left stood for in the place of the one in s.
func fill(s, captured string) string { return strings.Replace(s, "*", captured, 1) }

// fillDomain is fill for a domain, which stays one.
func fillDomain(s, captured string) (string, error) {
	if !strings.Contains(s, "*") {
		return s, nil
	}
	return parseDomain(fill(s, captured))
}

// isLocal tells local parts that can be written.
func isLocal(s string) bool { return s != "" && len(s) <= maxLocal }

// cutMainDomain removes the Main Domain's name.
func cutMainDomain(w *walk, name string) error {
	if w.addr.domain == "" {
		return nil
	}
	main, err := w.names.Main()
	if err == nil && w.addr.domain == main {
		w.rewrite(name, address{local: w.addr.local})
	}
	return err
}

// ownHost removes names and addresses of this host. They stand for the Main
// Domain, unless a domain of ours has the same name.
func ownHost(w *walk, _ string) error {
	domain := w.addr.domain
	if ip, ok := parseLiteral(domain); ok {
		if w.router.options.LocalAddress(ip.Unmap()) {
			w.rewrite("own IP address", address{local: w.addr.local})
		}
		return nil
	}
	if domain == "" || domain != w.router.options.Hostname && domain != "localhost" {
		return nil
	}
	_, err := w.domain()
	if !absent(err) {
		return err
	}
	w.rewrite("own host name", address{local: w.addr.local})
	return nil
}

// replaceDomainAlias puts the name of a domain of ours in the place of another
// name of it.
func replaceDomainAlias(w *walk, name string) error {
	if w.addr.domain == "" || w.addr.domain[0] == '[' {
		return nil
	}
	dom, err := w.domain()
	switch {
	case absent(err):
		return nil
	case err != nil || dom.Name == w.addr.domain:
		return err
	case dom.Main:
		w.rewrite(name, address{local: w.addr.local})
	default:
		w.rewrite(name, address{local: w.addr.local, domain: dom.Name})
	}
	return nil
}

// blacklistedDomain stands for the recipients of hosts whose mail is not wanted.
const blacklistedDomain = "blacklisted"

// blacklisted refuses what no record has let through to somebody who can help.
func blacklisted(w *walk, name string) error {
	if w.addr.domain == blacklistedDomain {
		w.refuse(name, 550, "5.7.1", "mail from this host is not taken")
	}
	return nil
}
