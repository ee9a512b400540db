package router

import (
	"net/netip"
	"testing"

	"tripost/accounts"
	"tripost/store/storetest"
)

func testOptions() Options {
	return Options{
		DirectMailbox: true,
		Subaddress:    "+",
		Hostname:      "mail.company.test",
		LocalAddress:  func(ip netip.Addr) bool { return ip == netip.MustParseAddr("192.0.2.1") },
	}
}

// openRouter returns a router for what testdata/routes.txt describes.
func openRouter(t testing.TB, o Options) *Router {
	t.Helper()
	d := accounts.New(storetest.New(t), accounts.Options{})
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	for _, name := range []string{"company", "client1"} {
		must(d.AddDomain(ctx, name+".test"))
		must(d.SetDomain(ctx, name+".test", func(d *accounts.Domain) error {
			d.Aliases = []string{name + ".example"}
			return nil
		}))
	}
	for _, addr := range []string{"jsmith", "boss", "Cl1", "nomail", "ann@client1.test", "dept@client1.test"} {
		must(d.AddAccount(ctx, addr, ""))
	}
	must(nil, d.AddAlias(ctx, "info", "jsmith"))
	must(nil, d.AddAlias(ctx, "help@client1.test", "ann"))
	must(d.SetAccount(ctx, "nomail", func(a *accounts.Account) error {
		a.Services = accounts.Set(accounts.AllServices &^ accounts.Mail)
		return nil
	}))
	return New(d, o)
}
