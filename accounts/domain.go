package accounts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"tripost/store"
)

// maxDomainAliases bounds the record of one domain.
const maxDomainAliases = 200

// Domain is a set of accounts and aliases with one name space.
type Domain struct {
	Name    string   // canonical, see [CanonicalDomain]
	Main    bool     // names without a domain belong to it
	Aliases []string // further names, canonical
	Created time.Time

	// Addresses are the IP addresses of this host that are assigned to it: a
	// login name without a domain that comes in on one of them is one of this
	// domain. No two domains have the same.
	Addresses []netip.Addr
	// Unknown says what becomes of mail to names that stand for nothing: "" it is
	// refused, [UnknownDiscard] it is taken and thrown away; else the address
	// that it goes to, in which an asterisk stands for the name.
	Unknown string
	// AllSenders may send to all@ this domain, which reaches all its accounts.
	AllSenders Senders
	// TotalOctets and TotalMessages are what its accounts may keep together; 0: no
	// limit. Pool counts what they keep: see [store.Snapshot.PoolUsage].
	TotalOctets, TotalMessages int64
	Pool                       store.PoolID
	// Policy is that of the accounts that leave it to the domain. Of Services they
	// have none that the domain has not.
	Policy
}

// AddDomain makes a domain. The first one is the Main
// Domain. ErrExists when the name is a domain or an alias of one.
func (d *Directory) AddDomain(ctx context.Context, name string) (Domain, error) {
	secret, err := d.random(secretLength)
	if err != nil {
		return Domain{}, err
	}
	var dom Domain
	err = d.update(ctx, func(w *writer) (err error) {
		dom, err = w.addDomain(name, d.now(), secret)
		return err
	})
	if err != nil {
		return Domain{}, fmt.Errorf("adding domain %q: %w", clip(name), err)
	}
	return dom, nil
}

func (w *writer) addDomain(name string, now time.Time, secret []byte) (Domain, error) {
	canonical, err := ownDomain(name)
	if err != nil {
		return Domain{}, err
	}
	if err := w.domainIsFree(canonical); err != nil {
		return Domain{}, err
	}
	main, err := w.Main()
	if err != nil {
		return Domain{}, err
	}
	dom := Domain{Name: canonical, Main: main == "", Created: now.UTC().Truncate(time.Second)}
	if dom.Pool, err = w.tx.CreatePool(); err != nil {
		return Domain{}, err
	}
	w.put(domainKey(canonical), encodeDomain(dom))
	if dom.Main {
		w.setMain(canonical)
	}
	return dom, w.ensureSecret(secret)
}

func (w *writer) domainIsFree(name string) error {
	b, err := w.get(domainKey(name))
	if err == nil && b != nil {
		err = fmt.Errorf("domain %q: %w", name, ErrExists)
	}
	return err
}

func (w *writer) setMain(name string) {
	w.put([]byte{keyMain}, newStored().text(name).b)
	w.main = name
}

// Domain returns a domain by its name or by one of its aliases, or ErrNoDomain.
func (d *Directory) Domain(ctx context.Context, name string) (Domain, error) {
	var dom Domain
	err := d.View(ctx, func(n *Names) (err error) {
		dom, err = n.Domain(name)
		return err
	})
	return dom, err
}

// MainDomain returns the Main Domain, or ErrNoDomain when there is no domain yet.
func (d *Directory) MainDomain(ctx context.Context) (Domain, error) {
	return d.Domain(ctx, "")
}

// Domains returns all domains, the Main Domain first, the others by name.
func (d *Directory) Domains(ctx context.Context) ([]Domain, error) {
	var all []Domain
	err := d.View(ctx, func(n *Names) (err error) {
		all, err = n.Domains()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing domains: %w", err)
	}
	return all, nil
}

// Domains is [Directory.Domains] in this state.
func (n *Names) Domains() ([]Domain, error) {
	main, err := n.Main()
	if err != nil {
		return nil, err
	}
	var all []Domain
	err = n.each([]byte{keyDomain}, func(key, value []byte) error {
		dom, aliasOf, err := decodeDomain(string(key[1:]), value)
		if err != nil || aliasOf != "" {
			return err
		}
		dom.Main = dom.Name == main
		all = append(all, dom)
		return nil
	})
	slices.SortStableFunc(all, func(a, b Domain) int {
		switch {
		case a.Main:
			return -1
		case b.Main:
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return all, err
}

// Main returns the canonical name of the Main Domain, "" when there is none.
func (n *Names) Main() (string, error) {
	if n.main != "" {
		return n.main, nil
	}
	if k, ok := n.known.get(""); ok {
		n.main = k.aliasOf
		return n.main, nil
	}
	b, err := n.get([]byte{keyMain})
	if err != nil || b == nil {
		return "", err
	}
	f := readRecord(b)
	name := f.Text()
	if err := f.end(keyMain); err != nil {
		return "", err
	}
	n.known.put("", knownDomain{aliasOf: name})
	n.main = name
	return name, nil
}

// Domain returns a domain by its name or by one of its aliases, the Main Domain
// for "". ErrNoDomain: it is not ours. Others may have the same Aliases and
// Addresses: they must not be changed.
func (n *Names) Domain(name string) (Domain, error) {
	main, err := n.Main()
	if err != nil {
		return Domain{}, err
	}
	canonical := main
	if name != "" {
		if canonical, err = CanonicalDomain(name); err != nil {
			return Domain{}, fmt.Errorf("domain %q: %w", clip(name), ErrNoDomain)
		}
	}
	dom, aliasOf, err := n.domainRecord(canonical)
	if err == nil && aliasOf != "" {
		dom, _, err = n.domainRecord(aliasOf)
	}
	dom.Main = dom.Name == main
	return dom, err
}

func (n *Names) domainRecord(canonical string) (d Domain, aliasOf string, err error) {
	if k, ok := n.known.get(canonical); ok {
		return k.domain, k.aliasOf, nil
	}
	b, err := n.get(domainKey(canonical))
	if err != nil {
		return Domain{}, "", err
	}
	if b == nil {
		return Domain{}, "", fmt.Errorf("domain %q: %w", canonical, ErrNoDomain)
	}
	if d, aliasOf, err = decodeDomain(canonical, b); err == nil {
		n.known.put(canonical, knownDomain{d, aliasOf})
	}
	return d, aliasOf, err
}

// SetDomain lets change alter a domain: its aliases, addresses, quota and
// policy, and Main from false to true, which takes it from the other one. Name,
// Created and Pool stay. change may be called more than once.
func (d *Directory) SetDomain(ctx context.Context, name string, change func(*Domain) error) (Domain, error) {
	var dom Domain
	err := d.update(ctx, func(w *writer) (err error) {
		dom, err = w.setDomain(name, func(dom *Domain) error { return d.hiding(&dom.Policy, func() error { return change(dom) }) })
		return err
	})
	if err != nil {
		return Domain{}, fmt.Errorf("setting domain %q: %w", clip(name), err)
	}
	return dom, nil
}

func (w *writer) setDomain(name string, alter func(*Domain) error) (Domain, error) {
	old, err := w.Domain(name)
	if err != nil {
		return Domain{}, err
	}
	dom := old
	dom.Aliases = slices.Clone(old.Aliases)
	dom.Addresses = slices.Clone(old.Addresses)
	if err := alter(&dom); err != nil {
		return Domain{}, err
	}
	switch {
	case dom.Name != old.Name || !dom.Created.Equal(old.Created) || dom.Pool != old.Pool:
		return Domain{}, fmt.Errorf("name, time of creation and pool stay: %w", ErrBadValue)
	case old.Main && !dom.Main:
		return Domain{}, fmt.Errorf("make another domain the Main Domain instead: %w", ErrMainDomain)
	}
	if err := errors.Join(dom.Policy.check(), checkQuota("domain_quota", dom.TotalOctets), checkQuota("domain_quota_messages", dom.TotalMessages)); err != nil {
		return Domain{}, err
	}
	if dom.Unknown != "" && dom.Unknown != UnknownDiscard && !isTarget(dom.Unknown) {
		return Domain{}, fmt.Errorf("unknown: %w: use refuse, discard or an address, with at most one asterisk for the name", ErrBadValue)
	}
	if err := w.replaceDomainAliases(&dom, old.Aliases); err != nil {
		return Domain{}, err
	}
	if err := w.replaceAddresses(&dom, old.Addresses); err != nil {
		return Domain{}, err
	}
	if dom.Main && !old.Main {
		w.setMain(dom.Name)
	}
	w.replaceStrict(domainKey(dom.Name), dom.Policy, old.Policy)
	w.put(domainKey(dom.Name), encodeDomain(dom))
	if err := w.tx.SetPoolQuota(dom.Pool, dom.TotalOctets, dom.TotalMessages); err != nil {
		return Domain{}, err
	}
	if dom.MaxOctets != old.MaxOctets || dom.MaxMessages != old.MaxMessages {
		return dom, w.applyQuotas(dom)
	}
	return dom, nil
}

// replaceDomainAliases makes the names in dom.Aliases lead to dom, and the old
// ones that are not among them lead nowhere.
func (w *writer) replaceDomainAliases(dom *Domain, old []string) error {
	if len(dom.Aliases) > maxDomainAliases {
		return fmt.Errorf("%d aliases: %w: at most %d", len(dom.Aliases), ErrBadValue, maxDomainAliases)
	}
	for i, name := range dom.Aliases {
		canonical, err := ownDomain(name)
		if err != nil {
			return err
		}
		dom.Aliases[i] = canonical
	}
	slices.Sort(dom.Aliases)
	dom.Aliases = slices.Compact(dom.Aliases)
	for _, name := range old {
		if !slices.Contains(dom.Aliases, name) {
			w.delete(domainKey(name))
		}
	}
	for _, name := range dom.Aliases {
		if slices.Contains(old, name) {
			continue
		}
		if err := w.domainIsFree(name); err != nil {
			return err
		}
		w.put(domainKey(name), encodeDomainAlias(dom.Name))
	}
	return nil
}

// RemoveDomain removes a domain that has no accounts any more, by its own name.
func (d *Directory) RemoveDomain(ctx context.Context, name string) error {
	err := d.update(ctx, func(w *writer) error { return w.removeDomain(name) })
	if err != nil {
		return fmt.Errorf("removing domain %q: %w", clip(name), err)
	}
	return nil
}

func (w *writer) removeDomain(name string) error {
	dom, err := w.Domain(name)
	if err != nil {
		return err
	}
	if canonical, err := CanonicalDomain(name); err != nil || canonical != dom.Name {
		return fmt.Errorf("its name is %q: %w", dom.Name, ErrNoDomain)
	}
	used, err := w.first(objectPrefix(dom.Name))
	if err != nil {
		return err
	}
	if used != nil {
		return ErrNotEmpty
	}
	if dom.Main {
		if err := w.isOnlyDomain(); err != nil {
			return err
		}
		w.delete([]byte{keyMain})
	}
	for _, alias := range dom.Aliases {
		w.delete(domainKey(alias))
	}
	for _, ip := range dom.Addresses {
		w.delete(addressKey(ip))
	}
	w.replaceStrict(domainKey(dom.Name), Policy{}, dom.Policy)
	w.delete(domainKey(dom.Name))
	w.tx.RemovePool(dom.Pool)
	return nil
}

func (w *writer) isOnlyDomain() error {
	all, err := w.Domains()
	if err == nil && len(all) > 1 {
		err = ErrMainDomain
	}
	return err
}
