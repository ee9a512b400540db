package router

import (
	"strings"
	"testing"

	"tripost/accounts"
)

// openNamed returns a router with forwarders, groups and policies for unknown
// names beside what openRouter has.
func openNamed(t testing.TB) *Router {
	t.Helper()
	r := openRouter(t, testOptions())
	d, ctx := r.directory, t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range [][2]string{
		{"sales", "jsmith"}, {"chain", "sales"}, {"out", "j.smith@elsewhere.test"}, {"one", "two"}, {"two", "three"}, {"three", "one"},
		{"box", "lists#jsmith@company.test"}, {"via", "j%elsewhere.test@gate.test._via"},
		{"person", "abcdef@Cl1.local"},
	} {
		must(d.SetForwarder(ctx, f[0], f[1], true))
	}
	must(d.AddGroup(ctx, "team", []string{"jsmith", "boss", "out@elsewhere.test"}))
	must(d.AddGroup(ctx, "both", []string{"team", "ann@client1.test"}))
	must(d.AddGroup(ctx, "flat", []string{"team", "jsmith"}))
	must(d.SetGroup(ctx, "flat", func(g *accounts.Group) error { g.Flat = true; return nil }))
	must(d.AddGroup(ctx, "silent", []string{"jsmith"}))
	must(d.SetGroup(ctx, "silent", func(g *accounts.Group) error { g.NoMail, g.Senders = true, accounts.SendersMembers; return nil }))
	must(d.AddGroup(ctx, "empty", nil))
	must(d.AddGroup(ctx, "postmaster@client1.test", []string{"ann@client1.test"}))
	return r
}

func TestObjects(t *testing.T) {
	t.Parallel()
	r := openNamed(t)
	for _, c := range []struct{ addr, want string }{
		{"sales", "account jsmith@company.test"},
		{"SALES@company.example", "account jsmith@company.test"},
		{"login:sales", "account jsmith@company.test"},
		{"chain", "account jsmith@company.test"},
		{"login:chain@company.test", "account jsmith@company.test"},
		{"out", "send j.smith@elsewhere.test to the MX hosts of elsewhere.test, also for strangers"},
		{"login:out", "refuse: 550 5.1.1 not an account here"},
		{"one", "refuse: 554 5.4.6 the address leads in a circle"},
		{"login:two", "refuse: 554 5.4.6 the address leads in a circle"},
		{"box", "account jsmith@company.test, mailbox lists"},
		{"via", "send j@elsewhere.test to host gate.test, also for strangers"},
		{"person", "account cl1@company.test, for abcdef"},
		{"lists#sales", "refuse: 550 5.1.1 no such account in company.test"},
		{"sales+detail", "refuse: 550 5.1.1 no such account in company.test"},
		{"x%elsewhere.test@company.test", "send x@elsewhere.test to the MX hosts of elsewhere.test"},
		{"team", "each of boss@company.test, jsmith@company.test, out@elsewhere.test"},
		{"login:team", "refuse: 550 5.1.1 not an account here"},
		{"both@company.test", "each of ann@client1.test, team@company.test"},
		{"flat", "each of jsmith@company.test"},
		{"silent", "refuse: 550 5.2.1 silent@company.test does not receive mail"},
		{"empty", "refuse: 550 5.1.1 empty@company.test has no members"},
		{"postmaster@client1.test", "each of ann@client1.test"},
		{"abuse@client1.test", "each of ann@client1.test"},
		{"abuse", "account jsmith@company.test"},
		{"all", "refuse: 550 5.1.1 no such account in company.test"},
	} {
		tryObject(t, r, c.addr, c.want)
	}
}

func tryObject(t *testing.T, r *Router, addr, want string) {
	t.Helper()
	purpose := ForMail
	question, login := strings.CutPrefix(addr, "login:")
	if login {
		purpose = ForLogin
	}
	res, err := r.Route(t.Context(), question, purpose, true)
	got := res.describe()
	if res.Kind == Remote && !res.Relay {
		got += strangers
	}
	if err != nil || got != want {
		t.Errorf("%s: %s, %v; want %s\n%v", addr, got, err, want, res.Steps)
	}
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	r := openNamed(t)
	for _, c := range []struct{ policy, addr, want string }{
		{"discard", "nobody", "accept and throw away"},
		{"discard", "login:nobody", "refuse: 550 5.1.1 no such account in company.test"},
		{"discard", "nobody@client1.test", "refuse: 550 5.1.1 no such account in client1.test"},
		{"discard", "sales+x", "accept and throw away"},
		{"discard", "postmaster", "account jsmith@company.test"},
		{"boss", "nobody", "account boss@company.test"},
		{"boss", "login:nobody", "refuse: 550 5.1.1 no such account in company.test"},
		{"boss", "jsmith", "account jsmith@company.test"},
		{"boss", "abuse@company.test", "account jsmith@company.test"},
		{"boss", "box#nobody", "refuse: 550 5.1.1 no such account in company.test"},
		{"*@cl1.local", "Some.Body", "account cl1@company.test, for Some.Body"},
		{"*@cl1.local", `"a b"`, `account cl1@company.test, for a b`},
		{"*%company.test@old.test._via", "jim", "send jim@company.test to host old.test, also for strangers"},
		{"*%company.test@old.test._via", "jsmith", "account jsmith@company.test"},
		{"nobody-either", "nobody", "refuse: 550 5.1.1 what unknown names of company.test lead to is unknown too"},
		{"x-*", "y", "refuse: 550 5.1.1 what unknown names of company.test lead to is unknown too"},
		{"one", "nobody", "refuse: 554 5.4.6 the address leads in a circle"},
		{"team", "nobody", "each of boss@company.test, jsmith@company.test, out@elsewhere.test"},
	} {
		if _, err := r.directory.SetDomain(t.Context(), "", func(d *accounts.Domain) error { d.Unknown = c.policy; return nil }); err != nil {
			t.Fatal(err)
		}
		tryObject(t, r, c.addr, c.want)
	}
}

func TestAllAccounts(t *testing.T) {
	t.Parallel()
	r := openNamed(t)
	set := func(change func(*accounts.Domain)) {
		t.Helper()
		if _, err := r.directory.SetDomain(t.Context(), "client1.test", func(d *accounts.Domain) error { change(d); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	tryObject(t, r, "all@client1.test", "refuse: 550 5.1.1 no such account in client1.test")
	set(func(d *accounts.Domain) { d.AllSenders = accounts.SendersDomain })
	tryObject(t, r, "All@client1.example", "each of ann@client1.test, dept@client1.test")
	tryObject(t, r, "login:all@client1.test", "refuse: 550 5.1.1 no such account in client1.test")
	res, err := r.Route(t.Context(), "all@client1.test", ForMail, false)
	if err != nil || res.Senders != accounts.SendersDomain || res.List.Address() != "all@client1.test" {
		t.Errorf("%+v, %v", res, err)
	}
	tryObject(t, r, "alldomains@client1.test", "refuse: 550 5.1.1 no such account in client1.test")
	tryObject(t, r, "alldomains", "refuse: 550 5.1.1 no such account in company.test")
	if _, err := r.directory.SetDomain(t.Context(), "", func(d *accounts.Domain) error { d.AllSenders = accounts.SendersUsers; return nil }); err != nil {
		t.Fatal(err)
	}
	tryObject(t, r, "AllDomains@company.test", "each of jsmith@company.test, boss@company.test, cl1@company.test, ann@client1.test, dept@client1.test")
	set(func(d *accounts.Domain) { d.MailToAll = accounts.Set(false) })
	if _, err := r.directory.SetAccount(t.Context(), "ann@client1.test", func(a *accounts.Account) error { a.MailToAll = accounts.Set(true); return nil }); err != nil {
		t.Fatal(err)
	}
	tryObject(t, r, "all@client1.test", "each of ann@client1.test")
	set(func(d *accounts.Domain) { d.Unknown = accounts.UnknownDiscard; d.AllSenders = accounts.SendersNobody })
	tryObject(t, r, "all@client1.test", "accept and throw away")
	if _, err := r.directory.SetForwarder(t.Context(), "all@client1.test", "ann", true); err != nil {
		t.Fatal(err)
	}
	tryObject(t, r, "all@client1.test", "account ann@client1.test")
}
