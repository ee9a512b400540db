package admin

import (
	"context"
	"errors"
	"time"

	"tripost/smtp/dkim"
)

// DKIMRequest asks for something to be done with the keys of a domain.
type DKIMRequest struct {
	Name      string `json:"name"`                // of the domain, or an alias of it
	Algorithm string `json:"algorithm,omitempty"` // of dkim-add: rsa, ed25519; empty: both
	Selector  string `json:"selector,omitempty"`  // of dkim-remove
	Overlap   string `json:"overlap,omitempty"`   // of dkim-rotate: how long the old keys still sign, such as "72h"; empty: three days
}

// DKIMKey is a key with which a domain signs what it sends.
type DKIMKey struct {
	Domain    string    `json:"domain"`
	Selector  string    `json:"selector"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"` // waiting, signing, fading or over
	Created   time.Time `json:"created"`
	Begins    time.Time `json:"begins"`
	Ends      time.Time `json:"ends,omitzero"`
	// Records are what the DNS must have, for the domain and each of its aliases,
	// as lines of a zone file.
	Records []string `json:"records"`
}

// defaultOverlap is how long old keys go on signing: records are cached, and
// somebody has to publish the new ones.
const defaultOverlap = 72 * time.Hour

// DKIMKeys lists the keys of a domain.
func (a *API) DKIMKeys(ctx context.Context, q DKIMRequest) ([]DKIMKey, error) {
	return a.withKeys(ctx, q, func(domain string) ([]*dkim.Key, error) { return a.Keys.List(ctx, domain) })
}

// AddDKIMKeys makes the first keys of a domain, which sign at once.
func (a *API) AddDKIMKeys(ctx context.Context, q DKIMRequest) ([]DKIMKey, error) {
	return a.withKeys(ctx, q, func(domain string) ([]*dkim.Key, error) {
		if q.Algorithm == "" {
			return a.Keys.Add(ctx, domain, dkim.RSA, dkim.Ed25519)
		}
		return a.Keys.Add(ctx, domain, dkim.Algorithm(q.Algorithm))
	})
}

// RotateDKIMKeys makes new keys in the place of those that sign, which go on for
// a while.
func (a *API) RotateDKIMKeys(ctx context.Context, q DKIMRequest) ([]DKIMKey, error) {
	overlap := defaultOverlap
	if q.Overlap != "" {
		var err error
		if overlap, err = time.ParseDuration(q.Overlap); err != nil {
			return nil, refuse("overlap: %q is not a duration such as 72h", q.Overlap)
		}
	}
	return a.withKeys(ctx, q, func(domain string) ([]*dkim.Key, error) { return a.Keys.Rotate(ctx, domain, overlap) })
}

// RemoveDKIMKey removes a key, and returns those that are left.
func (a *API) RemoveDKIMKey(ctx context.Context, q DKIMRequest) ([]DKIMKey, error) {
	if q.Selector == "" {
		return nil, refuse("a selector is needed")
	}
	return a.withKeys(ctx, q, func(domain string) ([]*dkim.Key, error) {
		if err := a.Keys.Remove(ctx, domain, q.Selector); err != nil {
			return nil, err
		}
		return a.Keys.List(ctx, domain)
	})
}

func (a *API) withKeys(ctx context.Context, q DKIMRequest, fn func(domain string) ([]*dkim.Key, error)) ([]DKIMKey, error) {
	dom, err := a.Directory.Domain(ctx, q.Name)
	if err != nil {
		return nil, err
	}
	keys, err := fn(dom.Name)
	for _, known := range []error{dkim.ErrAlgorithm, dkim.ErrHasKey, dkim.ErrWaiting, dkim.ErrNoKey, dkim.ErrOverlap} {
		if errors.Is(err, known) {
			return nil, &Refusal{err}
		}
	}
	if err != nil {
		return nil, err
	}
	list := make([]DKIMKey, 0, len(keys))
	for _, k := range keys {
		one := DKIMKey{
			Domain: k.Domain, Selector: k.Selector, Algorithm: string(k.Algorithm), State: string(k.State(time.Now())),
			Created: k.Created, Begins: k.Begins, Ends: k.Ends,
		}
		for _, name := range append([]string{dom.Name}, dom.Aliases...) {
			one.Records = append(one.Records, k.Zone(name))
		}
		list = append(list, one)
	}
	return list, nil
}
