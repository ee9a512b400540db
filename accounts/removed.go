package accounts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tripost/store"
)

// removedAccount is what is kept of an account that was removed, for as long as
// its messages can be restored.
type removedAccount struct {
	account  Account
	until    time.Time
	password []byte // the record of what checks it, or empty
	legacy   []byte
	aliases  []string // local parts
	groups   []string // addresses of those that it was a member of
	boxes    []MailboxAlias
}

func removedKey(domain, local string) []byte {
	return append(append(append([]byte{keyRemoved}, domain...), 0), local...)
}

func encodeRemoved(a removedAccount) []byte {
	r := newStored().number(uint64(a.account.ID)).time(a.until).text(string(encodeAccount(a.account))).
		text(string(a.password)).text(string(a.legacy)).number(uint64(len(a.aliases)))
	for _, name := range a.aliases {
		r.text(name)
	}
	r.number(uint64(len(a.groups)))
	for _, name := range a.groups {
		r.text(name)
	}
	r.number(uint64(len(a.boxes)))
	for _, box := range a.boxes {
		r.text(box.Name).text(box.Target)
	}
	return r.b
}

func decodeRemoved(b []byte) (a removedAccount, err error) {
	f := readRecord(b)
	id := store.AccountID(f.Uint())
	a.until = f.time()
	if a.account, err = decodeAccount(id, []byte(f.Text())); err != nil {
		return a, err
	}
	a.password, a.legacy = []byte(f.Text()), []byte(f.Text())
	for range f.Count() {
		a.aliases = append(a.aliases, f.Text())
	}
	for range f.Count() {
		a.groups = append(a.groups, f.Text())
	}
	if f.More() {
		for range f.Count() {
			a.boxes = append(a.boxes, MailboxAlias{f.Text(), f.Text()})
		}
	}
	return a, f.end(keyRemoved)
}

// keepRemoved notes what an account was, in the place of one of the same name
// that was removed before.
func (w *writer) keepRemoved(acct Account, aliases []Alias, groups []string, until time.Time) error {
	was := removedAccount{account: acct, until: until, groups: groups}
	for _, a := range aliases {
		was.aliases = append(was.aliases, a.Local)
	}
	var err error
	if was.boxes, err = w.mailboxAliases(acct.ID); err != nil {
		return err
	}
	if was.password, err = w.get(idKey(keyPassword, acct.ID)); err != nil {
		return err
	}
	if was.legacy, err = w.get(idKey(keyLegacy, acct.ID)); err != nil {
		return err
	}
	if err := w.forgetRemoved(acct.Domain, acct.Local); err != nil {
		return err
	}
	w.put(removedKey(acct.Domain, acct.Local), encodeRemoved(was))
	return nil
}

// forgetRemoved drops what is kept of a removed account.
func (w *writer) forgetRemoved(domain, local string) error {
	key := removedKey(domain, local)
	b, err := w.get(key)
	if err != nil || b == nil {
		return err
	}
	was, err := decodeRemoved(b)
	if err != nil {
		return err
	}
	w.delete(key)
	return w.tx.ForgetAccount(was.account.ID)
}

// forgetAtOnce is how many removed accounts whose time is over one change of the
// directory forgets.
const forgetAtOnce = 100

// forgetOld forgets removed accounts whose time is over.
func (w *writer) forgetOld(now time.Time) error {
	var old []removedAccount
	err := w.each([]byte{keyRemoved}, func(_, value []byte) error {
		was, err := decodeRemoved(value)
		if err == nil && was.until.Before(now) && len(old) < forgetAtOnce {
			old = append(old, was)
		}
		return err
	})
	for i := range old {
		if err == nil {
			err = w.forgetRemoved(old[i].account.Domain, old[i].account.Local)
		}
	}
	return err
}

// Removed is an account that can be restored.
type Removed struct {
	Account Account
	Until   time.Time
}

// RemovedAccounts returns those that can be restored, by domain and name.
func (d *Directory) RemovedAccounts(ctx context.Context) ([]Removed, error) {
	var all []Removed
	err := d.View(ctx, func(n *Names) (err error) {
		all, err = n.RemovedAccounts(d.now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing removed accounts: %w", err)
	}
	return all, nil
}

// RemovedAccounts is [Directory.RemovedAccounts] in this state: those that can be
// restored at now.
func (n *Names) RemovedAccounts(now time.Time) ([]Removed, error) {
	var all []Removed
	err := n.each([]byte{keyRemoved}, func(_, value []byte) error {
		was, err := decodeRemoved(value)
		if err == nil && !was.until.Before(now) {
			all = append(all, Removed{was.account, was.until})
		}
		return err
	})
	return all, err
}

// RestoreAccount makes an account again that was removed: its name, settings,
// password, aliases and groups as far as their names are still free and there,
// its mailboxes with their access control lists and metadata, names of its own for those of others, and the messages that were in them, under new UIDs. It returns
// how many. They come whatever the quota of the account and its domain is by now. ErrNoAccount: none of this name was removed, or its time is over.
// ErrExists: something has taken its name.
//
// The account is there before its messages are; where restoring them fails,
// [store.Store.Restore] can go on.
func (d *Directory) RestoreAccount(ctx context.Context, addr string) (Account, int, error) {
	var was removedAccount
	err := d.update(ctx, func(w *writer) (err error) {
		was, err = w.restoreAccount(addr, d.now())
		return err
	})
	n := 0
	if err == nil {
		n, err = d.restoreMail(ctx, was)
	}
	if err != nil {
		return Account{}, n, fmt.Errorf("restoring account %q: %w", clip(addr), err)
	}
	return was.account, n, nil
}

func (w *writer) restoreAccount(addr string, now time.Time) (removedAccount, error) {
	local, domain, err := w.freeName(addr)
	if err != nil {
		return removedAccount{}, err
	}
	b, err := w.get(removedKey(domain, local))
	if err == nil && b == nil {
		err = ErrNoAccount
	}
	if err != nil {
		return removedAccount{}, err
	}
	was, err := decodeRemoved(b)
	if err == nil && was.until.Before(now) {
		err = fmt.Errorf("its time is over: %w", ErrNoAccount)
	}
	if err == nil {
		err = w.tx.ReviveAccount(was.account.ID)
	}
	if err != nil {
		return removedAccount{}, err
	}
	acct := &was.account
	w.put(objectKey(acct.Domain, acct.Local), encodeObject(object{id: acct.ID}))
	w.put(byAgeKey(acct.Domain, acct.ID), newStored().b)
	if len(was.password) > 0 {
		w.put(idKey(keyPassword, acct.ID), was.password)
	}
	if len(was.legacy) > 0 {
		w.put(idKey(keyLegacy, acct.ID), was.legacy)
	}
	if err := w.replaceCertificate(acct, ""); errors.Is(err, ErrExists) {
		acct.Certificate = "" // somebody else signs in by it now
	} else if err != nil {
		return removedAccount{}, err
	}
	w.replaceStrict(idKey(keyAccount, acct.ID), acct.Policy, Policy{})
	w.put(idKey(keyAccount, acct.ID), encodeAccount(*acct))
	w.delete(removedKey(acct.Domain, acct.Local))
	dom, err := w.Domain(acct.Domain)
	if err == nil {
		err = w.applyQuota(*acct, dom)
	}
	if err != nil {
		return removedAccount{}, err
	}
	return was, w.restoreNames(was)
}

// restoreNames gives a restored account its aliases and groups back, as far as
// they are free and there, and its mailbox aliases.
func (w *writer) restoreNames(was removedAccount) error {
	for _, alias := range was.aliases {
		err := w.addAlias(alias+"@"+was.account.Domain, was.account.Address())
		if err != nil && !errors.Is(err, ErrExists) {
			return err
		}
	}
	for _, box := range was.boxes {
		w.put(mailboxAliasKey(was.account.ID, box.Name), newStored().text(box.Target).b)
	}
	for _, name := range was.groups {
		g, err := w.group(name)
		if errors.Is(err, ErrNoGroup) || errors.Is(err, ErrNoDomain) {
			continue
		}
		if err != nil {
			return err
		}
		old := slices.Clone(g.Members)
		g.Members = append(g.Members, was.account.Address())
		if err := w.putGroup(&g, old); err != nil {
			return err
		}
	}
	return nil
}

// restoreMail brings back what was in the mailboxes when the account went.
func (d *Directory) restoreMail(ctx context.Context, was removedAccount) (int, error) {
	if err := d.store.Tidy(ctx); err != nil { // what is not cleared away yet comes too
		return 0, err
	}
	var kept []store.Expunged
	for x, err := range d.store.Expunged(ctx, was.account.ID) {
		if err != nil {
			return 0, err
		}
		if !x.Until.Before(was.until) {
			kept = append(kept, x)
		}
	}
	return d.store.RestoreBeyondQuota(ctx, was.account.ID, kept)
}
