package accounts

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLogin bounds the octets of a login name: a mailbox name and an address.
const maxLogin = 1024

// LoginName is a login name taken apart: "lists/info#jsmith@company.test".
type LoginName struct {
	Mailbox string // left of the last '#', "" for INBOX; as [Directory.Resolve] reads it
	Account string // right of it, with a domain or without
}

// ParseLogin takes a login name apart at the last '#': a mailbox name may hold
// one, an address cannot. Mail programs that take '@' for themselves may write
// '%' for it: in an account part without '@' the last '%' is one.
//
// ErrBadName for names without an account part, with control characters or
// broken UTF-8, or of more than 1,024 octets.
func ParseLogin(name string) (LoginName, error) {
	if len(name) > maxLogin || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return LoginName{}, fmt.Errorf("login name of %d octets: %w", len(name), ErrBadName)
	}
	var login LoginName
	login.Account = name
	if i := strings.LastIndexByte(name, '#'); i >= 0 {
		login.Mailbox, login.Account = name[:i], name[i+1:]
	}
	if login.Account == "" {
		return LoginName{}, fmt.Errorf("login name %q without an account: %w", clip(name), ErrBadName)
	}
	if i := strings.LastIndexByte(login.Account, '%'); i >= 0 && !strings.Contains(login.Account, "@") {
		login.Account = login.Account[:i] + "@" + login.Account[i+1:]
	}
	return login, nil
}

// LoginRouter maps the account part of a login name. The router implements it.
type LoginRouter interface {
	// RouteLogin returns ErrNoAccount when the name leads to no account of
	// ours; the route's Name is set then too. local is the address that the
	// client connected to.
	RouteLogin(ctx context.Context, name string, local netip.Addr) (LoginRoute, error)
}

// LoginRoute is where the account part of a login name leads.
type LoginRoute struct {
	Account    Account
	Individual string // the local part left over by routing: a filtered view, "" shows all
	// Name is what the name came down to, the same for all spellings of it.
	Name string
}
