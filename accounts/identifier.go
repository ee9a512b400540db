package accounts

import (
	"context"
	"fmt"
	"strings"
)

// Identifier completes the identifier of an ACL entry as the mailbox owner's
// domain reads it: a bare name is an account or alias of that domain, "anyone@"
// all of its accounts, "#sales" its group. "-" before it stays, "+" goes.
// ErrBadValue, ErrBadName: it cannot be one. ErrNoDomain, ErrNoAccount, ErrNoGroup:
// it names nobody; it comes completed all the same, so that an entry can be found
// whose name is gone.
func (d *Directory) Identifier(ctx context.Context, domain, id string) (string, error) {
	sign, name := "", id
	if strings.HasPrefix(name, "-") {
		sign, name = "-", name[1:]
	}
	name = strings.ToLower(strings.TrimPrefix(name, "+"))
	local, named, found := strings.Cut(name, "@")
	if named != "" {
		domain = named
	}
	switch {
	case name == "":
		return "", fmt.Errorf("the identifier is empty: %w", ErrBadValue)
	case name == "anyone" || name == "owner":
		return sign + name, nil
	case local == "anyone":
		dom, err := d.Domain(ctx, domain)
		if err != nil {
			return sign + "anyone@" + domain, err
		}
		return sign + "anyone@" + dom.Name, nil
	case strings.HasPrefix(local, "#"):
		if _, err := CanonicalName(local[1:]); err != nil {
			return "", err
		}
		group, err := d.Group(ctx, local[1:]+"@"+domain)
		if err != nil {
			return sign + local + "@" + domain, err
		}
		return sign + group.Identifier(), nil
	}
	if !found {
		name = local + "@" + domain
	}
	who, err := d.Account(ctx, name)
	if err != nil {
		return sign + name, err
	}
	return sign + who.Address(), nil
}
