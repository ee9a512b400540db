package alerts

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/store"
	"tripost/store/storetest"
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// world is a store with the domains company.test, which is company.example
// too, and client1.test, and the accounts ann and bob of the first and carl of
// the second.
type world struct {
	*Alerts
	t     testing.TB
	clock *clock
	dir   *accounts.Directory
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return furnish(t, storetest.New(t), Options{})
}

func furnish(t testing.TB, st *store.Store, o Options) *world {
	t.Helper()
	w := open(t, st, o)
	for _, name := range []string{"company.test", "client1.test"} {
		if _, err := w.dir.AddDomain(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.dir.SetDomain(t.Context(), "company.test", func(d *accounts.Domain) error {
		d.Aliases = []string{"company.example"}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ann", "bob", "carl@client1.test"} {
		w.add(name)
	}
	return w
}

// open puts alerts on a store that is furnished already.
func open(t testing.TB, st *store.Store, o Options) *world {
	c := &clock{t: time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)}
	if o.Now == nil {
		o.Now = c.now
	}
	dir := accounts.New(st, accounts.Options{Now: o.Now, Mailboxes: []accounts.InitialMailbox{}})
	return &world{Alerts: New(st, dir, o), t: t, clock: c, dir: dir}
}

func (w *world) add(name string) accounts.Account {
	w.t.Helper()
	a, err := w.dir.AddAccount(w.t.Context(), name, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) account(name string) accounts.Account {
	w.t.Helper()
	a, err := w.dir.Account(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// post posts a text for "server", a domain such as "@company.test" or an account.
func (w *world) post(target, text string) ID {
	w.t.Helper()
	alert, err := w.Post(w.t.Context(), to(target), text)
	if err != nil {
		w.t.Fatal(err)
	}
	return alert.ID
}

func to(target string) Target {
	if target == "server" {
		return Target{Scope: Server}
	}
	if domain, ok := strings.CutPrefix(target, "@"); ok {
		return Target{Domain, domain}
	}
	return Target{Account, target}
}

// take takes the next alert; "" is none.
func (w *world) take(name string) (text string, giveBack func()) {
	w.t.Helper()
	text, giveBack, ok, err := w.Take(w.t.Context(), w.account(name))
	if err != nil || ok != (text != "") || ok != (giveBack != nil) {
		w.t.Fatalf("taking an alert for %s: %q, %v, %v", name, text, ok, err)
	}
	return text, giveBack
}

// wantAll takes alerts until there is none, and compares.
func (w *world) wantAll(name string, want ...string) {
	w.t.Helper()
	var got []string
	for {
		text, _ := w.take(name)
		if text == "" {
			break
		}
		got = append(got, text)
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		w.t.Errorf("%s is shown %q, want %q", name, got, want)
	}
}

// list returns the texts that List returns.
func (w *world) list(only *Target) string {
	w.t.Helper()
	all, err := w.List(w.t.Context(), only)
	if err != nil {
		w.t.Fatal(err)
	}
	var texts []string
	for _, al := range all {
		texts = append(texts, al.Text)
	}
	return strings.Join(texts, "|")
}

func (w *world) remove(id ID) {
	w.t.Helper()
	if _, err := w.Remove(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
}

// fill puts a message of so many octets in an account's INBOX.
func (w *world) fill(name string, octets int) {
	w.t.Helper()
	ctx := w.t.Context()
	d, err := w.store.Draft(ctx, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer d.Close()
	head := "Subject: a load\r\n\r\n"
	io.WriteString(d, head+strings.Repeat("x", octets-len(head)-2)+"\r\n")
	ref := store.MailboxRef{Account: w.account(name).ID, Name: store.Inbox}
	if _, err := w.store.Append(ctx, store.System(), ref, d, store.FlagSet{}, time.Time{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) quota(name string, octets int64) {
	w.t.Helper()
	_, err := w.dir.SetAccount(w.t.Context(), name, func(a *accounts.Account) error {
		a.MaxOctets = accounts.Set(int64(octets))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// keys counts the records of a kind.
func (w *world) keys(kind byte) (n int) {
	w.t.Helper()
	err := w.store.View(w.t.Context(), func(r *store.Snapshot) error {
		n = 0
		for _, err := range r.Range(store.SpaceAlerts, []byte{kind}, []byte{kind + 1}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}
