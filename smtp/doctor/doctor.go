package doctor

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"tripost/smtp/dkim"
	"tripost/smtp/mailauth"
	"tripost/smtp/mtasts"
	"tripost/smtp/resolve"
)

// State says how serious a finding is.
type State string

// The states.
const (
	OK     State = "ok"
	Advice State = "advice" // it works, and could be better
	Wrong  State = "wrong"
)

// Finding is what was found out about one topic.
type Finding struct {
	Domain  string
	Topic   string // MX, address, PTR, SPF, DKIM, DMARC, MTA-STS, SMTP, TLS or DANE
	State   State
	Text    string   // in a sentence
	Publish []string // lines of a zone file that the DNS should have
}

// Policies finds the MTA-STS policy of a domain. [mtasts.Client] does.
type Policies interface {
	Policy(ctx context.Context, domain string) (mtasts.Policy, bool)
}

// Keys lists the keys of a domain. [dkim.Keys] does.
type Keys interface {
	List(ctx context.Context, domain string) ([]*dkim.Key, error)
}

// TLSA answers what DANE is about, and whether DNSSEC vouches for it.
// [resolve.Resolver] does.
type TLSA interface {
	MX(ctx context.Context, name string) (list []*net.MX, secure bool, err error)
	Host(ctx context.Context, name string) (resolve.Host, error)
	TLSA(ctx context.Context, port uint16, host string) (list []resolve.TLSA, secure bool, err error)
}

// Doctor looks at domains. Zero values take the defaults.
type Doctor struct {
	Hostname string // of this server
	DNS      mailauth.DNS
	Keys     Keys
	Policies Policies       // nil: MTA-STS is not looked at
	TLSA     TLSA           // nil: DANE is not looked at
	Port     int            // of mail exchangers; default 25
	RootCAs  *x509.CertPool // default: the system's
	Time     time.Duration  // for one domain; default 1 minute
	Now      func() time.Time
}

// examination is what is known so far about one domain.
type examination struct {
	*Doctor
	ctx    context.Context
	domain string // of ours, whose keys count
	name   string // the domain or an alias of it
	found  []Finding
	hosts  []string // that its MX names
	addrs  []netip.Addr
	strict bool // other hosts were told to insist on TLS
}

// Examine looks at a domain of ours under a name: its own, or an alias of it.
func (d *Doctor) Examine(ctx context.Context, domain, name string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(d.Time, time.Minute))
	defer cancel()
	e := &examination{Doctor: d, ctx: ctx, domain: domain, name: name}
	for _, look := range []func(){e.mx, e.address, e.reverse, e.spf, e.dkim, e.dmarc, e.mtaSTS, e.reach} {
		look()
	}
	return e.found
}

func (e *examination) add(s State, topic, text string, publish ...string) {
	e.found = append(e.found, Finding{Domain: e.name, Topic: topic, State: s, Text: text, Publish: publish})
}

func (d *Doctor) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

func absolute(name string) string { return strings.TrimSuffix(name, ".") + "." }

func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// absent tells that the DNS has no such thing, rather than that it did not say.
func absent(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// mx looks where mail for the domain leads.
func (e *examination) mx() {
	publish := fmt.Sprintf("%s. IN MX 10 %s.", e.name, e.Hostname)
	list, err := e.DNS.LookupMX(e.ctx, absolute(e.name))
	switch {
	case err != nil && !absent(err):
		e.add(Wrong, "MX", "the DNS does not answer: "+err.Error())
		return
	case len(list) == 0:
		e.add(Wrong, "MX", "there is no MX record: mail does not find its way here", publish)
		return
	case len(list) == 1 && plain(list[0].Host) == "":
		e.add(Wrong, "MX", "the domain says that it takes no mail (null MX)", publish)
		return
	}
	ours := false
	for _, mx := range list {
		e.hosts = append(e.hosts, plain(mx.Host))
		ours = ours || plain(mx.Host) == plain(e.Hostname)
	}
	if !ours {
		e.add(Advice, "MX", "mail goes to "+strings.Join(e.hosts, ", ")+", and this server is called "+e.Hostname, publish)
		return
	}
	e.add(OK, "MX", strings.Join(e.hosts, ", "))
}

// address looks for the addresses of this server and of the other exchangers.
func (e *examination) address() {
	for _, host := range append([]string{plain(e.Hostname)}, e.hosts...) {
		if host == plain(e.Hostname) && e.addrs != nil {
			continue
		}
		addrs, err := e.DNS.LookupNetIP(e.ctx, "ip", absolute(host))
		switch {
		case err != nil && !absent(err):
			e.add(Wrong, "address", host+": the DNS does not answer: "+err.Error())
		case len(addrs) == 0:
			e.add(Wrong, "address", host+" has no address", host+". IN A ...")
		default:
			e.add(OK, "address", fmt.Sprintf("%s: %s", host, join(addrs)))
		}
		if host == plain(e.Hostname) {
			e.addrs = append([]netip.Addr{}, addrs...)
		}
	}
}

func join(addrs []netip.Addr) string {
	var all []string
	for _, a := range addrs {
		all = append(all, a.Unmap().String())
	}
	return strings.Join(all, ", ")
}

// reverse looks whether the addresses of this server have its name.
func (e *examination) reverse() {
	checker := mailauth.Checker{DNS: e.DNS}
	for _, a := range e.addrs {
		a = a.Unmap()
		switch n := checker.Reverse(e.ctx, a); {
		case n.Result == mailauth.Pass && n.Host == plain(e.Hostname):
			e.add(OK, "PTR", a.String()+" is "+n.Host)
		case n.Result == mailauth.Pass:
			e.add(Advice, "PTR", fmt.Sprintf("%s is %s, not %s", a, n.Host, e.Hostname), "PTR of "+a.String()+": "+e.Hostname+".")
		default:
			e.add(Wrong, "PTR", a.String()+" has no name that leads back to it: many hosts refuse its mail", "PTR of "+a.String()+": "+e.Hostname+".")
		}
	}
}

// spf looks whether this server may send in the domain's name.
func (e *examination) spf() {
	publish := e.name + `. IN TXT "v=spf1 mx -all"`
	checker := mailauth.Checker{DNS: e.DNS}
	if len(e.addrs) == 0 {
		e.add(Wrong, "SPF", "it cannot be told without an address of "+e.Hostname)
		return
	}
	for _, a := range e.addrs {
		a = a.Unmap()
		s := checker.SPF(e.ctx, mailauth.Client{Remote: a, Helo: e.Hostname, From: "postmaster@" + e.name})
		switch s.Result {
		case mailauth.Pass:
			e.add(OK, "SPF", a.String()+" may send: "+s.Reason)
		case mailauth.None:
			e.add(Wrong, "SPF", "there is no SPF record: other hosts cannot tell forged mail", publish)
			return
		default:
			e.add(Wrong, "SPF", fmt.Sprintf("for %s it says %s: %s", a, s.Result, s.Reason), publish)
		}
	}
}

// dkim looks whether the records of the domain's keys are published.
func (e *examination) dkim() {
	keys, err := e.Keys.List(e.ctx, e.domain)
	if err != nil {
		e.add(Wrong, "DKIM", err.Error())
		return
	}
	signing := false
	for _, k := range keys {
		state := k.State(e.now())
		if state == dkim.Over {
			continue
		}
		signing = signing || state == dkim.Signing
		e.key(k, state)
	}
	if !signing {
		e.add(Wrong, "DKIM", "nothing is signed: make keys with \"tripost domain dkim "+e.domain+" add\"")
	}
}

func (e *examination) key(k *dkim.Key, state dkim.State) {
	txt, err := e.DNS.LookupTXT(e.ctx, absolute(k.Name(e.name)))
	about := k.Selector + " (" + string(k.Algorithm) + ", " + string(state) + ")"
	switch {
	case err == nil && len(txt) == 1 && squeeze(txt[0]) == squeeze(k.Record()):
		e.add(OK, "DKIM", about+" is published")
	case err != nil && !absent(err):
		e.add(Wrong, "DKIM", about+": the DNS does not answer: "+err.Error())
	case err == nil && len(txt) > 0:
		e.add(Wrong, "DKIM", about+": the record is another one", k.Zone(e.name))
	case state == dkim.Signing:
		e.add(Wrong, "DKIM", about+" is not published: its signatures are worth nothing", k.Zone(e.name))
	default:
		e.add(Advice, "DKIM", about+" is not published", k.Zone(e.name))
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

// dmarc looks what other hosts are told to do with forged mail.
func (e *examination) dmarc() {
	checker := mailauth.Checker{DNS: e.DNS}
	policy, err := checker.Policy(e.ctx, e.name)
	publish := fmt.Sprintf(`_dmarc.%s. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@%s"`, e.name, e.name)
	switch {
	case errors.Is(err, mailauth.ErrNoPolicy):
		e.add(Wrong, "DMARC", "there is no policy, or more than one", publish)
	case errors.As(err, new(*net.DNSError)):
		e.add(Wrong, "DMARC", "the DNS does not answer: "+err.Error())
	case err != nil:
		e.add(Wrong, "DMARC", "the policy cannot be read: "+err.Error(), publish)
	case policy == mailauth.Nothing:
		e.add(Advice, "DMARC", "the policy is none: forged mail is delivered; when SPF and DKIM are right, make it quarantine or reject")
	default:
		e.add(OK, "DMARC", "the policy is "+policy.String())
	}
}
