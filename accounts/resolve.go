package accounts

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tripost/store"
)

// Resolve reads a mailbox name as the identity's client writes it. A name
// without '~' in front is the identity's own mailbox. "~boss/INBOX" is a
// mailbox of the account boss in the identity's domain, "~boss@client1.test/x"
// of one in another domain, "~public/x" of the account that is called public.
//
// Whether the mailbox exists and may be used is asked when it is opened. A name
// that leads to no account gives ErrNoMailbox, the same as the store gives for
// a mailbox that the identity may not know of.
func (d *Directory) Resolve(ctx context.Context, id store.Identity, name string) (store.MailboxRef, error) {
	rest, foreign := strings.CutPrefix(name, "~")
	if !foreign {
		return store.MailboxRef{Account: id.Account, Name: name}, nil
	}
	owner, mailbox, _ := strings.Cut(rest, "/")
	if owner == "" || mailbox == "" {
		return store.MailboxRef{}, fmt.Errorf("mailbox %q: %w", clip(name), ErrNoMailbox)
	}
	local, domain := splitAddress(owner)
	if domain == "" {
		_, domain = splitAddress(id.Name)
	}
	obj, err := d.Lookup(ctx, local, domain)
	switch {
	case errors.Is(err, ErrNoAccount), errors.Is(err, ErrNoDomain):
		return store.MailboxRef{}, fmt.Errorf("mailbox %q: %w", clip(name), ErrNoMailbox)
	case err != nil:
		return store.MailboxRef{}, fmt.Errorf("finding the owner of mailbox %q: %w", clip(name), err)
	}
	return store.MailboxRef{Account: obj.Account.ID, Name: mailbox}, nil
}
