package mailauth

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"
)

// Disposition is what the domain in From wants done with a message that fails.
type Disposition uint8

const (
	Nothing    Disposition = iota // p=none, or no policy
	Quarantine                    // p=quarantine: to be held suspicious
	Reject                        // p=reject
)

// String returns the word of the policy record.
func (d Disposition) String() string {
	return [...]string{"none", "quarantine", "reject"}[d]
}

// DMARC tells whether the domain in From answers for the message.
type DMARC struct {
	Result Result
	Domain string      // in From; of several the one that decided
	Policy Disposition // what its record asks for
	Wanted Disposition // what is wanted of this message: Policy when it failed, for the share of failures that the record names
	Reason string      // for people
}

// dmarc evaluates all domains in From; the one that wants most done decides.
//
// RFC 7489 section 6.6.
func (c *Checker) dmarc(ctx context.Context, h *header, r *Report) DMARC {
	domains, err := h.authors()
	worst := DMARC{Result: PermError}
	for i, domain := range domains {
		d := c.dmarcOf(ctx, domain, r)
		if i == 0 || d.Wanted > worst.Wanted || d.Wanted == worst.Wanted && worst.Result == Pass {
			worst = d
		}
	}
	if err != nil {
		if worst.Wanted == Nothing {
			worst.Result = PermError
		}
		worst.Reason = err.Error()
	}
	return worst
}

func (c *Checker) dmarcOf(ctx context.Context, domain string, r *Report) DMARC {
	d := DMARC{Result: None, Domain: domain}
	record, sub, err := c.policy(ctx, domain)
	switch {
	case errors.Is(err, dmarc.ErrNoPolicy):
		return d
	case err != nil && isTemporary(err):
		d.Result, d.Reason = TempError, err.Error()
		return d
	case err != nil:
		d.Result, d.Reason = PermError, strings.TrimPrefix(err.Error(), "dmarc: ")
		return d
	}
	d.Policy = disposition(record, sub)
	if aligned(record, domain, r) {
		d.Result = Pass
		return d
	}
	if unsure(record, domain, r) {
		d.Result, d.Reason = TempError, "the DNS gave no answer"
		return d
	}
	d.Result, d.Wanted = Fail, d.Policy
	if record.Percent != nil && c.percent() >= *record.Percent && d.Wanted > Nothing {
		d.Wanted-- // RFC 7489 section 6.6.4
	}
	return d
}

// policy finds the record of a domain, or of the organisation that it belongs to;
// sub says that it is the latter.
//
// RFC 7489 section 6.6.3.
func (c *Checker) policy(ctx context.Context, domain string) (record *dmarc.Record, sub bool, err error) {
	record, err = c.record(ctx, domain)
	if org := organisation(domain); errors.Is(err, dmarc.ErrNoPolicy) && org != domain {
		record, err = c.record(ctx, org)
		return record, true, err
	}
	return record, false, err
}

func (c *Checker) record(ctx context.Context, domain string) (*dmarc.Record, error) {
	txt, err := resolver{c.DNS}.LookupTXT(ctx, "_dmarc."+domain)
	if notFound(err) {
		return nil, dmarc.ErrNoPolicy
	}
	if err != nil {
		return nil, err
	}
	record := ""
	for _, s := range txt {
		version, _, _ := strings.Cut(s, ";")
		if strings.Join(strings.Fields(version), "") != "v=DMARC1" {
			continue
		}
		if record != "" {
			return nil, dmarc.ErrNoPolicy // of two, neither counts
		}
		record = s
	}
	if record == "" {
		return nil, dmarc.ErrNoPolicy
	}
	return dmarc.Parse(record)
}

// ErrNoPolicy is returned when a domain has no DMARC record, or more than one.
var ErrNoPolicy = dmarc.ErrNoPolicy

// Policy returns what a domain asks others to do with mail that fails.
// ErrNoPolicy.
func (c *Checker) Policy(ctx context.Context, domain string) (Disposition, error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	record, sub, err := c.policy(ctx, domain)
	if err != nil {
		return Nothing, err
	}
	return disposition(record, sub), nil
}

func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// disposition reads the policy of a record, for a domain below the one that has
// it if sub says so.
func disposition(r *dmarc.Record, sub bool) Disposition {
	p := r.Policy
	if sub && r.SubdomainPolicy != "" {
		p = r.SubdomainPolicy
	}
	switch p {
	case dmarc.PolicyQuarantine:
		return Quarantine
	case dmarc.PolicyReject:
		return Reject
	}
	return Nothing
}

// aligned tells whether something that passed speaks for the domain in From.
//
// RFC 7489 section 3.1.
func aligned(record *dmarc.Record, domain string, r *Report) bool {
	if r.SPF.Result == Pass && same(r.SPF.Domain, domain, record.SPFAlignment) {
		return true
	}
	return slices.ContainsFunc(r.DKIM, func(s Signature) bool {
		return s.Result == Pass && same(s.Domain, domain, record.DKIMAlignment)
	})
}

// unsure tells whether something that would have spoken for the domain in From
// could not be checked now.
func unsure(record *dmarc.Record, domain string, r *Report) bool {
	if r.SPF.Result == TempError && same(r.SPF.Domain, domain, record.SPFAlignment) {
		return true
	}
	return slices.ContainsFunc(r.DKIM, func(s Signature) bool {
		return s.Result == TempError && same(s.Domain, domain, record.DKIMAlignment)
	})
}

func same(a, b string, mode dmarc.AlignmentMode) bool {
	return a != "" && (a == b || mode != dmarc.AlignmentStrict && organisation(a) == organisation(b))
}

// organisation returns the organisational domain (RFC 7489 section 3.2): the
// public suffix and one label more.
func organisation(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return domain // a public suffix itself
	}
	return org
}
