package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tripost/smtp/mtasts"
	"tripost/smtp/send"
	"tripost/store"
)

// need is what a message asks of the way to the next host.
type need uint8

const (
	usual     need = iota // what the destination publishes counts
	anyWay                // TLS-Required: No: nothing counts (RFC 8689 section 5)
	onlyByTLS             // REQUIRETLS: RFC 8689 section 4
)

// need is usual for a report about a message that needs TLS: it asks for the same
// where that is offered, and is not lost where it is not (RFC 8689 section 5).
func (m *message) need() need {
	switch {
	case m.requireTLS && m.from != "":
		return onlyByTLS
	case m.tlsOptional:
		return anyWay
	}
	return usual
}

// Policies finds what domains publish about TLS; a [mtasts.Client] does.
type Policies interface {
	Policy(ctx context.Context, domain string) (mtasts.Policy, bool)
}

// Errors of hosts that may not be used for a message.
var (
	// errNotListed: the domain's policy does not name the host.
	errNotListed = errors.New("the domain's MTA-STS policy does not name the host")
	// errUncertain: nobody vouches that the host is the domain's (RFC 8689
	// section 4.2.1).
	errUncertain = errors.New("neither DNSSEC nor MTA-STS vouches for the host, and the message asks for it")
)

// demander decides what connections to the hosts of one destination must
// fulfil. It asks for the domain's policy once.
type demander struct {
	dns      send.DNS
	policies Policies
	need     need
	least    send.Level // by the administrator's route

	asked  bool
	policy mtasts.Policy
	have   bool
}

// demand decides for one host, in this order: the message that wants no policy;
// the administrator; DANE; MTA-STS, which never lessens what DANE asks for (RFC
// 8461 section 2). An error means that the host must not be used.
func (w *demander) demand(ctx context.Context, t send.Target) (send.Demand, error) {
	if w.need == anyWay {
		return send.Demand{Level: w.least}, nil
	}
	d, err := send.DemandDANE(ctx, w.dns, t)
	if err != nil {
		return d, err
	}
	certain := t.Certain
	if d.Level != send.DANE && t.Domain != "" {
		p, have := w.policyOf(ctx, t.Domain)
		listed := have && p.Matches(t.Name)
		switch {
		case !have:
		case p.Mode == mtasts.Enforce && !listed:
			return d, fmt.Errorf("%s: %w", t.Name, errNotListed)
		case p.Mode == mtasts.Enforce:
			d.Level, certain = max(d.Level, send.Verified), true
		default:
			d.Test = true
		}
	}
	if w.need == onlyByTLS {
		if !certain {
			return d, fmt.Errorf("%s: %w", t.Name, errUncertain)
		}
		d.Level, d.RequireTLS = max(d.Level, send.Verified), true
	}
	d.Level = max(d.Level, w.least)
	return d, nil
}

func (w *demander) policyOf(ctx context.Context, domain string) (mtasts.Policy, bool) {
	if !w.asked && w.policies != nil {
		w.policy, w.have = w.policies.Policy(ctx, domain)
	}
	w.asked = true
	return w.policy, w.have
}

// A queue keeps MTA-STS policies among its records: it is a [mtasts.Keeper].
var _ mtasts.Keeper = (*Queue)(nil)

// maxSwept is how many policies are looked at when one is saved.
const maxSwept = 16

// LoadPolicy is of [mtasts.Keeper].
func (q *Queue) LoadPolicy(ctx context.Context, domain string) (record []byte, err error) {
	err = q.store.View(ctx, func(r *store.Snapshot) error {
		v, err := r.Get(store.SpaceQueue, policyKey(domain))
		record = append(record, v...)
		return err
	})
	return record, err
}

// SavePolicy is of [mtasts.Keeper]. Each time it takes away those whose time is
// over among the next ones in the order of domains, around the end, so that what
// is kept stays bounded by what holds.
func (q *Queue) SavePolicy(ctx context.Context, domain string, record []byte) error {
	now := q.o.Now()
	return q.store.Update(ctx, func(tx *store.Tx) error {
		old, looked, err := expiredPolicies(tx, policyKey(domain), []byte{keyPolicy + 1}, now)
		if err == nil && looked < maxSwept {
			var more [][]byte
			more, _, err = expiredPolicies(tx, policyKey(""), policyKey(domain), now)
			old = append(old, more...)
		}
		if err != nil {
			return err
		}
		for _, key := range old {
			tx.Delete(store.SpaceQueue, key)
		}
		tx.Put(store.SpaceQueue, policyKey(domain), record)
		return nil
	})
}

// expiredPolicies looks at the first policies between two keys.
func expiredPolicies(tx *store.Tx, from, to []byte, now time.Time) (keys [][]byte, looked int, err error) {
	for it, err := range tx.Range(store.SpaceQueue, from, to) {
		if err != nil {
			return nil, looked, err
		}
		if mtasts.Expired(it.Value, now) {
			keys = append(keys, append([]byte(nil), it.Key...))
		}
		if looked++; looked == maxSwept {
			break
		}
	}
	return keys, looked, nil
}
