package accounts

import (
	"context"
	"fmt"

	"tripost/store"
)

// Quotas are kept twice: as settings here, and as the limits of each account and
// of each domain's pool in the store, which it asks at each message. Whoever
// changes the first brings the second along in the same transaction.

// checkQuota refuses a limit out of its range, with ErrBadValue.
func checkQuota(name string, n int64) error {
	if n < 0 || n > maxQuota {
		return fmt.Errorf("%s: %d: %w: at most %d", name, n, ErrBadValue, int64(maxQuota))
	}
	return nil
}

// applyQuota gives the store the limits that count for an account, and puts it
// into the pool of its domain.
func (w *writer) applyQuota(acct Account, dom Domain) error {
	p := acct.Policy.over(dom.Policy).over(*w.server)
	octets, messages := p.MaxOctets.Or(0), p.MaxMessages.Or(0)
	if err := w.tx.SetPool(acct.ID, dom.Pool); err != nil {
		return err
	}
	have, err := w.tx.Usage(acct.ID)
	if err != nil || have.OctetLimit == octets && have.MessageLimit == messages {
		return err
	}
	return w.tx.SetQuota(acct.ID, octets, messages)
}

// applyQuotas does so for all accounts of a domain.
func (w *writer) applyQuotas(dom Domain) error {
	prefix := byAgePrefix(dom.Name)
	var ids []store.AccountID
	err := w.each(prefix, func(key, _ []byte) error {
		ids = append(ids, idAt(key[len(prefix):]))
		return nil
	})
	for _, id := range ids {
		if err != nil {
			return err
		}
		var acct Account
		if acct, err = w.AccountByID(id); err == nil {
			err = w.applyQuota(acct, dom)
		}
	}
	return err
}

// DomainUsage returns what the accounts of a domain hold and may hold together.
func (d *Directory) DomainUsage(ctx context.Context, dom Domain) (u store.Usage, err error) {
	err = d.store.View(ctx, func(r *store.Snapshot) (err error) {
		u, err = r.PoolUsage(dom.Pool)
		return err
	})
	if err != nil {
		return u, fmt.Errorf("reading what the accounts of %s hold: %w", dom.Name, err)
	}
	return u, nil
}

// Upgrade brings the domains of an earlier version along: each gets a pool that
// counts what its accounts hold. It does nothing where all have one, and may be cut
// short and run again.
func (d *Directory) Upgrade(ctx context.Context) error {
	all, err := d.Domains(ctx)
	for _, dom := range all {
		if err == nil && dom.Pool == 0 {
			err = d.update(ctx, func(w *writer) error { return w.addPool(dom.Name) })
		}
	}
	if err != nil {
		return fmt.Errorf("counting what the accounts of domains hold: %w", err)
	}
	return nil
}

func (w *writer) addPool(domain string) error {
	dom, err := w.Domain(domain)
	if err != nil || dom.Pool != 0 {
		return err
	}
	if dom.Pool, err = w.tx.CreatePool(); err != nil {
		return err
	}
	w.put(domainKey(dom.Name), encodeDomain(dom))
	return w.applyQuotas(dom)
}

// ApplyQuotas gives the store the limits that count for each account. It is for
// the start of a server, whose configuration may say otherwise than before.
func (d *Directory) ApplyQuotas(ctx context.Context) error {
	all, err := d.Domains(ctx)
	for _, dom := range all {
		if err == nil {
			err = d.update(ctx, func(w *writer) error { return w.applyQuotas(dom) })
		}
	}
	if err != nil {
		return fmt.Errorf("setting the quotas of accounts: %w", err)
	}
	return nil
}
