package accounts

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tripost/syslog"
)

// remembers reports whether the authenticator would take a password without
// hashing it: no hash can be made meanwhile.
func remembers(t *testing.T, a *Authenticator, login, password string) bool {
	t.Helper()
	e := a.begin(fromLoopback(), "PASS", login)
	if err := e.identify(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e.known && a.remembered.has(a.remembered.of(e.record.account.ID, e.record.credentials, password))
}

func TestRightPasswordsAreRemembered(t *testing.T) {
	t.Parallel()
	d := openAuthenticator(t).directory
	ctx := t.Context()
	now := time.Unix(1_800_000_000, 0)
	a := NewAuthenticator(d, direct{d}, AuthOptions{Remember: 10 * time.Minute, Now: func() time.Time { return now }})
	try := func(login, password string, want error) {
		t.Helper()
		at := fromLoopback()
		at.Service = POP
		_, err := a.Password(ctx, at, "PASS", login, password)
		wantError(t, err, want)
	}
	try("jsmith", "tulip", nil)
	try("jsmith", "Tulip", ErrCredentials)
	try("nobody", "tulip", ErrCredentials)
	try("empty", "", ErrCredentials)
	for _, tt := range []struct {
		login, password string
		want            bool
	}{{"jsmith", "tulip", true}, {"info", "tulip", true}, {"jsmith", "Tulip", false}, {"jsmith", "", false}, {"boss", "tulip", false}, {"nobody", "tulip", false}, {"empty", "", false}} {
		if got := remembers(t, a, tt.login, tt.password); got != tt.want {
			t.Errorf("%s %q: remembered %v", tt.login, tt.password, got)
		}
	}

	// Everything else is asked again.
	try("jsmith", "tulip", nil)
	must(t)(d.SetAccount(ctx, "jsmith", func(a *Account) error { a.Services = Set(IMAP); return nil }))
	try("jsmith", "tulip", ErrService)
	must(t)(d.SetAccount(ctx, "jsmith", func(a *Account) error { a.Locked = true; return nil }))
	try("jsmith", "tulip", ErrLocked)
	must(t)(d.SetAccount(ctx, "jsmith", func(a *Account) error { a.Locked, a.Services = false, Set(AllServices); return nil }))
	try("jsmith", "tulip", nil)

	// Ten minutes count from the check, not from the last use.
	now = now.Add(9 * time.Minute)
	try("jsmith", "tulip", nil)
	now = now.Add(time.Minute)
	if remembers(t, a, "jsmith", "tulip") {
		t.Error("remembered for longer than set")
	}
	try("jsmith", "tulip", nil)

	// A new password takes effect at once, even if it is the same.
	must(t)(nil, d.SetPassword(ctx, "jsmith", "tulip"))
	if remembers(t, a, "jsmith", "tulip") {
		t.Error("remembered across a change of the password")
	}
	must(t)(nil, d.SetPassword(ctx, "jsmith", "crocus"))
	try("jsmith", "tulip", ErrCredentials)
	try("jsmith", "crocus", nil)
	must(t)(nil, d.SetPassword(ctx, "jsmith", ""))
	try("jsmith", "crocus", ErrCredentials)
}

// A guesser waits however the owner signs in meanwhile.
func TestRememberedPasswordsWaitToo(t *testing.T) {
	t.Parallel()
	d := openAuthenticator(t).directory
	synctest.Test(t, func(t *testing.T) {
		a := NewAuthenticator(d, direct{d}, AuthOptions{Remember: time.Hour})
		at := Attempt{Remote: attacker, TLS: true}
		_, err := a.Password(t.Context(), at, "PASS", "jsmith", "tulip")
		wantError(t, err, nil)
		for i := range 5 {
			_, err := a.Password(t.Context(), at, "PASS", "boss", fmt.Sprint(i))
			wantError(t, err, ErrCredentials)
		}
		begin := time.Now()
		_, err = a.Password(t.Context(), at, "PASS", "jsmith", "tulip")
		wantError(t, err, nil)
		if took := time.Since(begin); took != 4*time.Second {
			t.Errorf("it waited %v", took)
		}
	})
}

func TestRememberedIsBounded(t *testing.T) {
	t.Parallel()
	r := newRemembered(processKey(), time.Now, time.Hour)
	r.most = 3
	c := credentials{hash: "x"}
	for i := range 5 {
		r.add(r.of(7, c, fmt.Sprint(i)))
		r.add(r.of(7, c, fmt.Sprint(i)))
		r.has(r.of(7, c, "2")) // in use, so it stays
	}
	for i, want := range []bool{false, false, true, true, true} {
		if got := r.has(r.of(7, c, fmt.Sprint(i))); got != want {
			t.Errorf("%d: remembered %v", i, got)
		}
	}
	if len(r.by) != 3 || r.order.Len() != 3 {
		t.Errorf("%d checks, %d in order", len(r.by), r.order.Len())
	}
	for _, other := range []check{r.of(8, c, "4"), r.of(7, credentials{hash: "x4"}, ""), r.of(7, credentials{hash: "y"}, "4")} {
		if r.has(other) {
			t.Error("another check is taken for it")
		}
	}
	off := newRemembered(processKey(), time.Now, 0)
	off.add(check{})
	if off.has(check{}) || len(off.by) != 0 {
		t.Error("switched off, it remembers")
	}
}

// BenchmarkSignIn measures a whole sign-in by password, with the default costs.
func BenchmarkSignIn(b *testing.B) {
	d := openDirectory(b)
	d.params = PasswordParams{}.withDefaults()
	must(b)(d.AddAccount(b.Context(), "jsmith", "tulip"))
	for name, life := range map[string]time.Duration{"hashed": 0, "remembered": time.Hour} {
		b.Run(name, func(b *testing.B) {
			log, err := syslog.Open(syslog.Options{Directory: b.TempDir(), Level: syslog.Major})
			if err != nil {
				b.Fatal(err)
			}
			defer log.Close()
			a := NewAuthenticator(d, direct{d}, AuthOptions{Remember: life, Log: log.Tag("ACCOUNT")})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Password(b.Context(), fromLoopback(), "PASS", "jsmith", "tulip"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
