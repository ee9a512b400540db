package accounts

import (
	"context"
	"fmt"

	"tripost/store"
)

// Quotas are kept twice: as settings here, and as the limits of each account in
// the store, which it asks at each message. Whoever changes the first brings the
// second along in the same transaction.

// applyQuota gives the store the limits that count for an account.
func (w *writer) applyQuota(acct Account, dom Domain) error {
	p := acct.Policy.over(dom.Policy).over(*w.server)
	octets, messages := p.MaxOctets.Or(0), p.MaxMessages.Or(0)
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
