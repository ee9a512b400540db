package accounts

import (
	"context"
	"fmt"
	"strings"
)

// Identifier completes the identifier of an ACL entry as the mailbox owner's
// domain reads it: a bare name is an account or alias of that domain, "anyone@"
// all of its accounts, "#sales" its group. "-" before it stays, "+" goes.
// ErrBadValue, ErrBadName: it cannot be one. ErrNoDomain, ErrNoAccount: it names
// nobody.
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
		return sign + "anyone@" + dom.Name, err
	case strings.HasPrefix(local, "#"):
		if _, err := CanonicalName(local[1:]); err != nil {
			return "", err
		}
		dom, err := d.Domain(ctx, domain)
		return sign + local + "@" + dom.Name, err
	}
	if !found {
		name = local + "@" + domain
	}
	who, err := d.Account(ctx, name)
	if err != nil {
		return "", err
	}
	return sign + who.Address(), nil
}
