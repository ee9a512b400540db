package accounts

import (
	"fmt"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/storetest"
)

// value returns what a call yields, and ends the test where it fails.
func value[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// fillInbox appends messages of 100 octets to an account's INBOX.
func fillInbox(t *testing.T, st *store.Store, acct Account, n int) {
	t.Helper()
	for range n {
		d := value(st.Draft(t.Context(), 100))(t)
		fmt.Fprintf(d, "Subject: %-87s\r\n\r\n", "x")
		must(t)(st.Append(t.Context(), store.System(), store.MailboxRef{Account: acct.ID, Name: "INBOX"}, d, store.FlagSet{}, time.Time{}))
		d.Close()
	}
}

// domainHolds compares what the accounts of a domain hold, and may hold.
func domainHolds(t *testing.T, d *Directory, domain, want string) {
	t.Helper()
	u := value(d.DomainUsage(t.Context(), value(d.Domain(t.Context(), domain))(t)))(t)
	if got := fmt.Sprint(u.Messages, u.Octets, u.MessageLimit, u.OctetLimit); got != want {
		t.Errorf("%s holds %s, want %s", domain, got, want)
	}
}

// TestDomainQuota follows the counter of a domain through what happens to its
// accounts.
func TestDomainQuota(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	st := storetest.New(t)
	d := New(st, Options{})
	must(t)(d.AddDomain(ctx, "company.test"))
	must(t)(d.AddDomain(ctx, "other.test"))
	ann := value(d.AddAccount(ctx, "ann", ""))(t)
	bob := value(d.AddAccount(ctx, "bob@other.test", ""))(t)
	fillInbox(t, st, ann, 2)
	fillInbox(t, st, bob, 1)
	must(t)(d.SetDomain(ctx, "other.test", func(d *Domain) error { d.TotalOctets, d.TotalMessages = 1000, 9; return nil }))
	domainHolds(t, d, "company.test", "2 200 0 0")
	domainHolds(t, d, "other.test", "1 100 9 1000")
	if err := d.RemoveAccount(ctx, "bob@other.test"); err != nil {
		t.Fatal(err)
	}
	domainHolds(t, d, "other.test", "0 0 9 1000")
	_, n, err := d.RestoreAccount(ctx, "bob@other.test")
	if n != 1 || err != nil {
		t.Errorf("%d messages are back, %v", n, err)
	}
	domainHolds(t, d, "other.test", "1 100 9 1000")

	// Of a domain that was made anew meanwhile it is in the new one's.
	for _, err := range []error{d.RemoveAccount(ctx, "bob@other.test"), d.RemoveDomain(ctx, "other.test")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(t)(d.AddDomain(ctx, "other.test"))
	_, _, err = d.RestoreAccount(ctx, "bob@other.test")
	wantError(t, err, nil)
	domainHolds(t, d, "other.test", "1 100 0 0")

	for _, bad := range []int64{-1, maxQuota + 1} {
		_, err := d.SetDomain(ctx, "other.test", func(d *Domain) error { d.TotalOctets = bad; return nil })
		wantError(t, err, ErrBadValue)
	}
}

// TestRestoreBeyondQuota restores an account that holds more than it and its domain
// may by now: all that it held is there again, and nothing can be added.
func TestRestoreBeyondQuota(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	st := storetest.New(t)
	d := New(st, Options{})
	must(t)(d.AddDomain(ctx, "company.test"))
	ann := value(d.AddAccount(ctx, "ann", ""))(t)
	bob := value(d.AddAccount(ctx, "bob", ""))(t)
	fillInbox(t, st, ann, 3)
	fillInbox(t, st, bob, 2)
	if err := d.RemoveAccount(ctx, "ann"); err != nil {
		t.Fatal(err)
	}
	must(t)(d.SetDomain(ctx, "company.test", func(d *Domain) error {
		d.TotalOctets, d.TotalMessages, d.MaxMessages = 100, 1, Set[int64](1)
		return nil
	}))
	_, n, err := d.RestoreAccount(ctx, "ann")
	if n != 3 || err != nil {
		t.Errorf("%d messages are back, %v", n, err)
	}
	domainHolds(t, d, "company.test", "5 500 1 100")
	more := value(st.Draft(ctx, 100))(t)
	defer more.Close()
	fmt.Fprint(more, "Subject: more\r\n\r\n")
	_, err = st.Append(ctx, store.System(), store.MailboxRef{Account: ann.ID, Name: "INBOX"}, more, store.FlagSet{}, time.Time{})
	wantError(t, err, store.ErrOverQuota)
}

// TestUpgrade opens a directory whose domains are not counted yet.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	st := storetest.New(t)
	d := New(st, Options{})
	var all []Account
	for _, name := range []string{"company.test", "other.test"} {
		must(t)(d.AddDomain(ctx, name))
		for i := range 3 {
			acct := value(d.AddAccount(ctx, fmt.Sprintf("user%d@%s", i, name), ""))(t)
			fillInbox(t, st, acct, i)
			all = append(all, acct)
		}
	}
	err := d.update(ctx, func(w *writer) error {
		for _, acct := range all {
			if err := w.tx.SetPool(acct.ID, 0); err != nil {
				return err
			}
		}
		for _, name := range []string{"company.test", "other.test"} {
			dom, err := w.Domain(name)
			if err != nil {
				return err
			}
			w.tx.RemovePool(dom.Pool)
			w.put(domainKey(name), newStored().number(0).number(0).time(dom.Created).number(0).b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Upgrade(ctx); err != nil {
			t.Fatal(err)
		}
		domainHolds(t, d, "company.test", "3 300 0 0")
		domainHolds(t, d, "other.test", "3 300 0 0")
	}
}

// TestServicesCascade asks which services are on where the server, the domain and
// the account have them set or leave them.
func TestServicesCascade(t *testing.T) {
	t.Parallel()
	none := Setting[Service]{}
	for _, c := range []struct {
		server, domain, account Setting[Service]
		want                    Service
	}{
		{none, none, none, AllServices},
		{Set(POP | Mail), none, none, POP | Mail},
		{Set(POP | Mail), Set(IMAP), none, IMAP},
		{Set(POP | Mail), Set(AllServices), none, AllServices},
		{Set(POP | Mail), none, Set(AllServices), POP | Mail},
		{none, Set(POP | IMAP), Set(IMAP | Mail), IMAP},
		{none, none, Set(Service(0)), 0},
		{Set(Service(0)), Set(POP), Set(POP), POP},
	} {
		server := Policy{Services: c.server}
		acct, dom := Account{Policy: Policy{Services: c.account}}, Domain{Policy: Policy{Services: c.domain}}
		if got := acct.services(dom, server); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
