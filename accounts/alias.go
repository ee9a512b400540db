package accounts

import (
	"context"
	"fmt"

	"tripost/store"
)

// Alias is another name of an account in the account's domain. It works for
// mail and for signing in.
type Alias struct {
	Local   string // canonical
	Domain  string // canonical
	Account string // the account's address
}

// Address returns the alias as an address.
func (a Alias) Address() string { return a.Local + "@" + a.Domain }

// AddAlias gives an account one more name. An alias without a domain is one of
// the Main Domain; an account without a domain is one of the alias's domain,
// where it has to be in any case. An alias given as the account stands for the
// account that it leads to.
func (d *Directory) AddAlias(ctx context.Context, alias, account string) error {
	err := d.update(ctx, func(w *writer) error { return w.addAlias(alias, account) })
	if err != nil {
		return fmt.Errorf("adding alias %q of %q: %w", clip(alias), clip(account), err)
	}
	return nil
}

func (w *writer) addAlias(alias, account string) error {
	local, dom, err := w.freeName(alias)
	if err != nil {
		return err
	}
	target, targetDomain := splitAddress(account)
	if targetDomain == "" {
		targetDomain = dom
	}
	obj, err := w.Lookup(target, targetDomain)
	if err != nil {
		return err
	}
	if obj.Account.Domain != dom {
		return fmt.Errorf("the account is in domain %s, an alias has to be in the same: %w", obj.Account.Domain, ErrBadName)
	}
	w.put(objectKey(dom, local), encodeObject(object{kind: isAlias, id: obj.Account.ID}))
	w.put(aliasOfKey(obj.Account.ID, local), newStored().b)
	return nil
}

// Aliases returns the aliases in a domain, given by name or alias, or in all
// domains for "", ordered by domain and name.
func (d *Directory) Aliases(ctx context.Context, domain string) ([]Alias, error) {
	var all []Alias
	err := d.View(ctx, func(n *Names) (err error) {
		all, err = n.aliases(domain)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing aliases of %q: %w", clip(domain), err)
	}
	return all, nil
}

func (n *Names) aliases(domain string) ([]Alias, error) {
	prefix := []byte{keyObject}
	if domain != "" {
		dom, err := n.Domain(domain)
		if err != nil {
			return nil, err
		}
		prefix = objectPrefix(dom.Name)
	}
	var all []Alias
	var targets []store.AccountID
	err := n.each(prefix, func(key, value []byte) error {
		obj, err := decodeObject(value)
		if err != nil || obj.kind != isAlias {
			return err
		}
		domain, local := splitObjectKey(key)
		all = append(all, Alias{Local: local, Domain: domain})
		targets = append(targets, obj.id)
		return nil
	})
	for i := range all {
		if err != nil {
			return nil, err
		}
		var acct Account
		acct, err = n.AccountByID(targets[i])
		all[i].Account = acct.Address()
	}
	return all, err
}

func (n *Names) aliasesOf(acct Account) ([]Alias, error) {
	prefix := idKey(keyAliasOf, acct.ID)
	var all []Alias
	err := n.each(prefix, func(key, _ []byte) error {
		all = append(all, Alias{Local: string(key[len(prefix):]), Domain: acct.Domain, Account: acct.Address()})
		return nil
	})
	return all, err
}

// RemoveAlias removes an alias. ErrNoAlias when the name stands for nothing or
// for an account itself.
func (d *Directory) RemoveAlias(ctx context.Context, alias string) error {
	err := d.update(ctx, func(w *writer) error { return w.removeAlias(alias) })
	if err != nil {
		return fmt.Errorf("removing alias %q: %w", clip(alias), err)
	}
	return nil
}

func (w *writer) removeAlias(alias string) error {
	local, domain := splitAddress(alias)
	dom, err := w.Domain(domain)
	if err != nil {
		return err
	}
	if local, err = CanonicalName(local); err != nil {
		return ErrNoAlias
	}
	obj, found, err := w.object(dom.Name, local)
	if err != nil {
		return err
	}
	if !found || obj.kind != isAlias {
		return ErrNoAlias
	}
	w.deleteAlias(dom.Name, local, obj.id)
	return nil
}

func (w *writer) deleteAlias(domain, local string, of store.AccountID) {
	w.delete(objectKey(domain, local))
	w.delete(aliasOfKey(of, local))
}
