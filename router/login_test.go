package router

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"tripost/accounts"
	"tripost/store/storetest"
)

// TestHostileLogins signs in with names that nobody has who means well. They are
// refused with the error that a wrong password gets, after the same work: one
// password is hashed each time, whether there is such an account or not.
func TestHostileLogins(t *testing.T) {
	t.Parallel()
	cheap := accounts.PasswordParams{Memory: 64, Time: 1, ScramRounds: 4096}
	d := accounts.New(storetest.New(t), accounts.Options{Password: cheap})
	r := New(d, testOptions())
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.AddDomain(ctx, "company.test"))
	must(d.AddAccount(ctx, "ann", "tulip"))
	must(d.AddAccount(ctx, "empty", ""))
	must(d.SetForwarder(ctx, "one", "two", true))
	must(d.SetForwarder(ctx, "two", "one", true))
	must(d.AddGroup(ctx, "team", []string{"ann"}))
	must(d.SetDomain(ctx, "company.test", func(d *accounts.Domain) error { d.Unknown = "ann"; return nil }))
	setTable(t, r, "client1.test = ann.local", "a.test = b.test", "<bait> = spamtrap", "<void> = null")

	var none accounts.Service
	exempt := func(netip.Addr) bool { return true }
	a := accounts.NewAuthenticator(d, r, accounts.AuthOptions{Exempt: exempt, Cleartext: "always"})
	at := accounts.Attempt{Service: none, Remote: netip.MustParseAddr("127.0.0.1"), Local: netip.MustParseAddr("127.0.0.1")}
	names := []string{
		"ann", "empty", "nobody", // the measure for all others
		"a#b#c#ann", "##ann", "#", "##", "ann#", "ann##", "#nobody", "x#", "~", "~#ann", "~/#ann", "~/x#ann", "~nobody/x#ann", "~~#ann", "~ann",
		"", " ", "@", "ann@", "@company.test", "ann@@company.test", "ann@.", "ann@company..test", "%", "ann%", "%company.test", "!", "!ann", "a!", "ann@[", "ann@[1.2.3.4", "ann@[]",
		strings.Repeat("x", 10<<10), strings.Repeat("#", 10<<10) + "ann", strings.Repeat("a.", 5<<10) + "ann", "ann@" + strings.Repeat("x.", 5<<10) + "test",
		strings.Repeat("%", 1000) + "ann", strings.Repeat("x", 1000) + "#ann", strings.Repeat("!", 900) + "ann",
		"ann\x00", "a\rnn", "ann\r\nUSER bob", "ann\x7f", "a\x1bnn", "\u202eann", "ann\u200b", "\ufeffann",
		"\u0430nn", "\uff41nn", "a\u0303nn", "ann\u2024company.test", "ann@c\u043empany.test", "ann\uff20company.test", "\xff\xfe", "ann\xc0\x80",
		"one", "two", "team", "bait", "void", "error", "null", "all", "all@company.test", "postmaster@nowhere.test", "x@a.test",
		"ann@company.test._via", "ann@nobody.local", "x%nobody@company.test.domain", "ann@blacklisted", "ann@127.0.0.1._via", "ann@localhost._via",
		"\"ann", "ann\"", "\"\"", "\"ann\"@", "<ann", "ann>", "<>", "(ann)", "ann,ann", "ann;ann", "ann ann", "ann\\", "../ann", "ann/../x#ann", "ann@company.test\n",
		"~~ann/INBOX#ann", "~/INBOX#nobody", "~nobody@/INBOX#ann", "~@/x#nobody", "ann@company.test@company.test", "nobody%%", "company.test!nobody", "+", "ann+", "+detail", "nobody+detail",
		".", "..", ".ann", "ann.", "a..nn", "-", "$ann", "${ann}", "%s%n", "*", "*@company.test", "'or 1=1", "spamtrap", "alldomains", "public", "owner", "team+x", "jim@client1.test", "x@empty.local",
		strings.Repeat("x", 128), strings.Repeat("x", 129), strings.Repeat("x", 1024), strings.Repeat("x", 1025), strings.Repeat("\u00e9", 500), strings.Repeat("~/", 400) + "#ann",
	}
	for _, name := range names {
		for _, password := range []string{"guess", ""} {
			before := a.Hashed()
			in, err := a.Password(ctx, at, "PASS", name, password)
			if in != nil || !errors.Is(err, accounts.ErrCredentials) || err.Error() != accounts.ErrCredentials.Error() {
				t.Errorf("%.60q: %v, %v; want %v", name, in, err, accounts.ErrCredentials)
			}
			if n := a.Hashed() - before; n != 1 {
				t.Errorf("%.60q is refused after %d checks of a password", name, n)
			}
		}
	}
	if _, err := a.Password(ctx, at, "PASS", "ann", "tulip"); err != nil {
		t.Errorf("after all that ann cannot sign in: %v", err)
	}
}
