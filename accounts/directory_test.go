package accounts

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"tripost/store/storetest"
)

func TestDomains(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := New(storetest.New(t), Options{Password: cheap})

	_, err := d.MainDomain(ctx)
	wantError(t, err, ErrNoDomain)
	_, err = d.Account(ctx, "jsmith")
	wantError(t, err, ErrNoDomain)

	dom, err := d.AddDomain(ctx, "Company.Test.")
	if err != nil || dom.Name != "company.test" || !dom.Main || dom.Services != (Setting[Service]{}) || dom.Pool == 0 {
		t.Fatalf("%+v, %v", dom, err)
	}
	dom, err = d.AddDomain(ctx, "bücher.test")
	if err != nil || dom.Name != "xn--bcher-kva.test" || dom.Main {
		t.Fatalf("%+v, %v", dom, err)
	}
	_, err = d.AddDomain(ctx, "COMPANY.test")
	wantError(t, err, ErrExists)
	for _, name := range []string{"", "a_b.test", "x.local", "local", "x.domain", "192.0.2.1", "localhost", "[192.0.2.1]", "x._via"} {
		_, err = d.AddDomain(ctx, name)
		wantError(t, err, ErrBadName)
	}
	all, err := d.Domains(ctx)
	if err != nil || len(all) != 2 || !all[0].Main || all[0].Name != "company.test" {
		t.Errorf("%+v, %v", all, err)
	}
	wantError(t, d.RemoveDomain(ctx, "company.test"), ErrMainDomain)
	wantError(t, d.RemoveDomain(ctx, ""), ErrNoDomain)
	wantError(t, d.RemoveDomain(ctx, "other.test"), ErrNoDomain)
	for _, name := range []string{"bücher.test", "company.test"} {
		if err := d.RemoveDomain(ctx, name); err != nil {
			t.Error(err)
		}
	}
	_, err = d.MainDomain(ctx)
	wantError(t, err, ErrNoDomain)
}

func TestDomainAliases(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	aliases := func(names ...string) func(*Domain) error {
		return func(d *Domain) error { d.Aliases = names; return nil }
	}

	dom, err := d.Domain(ctx, "COMPANY.example")
	if err != nil || dom.Name != "company.test" || !dom.Main {
		t.Errorf("%+v, %v", dom, err)
	}
	_, err = d.AddDomain(ctx, "company.example")
	wantError(t, err, ErrExists)
	_, err = d.SetDomain(ctx, "client1.test", aliases("company.example"))
	wantError(t, err, ErrExists)
	_, err = d.SetDomain(ctx, "client1.test", aliases("client1.test"))
	wantError(t, err, ErrExists)
	_, err = d.SetDomain(ctx, "client1.test", aliases("fine.test", "not fine"))
	wantError(t, err, ErrBadName)
	_, err = d.Domain(ctx, "fine.test")
	wantError(t, err, ErrNoDomain) // all or nothing
	wantError(t, d.RemoveDomain(ctx, "company.example"), ErrNoDomain)

	dom, err = d.SetDomain(ctx, "company.example", aliases("Two.test", "one.test", "ONE.test"))
	if err != nil || strings.Join(dom.Aliases, " ") != "one.test two.test" {
		t.Errorf("%+v, %v", dom, err)
	}
	_, err = d.Domain(ctx, "company.example")
	wantError(t, err, ErrNoDomain)

	must(t)(d.AddAccount(ctx, "ann@one.test", ""))
	acct, err := d.Account(ctx, "ann")
	if err != nil || acct.Address() != "ann@company.test" {
		t.Errorf("%+v, %v", acct, err)
	}
	if all, err := d.Accounts(ctx, "two.test"); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestSetDomain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)

	_, err := d.SetDomain(ctx, "client1.test", func(d *Domain) error { d.Name = "other.test"; return nil })
	wantError(t, err, ErrBadValue)
	_, err = d.SetDomain(ctx, "company.test", func(d *Domain) error { d.Main = false; return nil })
	wantError(t, err, ErrMainDomain)
	refused := errors.New("no")
	_, err = d.SetDomain(ctx, "company.test", func(d *Domain) error { d.Services = Set(Service(0)); return refused })
	wantError(t, err, refused)

	dom, err := d.SetDomain(ctx, "client1.test", func(d *Domain) error { d.Main, d.Services = true, Set(POP); return nil })
	if err != nil || !dom.Main {
		t.Errorf("%+v, %v", dom, err)
	}
	main, err := d.MainDomain(ctx)
	if err != nil || main.Name != "client1.test" || main.Services != Set(POP) {
		t.Errorf("%+v, %v", main, err)
	}
	if old, err := d.Domain(ctx, "company.test"); err != nil || old.Main {
		t.Errorf("%+v, %v", old, err)
	}
}

func TestDomainAddresses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	set := func(domain string, want error, addresses ...string) {
		t.Helper()
		_, err := d.SetDomain(ctx, domain, func(d *Domain) error {
			d.Addresses = nil
			for _, a := range addresses {
				d.Addresses = append(d.Addresses, netip.MustParseAddr(a))
			}
			return nil
		})
		wantError(t, err, want)
	}
	at := func(address, want string) {
		t.Helper()
		err := d.View(ctx, func(n *Names) error {
			dom, err := n.DomainAt(netip.MustParseAddr(address))
			if dom.Name != want || (want == "") != errors.Is(err, ErrNoDomain) {
				t.Errorf("at %s is %q, %v", address, dom.Name, err)
			}
			return nil
		})
		wantError(t, err, nil)
	}
	set("client1.test", nil, "::ffff:192.0.2.2", "192.0.2.2", "fe80::1%eth0")
	at("192.0.2.2", "client1.test")
	at("::ffff:192.0.2.2", "client1.test")
	at("fe80::1%eth1", "client1.test")
	at("192.0.2.1", "")
	set("company.test", ErrExists, "192.0.2.1", "192.0.2.2")
	at("192.0.2.1", "") // all or nothing
	set("company.test", ErrBadValue, "0.0.0.0")
	set("company.test", ErrBadValue, "ff02::1")
	set("company.test", ErrBadValue, slices.Repeat([]string{"192.0.2.1"}, maxAddresses+1)...)
	set("client1.test", nil, "192.0.2.3")
	at("192.0.2.2", "")
	at("192.0.2.3", "client1.test")
	set("company.test", nil, "192.0.2.2")
	must(t)(nil, d.RemoveDomain(ctx, "client1.test"))
	at("192.0.2.3", "")
	set("company.test", nil, "192.0.2.3")
	err := d.View(ctx, func(n *Names) error {
		_, err := n.DomainAt(netip.Addr{})
		return err
	})
	wantError(t, err, ErrNoDomain)
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	must(t)(d.AddAccount(ctx, "jsmith", ""))
	must(t)(d.AddAccount(ctx, "boss", ""))
	set := func(account, fingerprint string, want error) {
		t.Helper()
		_, err := d.SetAccount(ctx, account, func(a *Account) error { a.Certificate = fingerprint; return nil })
		wantError(t, err, want)
	}
	one, two := strings.Repeat("0a", 32), strings.Repeat("0b", 32)
	set("jsmith", strings.ToUpper(strings.Repeat(":0a", 32)[1:]), nil)
	if acct, err := d.Account(ctx, "jsmith"); err != nil || acct.Certificate != one {
		t.Errorf("%+v, %v", acct, err)
	}
	set("jsmith", one, nil) // again
	set("boss", one, ErrExists)
	for _, bad := range []string{"x", one[1:], one + "00", strings.Repeat("z", 64)} {
		set("boss", bad, ErrBadValue)
	}
	set("jsmith", two, nil)
	set("boss", one, nil)
	set("boss", "none", nil)
	must(t)(nil, d.RemoveAccount(ctx, "jsmith"))
	set("boss", two, nil)
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)

	acct, err := d.AddAccount(ctx, "J.Smith", "tulip")
	if err != nil || acct.Address() != "j.smith@company.test" || acct.ID == 0 || acct.Services != (Setting[Service]{}) || acct.Created.IsZero() {
		t.Fatalf("%+v, %v", acct, err)
	}
	if id := acct.Identity(); id.Account != acct.ID || id.Name != "j.smith@company.test" {
		t.Errorf("%+v", id)
	}
	for _, addr := range []string{"j.smith", "J.SMITH@company.TEST", "j.smith@company.example"} {
		got, err := d.Account(ctx, addr)
		if err != nil || got != acct {
			t.Errorf("Account(%q) = %+v, %v", addr, got, err)
		}
		_, err = d.AddAccount(ctx, addr, "")
		wantError(t, err, ErrExists)
	}
	if got, err := d.AccountByID(ctx, acct.ID); err != nil || got != acct {
		t.Errorf("%+v, %v", got, err)
	}
	same, err := d.AddAccount(ctx, "j.smith@client1.test", "")
	if err != nil || same.ID == acct.ID {
		t.Errorf("%+v, %v", same, err)
	}
	for _, addr := range []string{"", "@company.test", "a b", "x@", "ü", "a@b@company.test"} {
		if _, err := d.AddAccount(ctx, addr, ""); err == nil {
			t.Errorf("AddAccount(%q) works", addr)
		}
	}
	_, err = d.AddAccount(ctx, "x@elsewhere.test", "")
	wantError(t, err, ErrNoDomain)
	wantError(t, d.RemoveDomain(ctx, "client1.test"), ErrNotEmpty)

	if err := d.RemoveAccount(ctx, "j.smith@client1.test"); err != nil {
		t.Error(err)
	}
	_, err = d.Account(ctx, "j.smith@client1.test")
	wantError(t, err, ErrNoAccount)
	_, err = d.AccountByID(ctx, same.ID)
	wantError(t, err, ErrNoAccount)
	if err := d.RemoveDomain(ctx, "client1.test"); err != nil {
		t.Error(err)
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	for _, addr := range []string{"zoe", "ann", "ann@client1.test"} {
		must(t)(d.AddAccount(ctx, addr, ""))
	}
	if err := errors.Join(d.AddAlias(ctx, "info", "zoe"), d.AddAlias(ctx, "help@client1.test", "ann")); err != nil {
		t.Fatal(err)
	}
	var got []string
	all, err := d.Accounts(ctx, "")
	for _, a := range all {
		got = append(got, a.Address())
	}
	aliases, aliasErr := d.Aliases(ctx, "")
	for _, a := range aliases {
		got = append(got, a.Address()+"="+a.Account)
	}
	want := "ann@client1.test ann@company.test zoe@company.test help@client1.test=ann@client1.test info@company.test=zoe@company.test"
	if strings.Join(got, " ") != want || err != nil || aliasErr != nil {
		t.Errorf("%v, %v, %v", got, err, aliasErr)
	}
	if some, err := d.Accounts(ctx, "company.test"); err != nil || len(some) != 2 {
		t.Errorf("%+v, %v", some, err)
	}
	if some, err := d.Aliases(ctx, "company.example"); err != nil || len(some) != 1 {
		t.Errorf("%+v, %v", some, err)
	}
	_, err = d.Accounts(ctx, "elsewhere.test")
	wantError(t, err, ErrNoDomain)
	_ = d.View(ctx, func(n *Names) error {
		if oldest, err := n.Oldest("company.test"); err != nil || oldest.Local != "zoe" {
			t.Errorf("oldest is %+v, %v", oldest, err)
		}
		_, err := n.Oldest("elsewhere.test")
		wantError(t, err, ErrNoAccount)
		return nil
	})
}

func TestAliases(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	acct, err := d.AddAccount(ctx, "jsmith", "")
	if err != nil {
		t.Fatal(err)
	}
	must(t)(d.AddAccount(ctx, "boss@client1.test", ""))

	if err := d.AddAlias(ctx, "Info@company.test", "JSmith"); err != nil {
		t.Fatal(err)
	}
	if err := d.AddAlias(ctx, "help", "info"); err != nil { // by way of another alias
		t.Fatal(err)
	}
	obj, err := d.Lookup(ctx, "INFO", "Company.Example")
	if err != nil || obj.Account.ID != acct.ID || obj.Alias != "info" || obj.Services != AllServices {
		t.Errorf("%+v, %v", obj, err)
	}
	if obj, err = d.Lookup(ctx, "jsmith", ""); err != nil || obj.Alias != "" {
		t.Errorf("%+v, %v", obj, err)
	}
	wantError(t, d.AddAlias(ctx, "jsmith", "jsmith"), ErrExists)
	wantError(t, d.AddAlias(ctx, "info", "jsmith"), ErrExists)
	wantError(t, d.AddAlias(ctx, "new", "nobody"), ErrNoAccount)
	wantError(t, d.AddAlias(ctx, "new", "boss@client1.test"), ErrBadName)
	wantError(t, d.AddAlias(ctx, "new@client1.test", "jsmith"), ErrNoAccount)
	wantError(t, d.AddAlias(ctx, "a+b", "jsmith"), ErrBadName)
	_, err = d.AddAccount(ctx, "info", "")
	wantError(t, err, ErrExists)
	wantError(t, d.RemoveAccount(ctx, "info"), ErrNoAccount)
	wantError(t, d.RemoveAlias(ctx, "jsmith"), ErrNoAlias)
	wantError(t, d.RemoveAlias(ctx, "nothing"), ErrNoAlias)
	wantError(t, d.RemoveAlias(ctx, "not a name"), ErrNoAlias)

	if err := d.RemoveAlias(ctx, "HELP"); err != nil {
		t.Error(err)
	}
	if err := d.RemoveAccount(ctx, "jsmith"); err != nil {
		t.Error(err)
	}
	_, err = d.Lookup(ctx, "info", "company.test")
	wantError(t, err, ErrNoAccount)
	if left, err := d.Aliases(ctx, ""); err != nil || len(left) != 0 {
		t.Errorf("%+v, %v", left, err)
	}
}

func TestSetAccount(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	must(t)(d.AddAccount(ctx, "jsmith", ""))
	acct, err := d.SetAccount(ctx, "jsmith", func(a *Account) error {
		a.RealName, a.Services, a.MaxOctets, a.Locked = "J. Smïth", Set(POP|Mail), Set[int64](1<<30), true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.Account(ctx, "jsmith"); err != nil || got != acct || got.RealName != "J. Smïth" || !got.Locked {
		t.Errorf("%+v, %v", got, err)
	}
	usage, err := d.Store().Usage(ctx, acct.ID)
	if err != nil || usage.OctetLimit != 1<<30 {
		t.Errorf("%+v, %v", usage, err)
	}
	for name, change := range map[string]func(*Account){
		"name":       func(a *Account) { a.Local = "other" },
		"id":         func(a *Account) { a.ID++ },
		"quota":      func(a *Account) { a.MaxOctets = Set[int64](-1) },
		"line end":   func(a *Account) { a.RealName = "a\nb" },
		"long":       func(a *Account) { a.RealName = strings.Repeat("x", 256) },
		"not UTF-8":  func(a *Account) { a.RealName = "\xff" },
		"other home": func(a *Account) { a.Domain = "client1.test" },
	} {
		_, err := d.SetAccount(ctx, "jsmith", func(a *Account) error { change(a); return nil })
		if !errors.Is(err, ErrBadValue) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewAccountHasItsMailboxes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	acct, err := d.AddAccount(ctx, "jsmith", "")
	if err != nil {
		t.Fatal(err)
	}
	boxes, err := d.Store().Mailboxes(ctx, acct.Identity(), acct.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range boxes {
		got = append(got, b.Name+b.SpecialUse)
	}
	if strings.Join(got, " ") != `INBOX Drafts\Drafts Junk\Junk Sent\Sent Trash\Trash` {
		t.Errorf("mailboxes are %v", got)
	}
	subscribed, err := d.Store().Subscriptions(ctx, acct.ID)
	if err != nil || len(subscribed) != 5 {
		t.Errorf("%v, %v", subscribed, err)
	}
}

func TestOneNameOneWinner(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	must(t)(d.AddAccount(ctx, "zoe", ""))
	const tries = 20
	errs := make([]error, tries)
	var wg sync.WaitGroup
	for i := range tries {
		wg.Go(func() {
			if i%2 == 0 {
				_, errs[i] = d.AddAccount(ctx, "ann", "")
			} else {
				errs[i] = d.AddAlias(ctx, "ann", "zoe")
			}
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, ErrExists) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d took the same name", won, tries)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	ids := map[string]Account{}
	for _, addr := range []string{"jsmith", "boss", "public", "boss@client1.test"} {
		acct, err := d.AddAccount(ctx, addr, "")
		if err != nil {
			t.Fatal(err)
		}
		ids[acct.Address()] = acct
	}
	if err := d.AddAlias(ctx, "chief", "boss"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ who, name, owner, mailbox string }{
		{"jsmith@company.test", "INBOX", "jsmith@company.test", "INBOX"},
		{"jsmith@company.test", "lists/info", "jsmith@company.test", "lists/info"},
		{"jsmith@company.test", "a~b", "jsmith@company.test", "a~b"},
		{"jsmith@company.test", "~boss/INBOX", "boss@company.test", "INBOX"},
		{"jsmith@company.test", "~Boss/Old/2025", "boss@company.test", "Old/2025"},
		{"jsmith@company.test", "~chief/INBOX", "boss@company.test", "INBOX"},
		{"jsmith@company.test", "~public/announces", "public@company.test", "announces"},
		{"jsmith@company.test", "~boss@client1.test/INBOX", "boss@client1.test", "INBOX"},
		{"jsmith@company.test", "~boss@company.example/INBOX", "boss@company.test", "INBOX"},
		{"jsmith@company.test", "~jsmith/Sent", "jsmith@company.test", "Sent"},
		{"boss@client1.test", "~boss/x", "boss@client1.test", "x"},
	} {
		ref, err := d.Resolve(ctx, ids[tt.who].Identity(), tt.name)
		if err != nil || ref.Account != ids[tt.owner].ID || ref.Name != tt.mailbox {
			t.Errorf("%s: Resolve(%q) = %+v, %v", tt.who, tt.name, ref, err)
		}
	}
	for _, name := range []string{"~", "~/", "~/INBOX", "~boss", "~boss/", "~nobody/INBOX", "~boss@elsewhere.test/INBOX", "~@/x", "~boss@/x", "~public@client1.test/x"} {
		if ref, err := d.Resolve(ctx, ids["jsmith@company.test"].Identity(), name); !errors.Is(err, ErrNoMailbox) {
			t.Errorf("Resolve(%q) = %+v, %v", name, ref, err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	d := openDirectory(b)
	for i := range 200 {
		must(b)(d.AddAccount(b.Context(), fmt.Sprintf("user%d", i), ""))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Lookup(b.Context(), "user100", "company.test"); err != nil {
			b.Fatal(err)
		}
	}
}
