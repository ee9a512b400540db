package accounts

import (
	"cmp"
	"context"
	"crypto/cipher"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tripost/store"
)

// maxRealName bounds the octets of Account.RealName.
const maxRealName = 255

// Account is who owns mailboxes.
type Account struct {
	ID       store.AccountID
	Local    string // canonical, "jsmith"
	Domain   string // canonical, "company.test"
	RealName string
	Locked   bool // it receives mail, but nobody can sign in
	// Compromised is set with Locked for an account in wrong hands: besides, nothing
	// that its rules ask for is done.
	Compromised bool
	Created     time.Time

	// LegacyAuth lets it sign in by APOP and CRAM-MD5, for which its password is
	// kept in a form that can be read again. It takes effect when the password
	// is next set. It cannot be switched on without Options.LegacyKey.
	LegacyAuth bool
	// Certificate is the client certificate that signs in to it by EXTERNAL, as
	// [Fingerprint] writes it, or "". No two accounts have the same.
	Certificate string
	// Policy is its own part of it; [Directory.Policy] returns what counts.
	Policy
}

// Address returns the canonical address, "jsmith@company.test".
func (a Account) Address() string { return a.Local + "@" + a.Domain }

// Identity returns as whom the account acts in the store.
func (a Account) Identity() store.Identity {
	return store.Identity{Account: a.ID, Name: a.Address()}
}

// AddAccount makes an account with its INBOX and the initial
// mailboxes. An address without a domain is one of the Main Domain. Without a
// password ("") nobody can sign in to it yet.
func (d *Directory) AddAccount(ctx context.Context, addr, password string) (Account, error) {
	var cred *credentials
	if password != "" {
		derived, err := d.derive(password)
		if err != nil {
			return Account{}, fmt.Errorf("adding account %q: %w", clip(addr), err)
		}
		cred = &derived
	}
	var acct Account
	err := d.update(ctx, func(w *writer) (err error) {
		acct, err = w.addAccount(addr, cred, d.mailboxes, d.now())
		return err
	})
	if err != nil {
		return Account{}, fmt.Errorf("adding account %q: %w", clip(addr), err)
	}
	return acct, nil
}

func (w *writer) addAccount(addr string, cred *credentials, mailboxes []InitialMailbox, now time.Time) (Account, error) {
	local, dom, err := w.freeName(addr)
	if err != nil {
		return Account{}, err
	}
	id, err := w.tx.CreateAccount()
	if err != nil {
		return Account{}, err
	}
	if err := w.addMailboxes(id, mailboxes); err != nil {
		return Account{}, err
	}
	acct := Account{ID: id, Local: local, Domain: dom, Created: now.UTC().Truncate(time.Second)}
	w.put(objectKey(dom, local), encodeObject(object{id: id}))
	w.put(byAgeKey(dom, id), newStored().b)
	w.put(idKey(keyAccount, id), encodeAccount(acct))
	if cred != nil {
		w.put(idKey(keyPassword, id), encodeCredentials(*cred))
	}
	of, err := w.Domain(dom)
	if err != nil {
		return Account{}, err
	}
	return acct, w.applyQuota(acct, of)
}

func (w *writer) addMailboxes(id store.AccountID, mailboxes []InitialMailbox) error {
	if err := w.tx.Subscribe(id, "INBOX", true); err != nil {
		return err
	}
	for _, m := range mailboxes {
		ref := store.MailboxRef{Account: id, Name: m.Name}
		if err := w.tx.CreateMailbox(store.System(), ref, store.CreateOptions{SpecialUse: m.SpecialUse}); err != nil {
			return fmt.Errorf("making mailbox %q: %w", m.Name, err)
		}
		if err := w.tx.Subscribe(id, m.Name, true); err != nil {
			return fmt.Errorf("subscribing mailbox %q: %w", m.Name, err)
		}
	}
	return nil
}

// freeName reads the address of something new, and returns its canonical parts
// if nothing has that name yet.
func (w *writer) freeName(addr string) (local, domain string, err error) {
	local, domain = splitAddress(addr)
	if local, err = CanonicalName(local); err != nil {
		return "", "", err
	}
	dom, err := w.Domain(domain)
	if err != nil {
		return "", "", err
	}
	_, found, err := w.object(dom.Name, local)
	if err == nil && found {
		err = ErrExists
	}
	return local, dom.Name, err
}

// Account returns the account with this address, or with this alias. An address
// without a domain is one of the Main Domain. ErrNoDomain, ErrNoAccount.
func (d *Directory) Account(ctx context.Context, addr string) (Account, error) {
	var acct Account
	err := d.View(ctx, func(n *Names) (err error) {
		acct, err = n.account(addr)
		return err
	})
	return acct, err
}

func (n *Names) account(addr string) (Account, error) {
	obj, err := n.Lookup(splitAddress(addr))
	if err != nil {
		return Account{}, err
	}
	return *obj.Account, nil
}

// AccountByID returns the account with this id, or ErrNoAccount.
func (d *Directory) AccountByID(ctx context.Context, id store.AccountID) (Account, error) {
	var acct Account
	err := d.View(ctx, func(n *Names) (err error) {
		acct, err = n.AccountByID(id)
		return err
	})
	return acct, err
}

// AccountByID returns the account with this id, or ErrNoAccount.
func (n *Names) AccountByID(id store.AccountID) (Account, error) {
	b, err := n.get(idKey(keyAccount, id))
	if err != nil {
		return Account{}, err
	}
	if b == nil {
		return Account{}, fmt.Errorf("account %d: %w", id, ErrNoAccount)
	}
	return decodeAccount(id, b)
}

// Oldest returns the account of a domain (canonical name) that was made first,
// or ErrNoAccount.
func (n *Names) Oldest(domain string) (Account, error) {
	prefix := byAgePrefix(domain)
	key, err := n.first(prefix)
	if err != nil {
		return Account{}, err
	}
	if key == nil {
		return Account{}, fmt.Errorf("domain %q is empty: %w", domain, ErrNoAccount)
	}
	return n.AccountByID(idAt(key[len(prefix):]))
}

// Accounts returns the accounts of a domain, given by name or alias, or of all
// domains for "", ordered by domain and name.
func (d *Directory) Accounts(ctx context.Context, domain string) ([]Account, error) {
	var all []Account
	err := d.View(ctx, func(n *Names) (err error) {
		all, err = n.accounts(domain)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing accounts of %q: %w", clip(domain), err)
	}
	return all, nil
}

func (n *Names) accounts(domain string) ([]Account, error) {
	if domain != "" {
		dom, err := n.Domain(domain)
		if err != nil {
			return nil, err
		}
		domain = dom.Name
	}
	var all []Account
	err := n.each([]byte{keyAccount}, func(key, value []byte) error {
		acct, err := decodeAccount(idAt(key[1:]), value)
		if err == nil && (domain == "" || acct.Domain == domain) {
			all = append(all, acct)
		}
		return err
	})
	slices.SortFunc(all, func(a, b Account) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Local, b.Local))
	})
	return all, err
}

// SetAccount lets change alter an account. Its id, name and time of creation
// stay. change may be called more than once.
func (d *Directory) SetAccount(ctx context.Context, addr string, change func(*Account) error) (Account, error) {
	var acct Account
	err := d.update(ctx, func(w *writer) (err error) {
		acct, err = w.setAccount(addr, func(a *Account) error { return d.hiding(&a.Policy, func() error { return change(a) }) }, d.seal)
		return err
	})
	if err != nil {
		return Account{}, fmt.Errorf("setting account %q: %w", clip(addr), err)
	}
	return acct, nil
}

func (w *writer) setAccount(addr string, change func(*Account) error, seal cipher.AEAD) (Account, error) {
	old, err := w.account(addr)
	if err != nil {
		return Account{}, err
	}
	acct := old
	if err := change(&acct); err != nil {
		return Account{}, err
	}
	if acct.ID != old.ID || acct.Address() != old.Address() || !acct.Created.Equal(old.Created) {
		return Account{}, fmt.Errorf("id, name and time of creation stay: %w", ErrBadValue)
	}
	if !isRealName(acct.RealName) {
		return Account{}, fmt.Errorf("real name: %w: one line of UTF-8, at most %d octets", ErrBadValue, maxRealName)
	}
	if err := acct.Policy.check(); err != nil {
		return Account{}, err
	}
	if err := w.replaceCertificate(&acct, old.Certificate); err != nil {
		return Account{}, err
	}
	if err := w.setLegacy(acct, old, seal); err != nil {
		return Account{}, err
	}
	w.replaceStrict(idKey(keyAccount, acct.ID), acct.Policy, old.Policy)
	w.put(idKey(keyAccount, acct.ID), encodeAccount(acct))
	dom, err := w.Domain(acct.Domain)
	if err != nil {
		return Account{}, err
	}
	return acct, w.applyQuota(acct, dom)
}

func isRealName(s string) bool {
	return len(s) <= maxRealName && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// RemoveAccount removes an account, given by its own address, with its aliases,
// mailboxes and messages. For as long as these can be restored so can the
// account: see [Directory.RestoreAccount].
func (d *Directory) RemoveAccount(ctx context.Context, addr string) error {
	now := d.now()
	err := d.update(ctx, func(w *writer) error { return w.removeAccount(addr, now, d.store.Undelete()) })
	if err != nil {
		return fmt.Errorf("removing account %q: %w", clip(addr), err)
	}
	return nil
}

func (w *writer) removeAccount(addr string, now time.Time, keep time.Duration) error {
	obj, err := w.Lookup(splitAddress(addr))
	if err != nil {
		return err
	}
	acct := *obj.Account
	if obj.Alias != "" {
		return fmt.Errorf("it is an alias of %s: %w", acct.Address(), ErrNoAccount)
	}
	aliases, err := w.aliasesOf(acct)
	if err != nil {
		return err
	}
	groups, err := w.groupsWith(acct.Address())
	if err != nil {
		return err
	}
	if err := w.forgetOld(now); err != nil {
		return err
	}
	if keep > 0 {
		if err := w.keepRemoved(acct, aliases, groups, w.tx.Now().Add(keep)); err != nil {
			return err
		}
	}
	for _, a := range aliases {
		w.deleteAlias(a.Domain, a.Local, acct.ID)
	}
	if acct.Certificate != "" {
		w.delete(certificateKey(acct.Certificate))
	}
	w.replaceStrict(idKey(keyAccount, acct.ID), Policy{}, acct.Policy)
	w.delete(objectKey(acct.Domain, acct.Local))
	w.delete(byAgeKey(acct.Domain, acct.ID))
	w.delete(idKey(keyPassword, acct.ID))
	w.delete(idKey(keyLegacy, acct.ID))
	w.delete(idKey(keyAccount, acct.ID))
	boxes, err := w.mailboxAliases(acct.ID)
	if err != nil {
		return err
	}
	for _, a := range boxes {
		w.delete(mailboxAliasKey(acct.ID, a.Name))
	}
	if err := w.leaveGroups(acct.Address()); err != nil {
		return err
	}
	if err := w.tx.RemoveAccount(acct.ID); err != nil {
		return err
	}
	if keep <= 0 {
		return w.tx.ForgetAccount(acct.ID)
	}
	return nil
}
