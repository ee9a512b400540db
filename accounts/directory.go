package accounts

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"tripost/store"
)

// Options are the settings of a [Directory]. The zero value is usable.
type Options struct {
	Now       func() time.Time // default time.Now
	Rand      io.Reader        // salts and secrets; default crypto/rand
	Mailboxes []InitialMailbox // made with each new account; nil: Drafts, Sent, Trash, Junk
	Password  PasswordParams
	// LegacyKey seals the passwords of accounts with LegacyAuth; it should have
	// 32 octets and not be in the store. Without it LegacyAuth cannot be
	// switched on, and APOP and CRAM-MD5 are not offered.
	LegacyKey []byte
	// Server is the policy of the domains that leave it to the server. What is
	// not set in it is off.
	Server Policy
	// CheckHidden says what is wrong with a name in [Policy.IMAPHide]; nil: any
	// that could be a capability's will do.
	CheckHidden func(name string) error
}

// InitialMailbox is a mailbox that each new account has beside INBOX. It is
// subscribed.
type InitialMailbox struct {
	Name       string
	SpecialUse string // RFC 6154, such as "\\Sent", or ""
}

func defaultMailboxes() []InitialMailbox {
	return []InitialMailbox{
		{Name: "Drafts", SpecialUse: `\Drafts`},
		{Name: "Sent", SpecialUse: `\Sent`},
		{Name: "Trash", SpecialUse: `\Trash`},
		{Name: "Junk", SpecialUse: `\Junk`},
	}
}

// Directory keeps domains, accounts and aliases in a store. Every exported
// method is one transaction. It may be shared by goroutines.
type Directory struct {
	store     *store.Store
	now       func() time.Time
	rand      io.Reader
	mailboxes []InitialMailbox
	params    PasswordParams
	seal      cipher.AEAD // nil without Options.LegacyKey
	server    Policy
	known     known

	checkHidden func(name string) error
}

// New returns the directory that is in st. It watches the store for as long as
// that is open.
func New(st *store.Store, o Options) *Directory {
	d := &Directory{store: st, now: o.Now, rand: o.Rand, mailboxes: o.Mailboxes, params: o.Password.withDefaults(), seal: newSeal(o.LegacyKey), server: o.Server, checkHidden: o.CheckHidden}
	d.known.store = st
	if d.now == nil {
		d.now = time.Now
	}
	if d.rand == nil {
		d.rand = rand.Reader
	}
	if d.mailboxes == nil {
		d.mailboxes = defaultMailboxes()
	}
	return d
}

// Store returns the store that the directory is in.
func (d *Directory) Store() *store.Store { return d.store }

// View calls fn with the names as they are in one state of the store.
func (d *Directory) View(ctx context.Context, fn func(*Names) error) error {
	known := d.known.now()
	return d.store.View(ctx, func(r *store.Snapshot) error {
		n := d.In(r)
		n.known = known
		return fn(n)
	})
}

// In returns the names in a state of the store that somebody else reads. It is
// valid as long as the snapshot is.
func (d *Directory) In(r *store.Snapshot) *Names { return &Names{reader: r, server: &d.server} }

// Names reads the directory in one state. It is valid only inside the function
// it was passed to, and not for concurrent use.
type Names struct {
	reader *store.Snapshot
	main   string  // the Main Domain's name, once it is known
	server *Policy // Options.Server
	known  knownAt
}

func (d *Directory) update(ctx context.Context, fn func(*writer) error) error {
	return d.store.Update(ctx, func(tx *store.Tx) error {
		return fn(&writer{Names: *d.In(&tx.Snapshot), tx: tx})
	})
}

// writer is Names inside a transaction that writes.
type writer struct {
	Names
	tx *store.Tx
}

func (w *writer) put(key, value []byte) { w.tx.Put(store.SpaceDirectory, key, value) }
func (w *writer) delete(key []byte)     { w.tx.Delete(store.SpaceDirectory, key) }

func (n *Names) get(key []byte) ([]byte, error) { return n.reader.Get(store.SpaceDirectory, key) }

// each calls fn with every item under prefix until it returns an error.
func (n *Names) each(prefix []byte, fn func(key, value []byte) error) error {
	for item, err := range n.reader.Range(store.SpaceDirectory, prefix, after(prefix)) {
		if err != nil {
			return err
		}
		if err := fn(item.Key, item.Value); err != nil {
			return err
		}
	}
	return nil
}

// first returns the first key under prefix, nil when there is none.
func (n *Names) first(prefix []byte) ([]byte, error) {
	for item, err := range n.reader.Range(store.SpaceDirectory, prefix, after(prefix)) {
		if err != nil {
			return nil, err
		}
		return append([]byte(nil), item.Key...), nil
	}
	return nil, nil
}

// random returns n octets for a salt or a secret. It is called before a
// transaction, never inside: a transaction may run again.
func (d *Directory) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(d.rand, b); err != nil {
		return nil, fmt.Errorf("reading random octets: %w", err)
	}
	return b, nil
}
