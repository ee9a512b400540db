package accounts

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tripost/store"
)

// Resolve reads a mailbox name as the identity's client writes it. A name
// without '~' in front is the identity's own mailbox, or what an alias of its
// stands for. "~boss/INBOX" is a mailbox of the account boss in the identity's
// domain, "~boss@client1.test/x" of one in another domain, "~public/x" of the
// account that is called public.
//
// Whether the mailbox exists and may be used is asked when it is opened. A name
// that leads to no account gives ErrNoMailbox, the same as the store gives for
// a mailbox that the identity may not know of.
func (d *Directory) Resolve(ctx context.Context, id store.Identity, name string) (store.MailboxRef, error) {
	var ref store.MailboxRef
	err := d.View(ctx, func(n *Names) (err error) {
		ref, err = n.resolve(id, name)
		return err
	})
	switch {
	case errors.Is(err, ErrNoMailbox):
		return store.MailboxRef{}, fmt.Errorf("mailbox %q: %w", clip(name), ErrNoMailbox)
	case err != nil:
		return store.MailboxRef{}, fmt.Errorf("finding the owner of mailbox %q: %w", clip(name), err)
	}
	return ref, nil
}

func (n *Names) resolve(id store.Identity, name string) (store.MailboxRef, error) {
	if !strings.HasPrefix(name, "~") {
		target, found, err := n.aliased(id.Account, name)
		if err != nil || !found {
			return store.MailboxRef{Account: id.Account, Name: name}, err
		}
		name = target
	}
	owner, mailbox, _ := strings.Cut(name[1:], "/")
	if owner == "" || mailbox == "" {
		return store.MailboxRef{}, ErrNoMailbox
	}
	acct, err := n.foreign(owner, id.Name)
	return store.MailboxRef{Account: acct.ID, Name: mailbox}, err
}
