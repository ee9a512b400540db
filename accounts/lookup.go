package accounts

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"tripost/store"
)

// Object is what a name in one of our domains stands for.
type Object struct {
	Account  *Account // never nil in an Object of Lookup and LookupIn
	Alias    string   // the alias that led to the account, or ""
	Services Service  // on for both the account and its domain

	Target string // of a forwarder: the address that it stands for
	Group  *Group
}

// Lookup finds what local stands for in a domain, which is given by name or
// alias, "" being the Main Domain. ErrNoDomain: the domain is not ours.
// ErrNoAccount: nothing there has this name.
func (d *Directory) Lookup(ctx context.Context, local, domain string) (Object, error) {
	var obj Object
	err := d.View(ctx, func(n *Names) (err error) {
		obj, err = n.Lookup(local, domain)
		return err
	})
	return obj, err
}

// Lookup is [Directory.Lookup] in this state.
func (n *Names) Lookup(local, domain string) (Object, error) {
	dom, err := n.Domain(domain)
	if err != nil {
		return Object{}, err
	}
	return n.LookupIn(dom, local)
}

// LookupIn is Lookup in a domain that is known already. A name that stands for a
// forwarder or a group is no account: ErrNoAccount.
func (n *Names) LookupIn(dom Domain, local string) (Object, error) {
	obj, err := n.Find(dom, local)
	if err == nil && obj.Account == nil {
		return Object{}, fmt.Errorf("name %q in %s: %w", clip(local), dom.Name, ErrNoAccount)
	}
	return obj, err
}

// Find returns whatever a name stands for in a domain: an account, a forwarder
// or a group. ErrNoAccount: nothing has the name.
func (n *Names) Find(dom Domain, local string) (Object, error) {
	name, err := CanonicalName(local)
	if err != nil {
		return Object{}, fmt.Errorf("name %q: %w", clip(local), ErrNoAccount)
	}
	found, ok, err := n.object(dom.Name, name)
	if err != nil {
		return Object{}, err
	}
	if !ok {
		return Object{}, fmt.Errorf("name %q in %s: %w", name, dom.Name, ErrNoAccount)
	}
	switch found.kind {
	case isForwarder:
		return Object{Target: found.target}, nil
	case isGroup:
		found.group.Local, found.group.Domain = name, dom.Name
		return Object{Group: &found.group}, nil
	}
	acct, err := n.AccountByID(found.id)
	if err != nil {
		return Object{}, err
	}
	obj := Object{Account: &acct, Services: n.Services(acct, dom)}
	if found.kind == isAlias {
		obj.Alias = name
	}
	return obj, nil
}

func (n *Names) object(domain, local string) (o object, found bool, err error) {
	b, err := n.get(objectKey(domain, local))
	if err != nil || b == nil {
		return object{}, false, err
	}
	o, err = decodeObject(b)
	return o, err == nil, err
}

// splitObjectKey is the inverse of objectKey.
func splitObjectKey(key []byte) (domain, local string) {
	d, l, _ := bytes.Cut(key[1:], []byte{0})
	return string(d), string(l)
}

func idAt(b []byte) store.AccountID {
	if len(b) < 8 {
		return 0
	}
	return store.AccountID(binary.BigEndian.Uint64(b))
}

// Everybody returns the addresses of the accounts of a domain that take mail, and
// mail to all of them, in the order of their age.
func (n *Names) Everybody(dom Domain) ([]string, error) {
	prefix := byAgePrefix(dom.Name)
	var list []string
	err := n.each(prefix, func(key, _ []byte) error {
		acct, err := n.AccountByID(idAt(key[len(prefix):]))
		if err != nil {
			return err
		}
		takes := acct.Policy.over(dom.Policy).over(*n.server).MailToAll.Or(true)
		if takes && n.Services(acct, dom).Has(Mail) {
			list = append(list, acct.Address())
		}
		return nil
	})
	return list, err
}
