package accounts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"tripost/store"
)

const (
	maxMailboxAliases = 200 // of one account
	maxMailboxName    = 255 // octets
)

// MailboxAlias is a name in an account that stands for a mailbox of another
// account, for programs that cannot write "~boss/lists". It works wherever a
// mailbox name does, and so do the names below it.
type MailboxAlias struct {
	Name   string // without '~' in front, not INBOX
	Target string // "~boss/lists", as it was given
}

func mailboxAliasKey(id store.AccountID, name string) []byte {
	return append(idKey(keyMailboxAlias, id), name...)
}

// AddMailboxAlias gives an account another name for a mailbox of somebody else.
// Whether that exists and may be used is asked whenever it is. ErrExists: the
// account has a mailbox or an alias of the name.
func (d *Directory) AddMailboxAlias(ctx context.Context, addr string, alias MailboxAlias) error {
	err := d.update(ctx, func(w *writer) error { return w.addMailboxAlias(addr, alias) })
	if err != nil {
		return fmt.Errorf("adding mailbox alias %q of %q: %w", clip(alias.Name), clip(addr), err)
	}
	return nil
}

func (w *writer) addMailboxAlias(addr string, alias MailboxAlias) error {
	acct, err := w.account(addr)
	if err != nil {
		return err
	}
	owner, mailbox, _ := strings.Cut(strings.TrimPrefix(alias.Target, "~"), "/")
	switch {
	case !isMailboxName(alias.Name) || strings.HasPrefix(alias.Name, "~") || strings.EqualFold(alias.Name, "INBOX"):
		return fmt.Errorf("name: %w: the name of a mailbox that is not INBOX and does not begin with '~'", ErrBadName)
	case !isMailboxName(alias.Target) || !strings.HasPrefix(alias.Target, "~") || owner == "" || mailbox == "":
		return fmt.Errorf("%q: %w: use ~ACCOUNT/MAILBOX", clip(alias.Target), ErrBadName)
	}
	if _, err := w.foreign(owner, acct.Address()); err != nil {
		return err
	}
	have, err := w.mailboxAliases(acct.ID)
	if err != nil {
		return err
	}
	if len(have) >= maxMailboxAliases {
		return fmt.Errorf("the account has %d: %w: at most %d", len(have), ErrBadValue, maxMailboxAliases)
	}
	for _, a := range have {
		if a.Name == alias.Name {
			return ErrExists
		}
	}
	taken, err := w.tx.HasMailbox(store.MailboxRef{Account: acct.ID, Name: alias.Name})
	if err == nil && taken {
		err = ErrExists
	}
	if err != nil {
		return err
	}
	w.put(mailboxAliasKey(acct.ID, alias.Name), newStored().text(alias.Target).b)
	return nil
}

func isMailboxName(s string) bool {
	return s != "" && len(s) <= maxMailboxName && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) &&
		!strings.HasPrefix(s, "/") && !strings.HasSuffix(s, "/")
}

// RemoveMailboxAlias removes one. ErrNoAlias.
func (d *Directory) RemoveMailboxAlias(ctx context.Context, addr, name string) error {
	err := d.update(ctx, func(w *writer) error {
		acct, err := w.account(addr)
		if err != nil {
			return err
		}
		key := mailboxAliasKey(acct.ID, name)
		b, err := w.get(key)
		if err == nil && b == nil {
			err = ErrNoAlias
		}
		if err == nil {
			w.delete(key)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("removing mailbox alias %q of %q: %w", clip(name), clip(addr), err)
	}
	return nil
}

// MailboxAliases returns an account's mailbox aliases by name.
func (d *Directory) MailboxAliases(ctx context.Context, id store.AccountID) ([]MailboxAlias, error) {
	var all []MailboxAlias
	err := d.View(ctx, func(n *Names) (err error) {
		all, err = n.mailboxAliases(id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("mailbox aliases of account %d: %w", id, err)
	}
	return all, nil
}

func (n *Names) mailboxAliases(id store.AccountID) ([]MailboxAlias, error) {
	prefix := idKey(keyMailboxAlias, id)
	var all []MailboxAlias
	err := n.each(prefix, func(key, value []byte) error {
		f := readRecord(value)
		all = append(all, MailboxAlias{string(key[len(prefix):]), f.Text()})
		return f.end(keyMailboxAlias)
	})
	return all, err
}

// aliased returns what a mailbox name of the account's own stands for, if it or a
// level above it is an alias.
func (n *Names) aliased(id store.AccountID, name string) (target string, found bool, err error) {
	for end := len(name); end > 0; end = strings.LastIndexByte(name[:end], '/') {
		b, err := n.get(mailboxAliasKey(id, name[:end]))
		if err != nil {
			return "", false, err
		}
		if b != nil {
			f := readRecord(b)
			target = f.Text() + name[end:]
			return target, true, f.end(keyMailboxAlias)
		}
	}
	return "", false, nil
}

// Unaliased returns the mailbox name that one of the account's own stands for: a
// name in another account, if it or a level above it is an alias, else the name
// itself.
func (d *Directory) Unaliased(ctx context.Context, id store.AccountID, name string) (string, error) {
	err := d.View(ctx, func(n *Names) error {
		target, found, err := n.aliased(id, name)
		if found {
			name = target
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("mailbox aliases of account %d: %w", id, err)
	}
	return name, nil
}

// foreign finds the account that is named behind a '~' by somebody.
func (n *Names) foreign(owner, by string) (Account, error) {
	local, domain := splitAddress(owner)
	if domain == "" {
		_, domain = splitAddress(by)
	}
	obj, err := n.Lookup(local, domain)
	switch {
	case errors.Is(err, ErrNoAccount), errors.Is(err, ErrNoDomain):
		return Account{}, ErrNoMailbox
	case err != nil:
		return Account{}, err
	}
	return *obj.Account, nil
}
