package resolve

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"
)

const (
	// maxAliases is how many CNAME are followed, in one answer or in several.
	maxAliases = 16
	// maxRecords is how many records of an answer are used.
	maxRecords = 100
	// payload is the size of an answer over UDP: RFC 9715 section 3.
	payload = 1232
)

// question is what is asked: a name in its canonical form, and a type.
type question struct {
	name string
	kind uint16
}

// answer is what came of a question.
type answer struct {
	records []dns.RR
	name    string // that has the records, behind all aliases
	aliases int    // followed
	secure  bool
	err     *net.DNSError // there are no records, or it is not known
	until   time.Time     // it may be kept
}

// NotFound tells that a name or its records do not exist.
func NotFound(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// lookup answers from memory or asks the servers.
func (r *Resolver) lookup(ctx context.Context, name string, kind uint16) (*answer, error) {
	canonical, ok := canonicalName(name)
	if !ok {
		return nil, &net.DNSError{Err: "not a domain name", Name: name, IsNotFound: true}
	}
	q := question{canonical, kind}
	a := r.recall(q)
	if a == nil {
		a = r.ask(ctx, q)
		if ctx.Err() == nil { // else the asker gave up, which says nothing about the name
			r.keep(q, a)
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	return a, nil
}

// canonicalName brings a name into the one form in which it is asked for: RFC
// 5891 section 4.4 for what is not ASCII.
func canonicalName(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".")
	for i := range len(name) {
		if name[i] >= 0x80 {
			var err error
			if name, err = idna.Lookup.ToASCII(name); err != nil {
				return "", false
			}
			break
		}
	}
	if name == "" || strings.ContainsAny(name, "\\ \x00\t\r\n\"") {
		return "", false
	}
	if _, ok := dns.IsDomainName(name); !ok || len(name) > 253 {
		return "", false
	}
	return dns.CanonicalName(name), true
}

// ask puts a question, and further ones where an answer ends with an alias.
func (r *Resolver) ask(ctx context.Context, q question) *answer {
	a := &answer{name: q.name, secure: true, until: r.o.Now().Add(maxKept)}
	for a.aliases <= maxAliases {
		m, err := r.exchange(ctx, question{a.name, q.kind})
		if err != nil {
			return r.failure(q, err)
		}
		a.secure = a.secure && r.o.Validates && m.AuthenticatedData
		before := a.name
		a.take(m, q.kind, r.o.Now())
		switch {
		case len(a.records) > 0:
			return a
		case m.Rcode == dns.RcodeNameError, a.name == before:
			return r.nothing(q, a, m)
		}
	}
	return r.failure(q, errors.New("too many aliases"))
}

// take follows the aliases in a message and picks the records at their end.
func (a *answer) take(m *dns.Msg, kind uint16, now time.Time) {
	for a.aliases <= maxAliases {
		next := ""
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || dns.CanonicalName(h.Name) != a.name {
				continue
			}
			alias, isAlias := rr.(*dns.CNAME)
			if h.Rrtype == kind && len(a.records) < maxRecords {
				a.records = append(a.records, rr)
			} else if isAlias && next == "" {
				next = dns.CanonicalName(alias.Target)
			} else {
				continue
			}
			a.until = earlier(a.until, now.Add(time.Duration(h.Ttl)*time.Second))
		}
		if len(a.records) > 0 || next == "" {
			return
		}
		a.name = next
		a.aliases++
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// nothing is the answer that there are no such records. It is kept as long as
// the zone says: RFC 2308 section 5.
func (r *Resolver) nothing(q question, a *answer, m *dns.Msg) *answer {
	a.err = &net.DNSError{Err: "no such host", Name: strings.TrimSuffix(q.name, "."), IsNotFound: true}
	kept := time.Duration(0)
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			kept = min(time.Duration(min(soa.Minttl, soa.Hdr.Ttl))*time.Second, maxDenied)
		}
	}
	a.until = earlier(a.until, r.o.Now().Add(kept))
	return a
}

// failure is the answer that it cannot be told now. It is kept for a moment
// (RFC 9520 section 3.2), so that many messages for one domain ask once.
func (r *Resolver) failure(q question, err error) *answer {
	var timeout net.Error
	return &answer{
		err: &net.DNSError{Err: err.Error(), Name: strings.TrimSuffix(q.name, "."), IsTemporary: true,
			IsTimeout: errors.As(err, &timeout) && timeout.Timeout()},
		until: r.o.Now().Add(failureKept),
	}
}

// exchange asks the servers in turn until one gives a usable reply.
func (r *Resolver) exchange(ctx context.Context, q question) (m *dns.Msg, err error) {
	for range r.o.Rounds {
		for _, server := range r.o.Servers {
			if m, err = r.query(ctx, q, server); err == nil {
				return m, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	return nil, err
}

// query asks one server: by UDP, and by TCP when the answer is longer.
func (r *Resolver) query(ctx context.Context, q question, server string) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.kind)
	m.AuthenticatedData = r.o.Validates // RFC 6840 section 5.7
	m.SetEdns0(payload, r.o.Validates)
	reply, err := r.send(ctx, m, server, "udp")
	if err == nil && reply.Rcode == dns.RcodeFormatError {
		m.Extra = nil // a server that does not know EDNS
		reply, err = r.send(ctx, m, server, "udp")
	}
	if err == nil && reply.Truncated {
		reply, err = r.send(ctx, m, server, "tcp")
	}
	if err != nil {
		return nil, err
	}
	switch {
	case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
		return nil, errors.New("the server said " + dns.RcodeToString[reply.Rcode])
	case reply.Truncated:
		return nil, errors.New("the answer is cut")
	}
	return reply, nil
}

func (r *Resolver) send(ctx context.Context, m *dns.Msg, server, network string) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	c := dns.Client{Net: network, UDPSize: payload, Timeout: r.o.Timeout}
	conn, err := c.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // who does not want to know any more does not wait
	defer stop()
	reply, _, err := c.ExchangeWithConnContext(ctx, m, conn)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if !reply.Response || len(reply.Question) != 1 || reply.Question[0].Qtype != m.Question[0].Qtype ||
		!strings.EqualFold(reply.Question[0].Name, m.Question[0].Name) {
		return nil, errors.New("the server answered another question")
	}
	return reply, nil
}
