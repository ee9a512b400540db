package accounts

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// UnknownDiscard is the value of Domain.Unknown for taking mail to unknown names
// and throwing it away.
const UnknownDiscard = "discard"

// maxTarget bounds the address that a forwarder stands for, in octets.
const maxTarget = 1024

// Forwarder is a name that stands for another address, here or elsewhere. It
// works for mail as a record of the router's table would, and for signing in
// where the address leads to an account.
type Forwarder struct {
	Local  string // canonical
	Domain string // canonical
	Target string // an address, as it was given; with a domain, unless it has another address in it
}

// Address returns the forwarder's own address.
func (f Forwarder) Address() string { return f.Local + "@" + f.Domain }

// SetForwarder makes a name stand for an address, a new name where made is
// true, else that of a forwarder that is there. A target without a domain is in
// the forwarder's. Whether the target can be reached is the router's to say.
func (d *Directory) SetForwarder(ctx context.Context, name, target string, made bool) (Forwarder, error) {
	var f Forwarder
	err := d.update(ctx, func(w *writer) (err error) {
		f, err = w.setForwarder(name, target, made)
		return err
	})
	if err != nil {
		return Forwarder{}, fmt.Errorf("setting forwarder %q to %q: %w", clip(name), clip(target), err)
	}
	return f, nil
}

func (w *writer) setForwarder(name, target string, made bool) (Forwarder, error) {
	var f Forwarder
	var err error
	if made {
		f.Local, f.Domain, err = w.freeName(name)
	} else {
		f, err = w.forwarder(name)
	}
	if err != nil {
		return Forwarder{}, err
	}
	if !isTarget(target) || strings.Contains(target, "*") {
		return Forwarder{}, fmt.Errorf("address %q: %w: one address of at most %d octets", clip(target), ErrBadValue, maxTarget)
	}
	if !strings.ContainsAny(target, "@%!") {
		target += "@" + f.Domain
	}
	if f.Target = target; strings.EqualFold(f.Target, f.Address()) {
		return Forwarder{}, fmt.Errorf("it would lead to itself: %w", ErrBadValue)
	}
	w.put(objectKey(f.Domain, f.Local), encodeObject(object{kind: isForwarder, target: f.Target}))
	return f, nil
}

// isTarget tells what may be an address; the router reads it later.
func isTarget(s string) bool {
	return s != "" && len(s) <= maxTarget && utf8.ValidString(s) && strings.Count(s, "*") <= 1 &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) })
}

// Forwarder returns one by its address, which without a domain is in the Main
// Domain. ErrNoForwarder, ErrNoDomain.
func (d *Directory) Forwarder(ctx context.Context, name string) (Forwarder, error) {
	var f Forwarder
	err := d.View(ctx, func(n *Names) (err error) {
		f, err = n.forwarder(name)
		return err
	})
	return f, err
}

func (n *Names) forwarder(name string) (Forwarder, error) {
	local, domain, o, err := n.named(name)
	if err == nil && o.kind != isForwarder {
		err = ErrNoForwarder
	}
	if err != nil {
		return Forwarder{}, fmt.Errorf("forwarder %q: %w", clip(name), orElse(err, ErrNoForwarder))
	}
	return Forwarder{local, domain, o.target}, nil
}

// named returns what has a name, with the canonical parts of the name.
// ErrNoAccount: nothing has it.
func (n *Names) named(name string) (local, domain string, o object, err error) {
	local, domain = splitAddress(name)
	dom, err := n.Domain(domain)
	if err != nil {
		return "", "", o, err
	}
	if local, err = CanonicalName(local); err != nil {
		return "", "", o, ErrNoAccount
	}
	o, found, err := n.object(dom.Name, local)
	if err == nil && !found {
		err = ErrNoAccount
	}
	return local, dom.Name, o, err
}

// orElse says of a name that stands for nothing what it was taken for.
func orElse(err, missing error) error {
	if err == ErrNoAccount {
		return missing
	}
	return err
}

// Forwarders returns those of a domain, given by name or alias, or of all for
// "", ordered by domain and name.
func (d *Directory) Forwarders(ctx context.Context, domain string) ([]Forwarder, error) {
	var all []Forwarder
	err := d.View(ctx, func(n *Names) error {
		return n.objects(domain, isForwarder, func(domain, local string, o object) {
			all = append(all, Forwarder{local, domain, o.target})
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing forwarders of %q: %w", clip(domain), err)
	}
	return all, nil
}

// objects calls fn with each object of a kind in a domain, or in all for "".
func (n *Names) objects(domain string, kind objectKind, fn func(domain, local string, o object)) error {
	prefix := []byte{keyObject}
	if domain != "" {
		dom, err := n.Domain(domain)
		if err != nil {
			return err
		}
		prefix = objectPrefix(dom.Name)
	}
	return n.each(prefix, func(key, value []byte) error {
		o, err := decodeObject(value)
		if err == nil && o.kind == kind {
			domain, local := splitObjectKey(key)
			fn(domain, local, o)
		}
		return err
	})
}

// RemoveForwarder removes one. ErrNoForwarder.
func (d *Directory) RemoveForwarder(ctx context.Context, name string) error {
	err := d.update(ctx, func(w *writer) error {
		f, err := w.forwarder(name)
		if err != nil {
			return err
		}
		w.delete(objectKey(f.Domain, f.Local))
		return w.leaveGroups(f.Address())
	})
	if err != nil {
		return fmt.Errorf("removing a forwarder: %w", err)
	}
	return nil
}
