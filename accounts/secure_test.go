package accounts

import (
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"time"
)

// A service that is off for the account or for its domain ends every way of
// signing in, after the password.
func TestServicesOff(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	ctx := t.Context()
	off := func(account, domain Service) {
		t.Helper()
		must(t)(a.directory.SetAccount(ctx, "jsmith", func(a *Account) error { a.Services = Set(AllServices &^ account); return nil }))
		must(t)(a.directory.SetDomain(ctx, "company.test", func(d *Domain) error { d.Services = Set(AllServices &^ domain); return nil }))
	}
	for _, service := range []Service{POP, IMAP, Relay, Mail} {
		at := fromLoopback()
		at.Service = service
		for _, tt := range []struct {
			account, domain Service
			want            error
		}{
			{0, 0, nil},
			{service, 0, ErrService},
			{0, service, ErrService},
			{service, service, ErrService},
			{AllServices &^ service, AllServices &^ service, nil},
			{AllServices, 0, ErrService},
		} {
			off(tt.account, tt.domain)
			_, err := a.Password(ctx, at, "PASS", "jsmith", "tulip")
			wantError(t, err, tt.want)
			_, err = a.Password(ctx, at, "PASS", "jsmith", "wrong")
			wantError(t, err, ErrCredentials)
			_, err = scramAs(t, a, at, "jsmith", "tulip", "")
			wantError(t, err, tt.want)
		}
	}
	off(AllServices, AllServices)
	_, err := a.Password(ctx, fromLoopback(), "PASS", "jsmith", "tulip") // asks for no service
	wantError(t, err, nil)
}

func TestSecureMethodRequired(t *testing.T) {
	t.Parallel()
	d := openAuthenticator(t).directory
	ctx := t.Context()
	for _, tt := range []struct {
		account, domain Choice
		server, want    bool
	}{
		{Default, Default, false, false},
		{Default, Default, true, true},
		{Default, On, false, true},
		{Default, Off, true, false},
		{On, Off, false, true},
		{Off, On, true, false},
		{On, Default, false, true},
	} {
		must(t)(d.SetAccount(ctx, "jsmith", func(a *Account) error { a.SecureMethodRequired = tt.account; return nil }))
		must(t)(d.SetDomain(ctx, "company.test", func(d *Domain) error { d.SecureMethodRequired = tt.domain; return nil }))
		a := NewAuthenticator(d, direct{d}, AuthOptions{SecureMethodRequired: tt.server})
		var want error
		if tt.want {
			want = ErrInsecure
		}
		clear, encrypted := fromLoopback(), fromLoopback()
		encrypted.TLS = true
		_, err := a.Password(ctx, clear, "PASS", "jsmith", "tulip")
		wantError(t, err, want)
		_, err = a.Password(ctx, encrypted, "PASS", "jsmith", "tulip")
		wantError(t, err, nil)
		_, err = scramAs(t, a, clear, "jsmith", "tulip", "") // shows no password
		wantError(t, err, nil)
		for _, wrong := range [][2]string{{"jsmith", "Tulip"}, {"nobody", "tulip"}} { // tell nothing of the setting
			_, err = a.Password(ctx, clear, "PASS", wrong[0], wrong[1])
			wantError(t, err, ErrCredentials)
		}
	}
}

func TestParseChoice(t *testing.T) {
	t.Parallel()
	for _, c := range []Choice{Default, On, Off} {
		if got, err := ParseChoice(c.String()); got != c || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	}
	if got, err := ParseChoice(" Yes"); got != On || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	_, err := ParseChoice("maybe")
	wantError(t, err, ErrBadValue)
}

// A token that crosses the network in clear is as good as a password, a digest
// or a certificate is not.
func TestSecureMethods(t *testing.T) {
	t.Parallel()
	a := openWithAll(t)
	ctx := t.Context()
	must(t)(a.directory.SetDomain(ctx, "company.test", func(d *Domain) error { d.SecureMethodRequired = On; return nil }))
	clear, encrypted := fromLoopback(), fromLoopback()
	encrypted.TLS = true
	for _, tt := range []struct {
		at                  Attempt
		mechanism, response string
		want                error
	}{
		{clear, "PLAIN", "\x00jsmith\x00tulip", ErrInsecure},
		{clear, "PLAIN", "\x00jsmith\x00wrong", ErrCredentials},
		{clear, "OAUTHBEARER", "n,,\x01auth=Bearer of-jsmith\x01\x01", ErrInsecure},
		{clear, "XOAUTH2", "user=jsmith\x01auth=Bearer of-jsmith\x01\x01", ErrInsecure},
		{encrypted, "PLAIN", "\x00jsmith\x00tulip", nil},
		{encrypted, "OAUTHBEARER", "n,,\x01auth=Bearer of-jsmith\x01\x01", nil},
	} {
		server, err := a.SASL(ctx, tt.at, tt.mechanism, func(*SignedIn) {})
		wantError(t, err, nil)
		_, _, err = server.Next([]byte(tt.response))
		wantError(t, err, tt.want)
	}
	_, err := a.APOP(ctx, clear, "<1@x>", "old", hex.EncodeToString(digestAPOP("<1@x>", "tulip")))
	wantError(t, err, nil)

	// Tokens go where passwords may go.
	far := Attempt{Remote: owner}
	for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
		_, err := a.SASL(ctx, far, mechanism, nil)
		wantError(t, err, ErrInsecure)
	}
	for _, mechanism := range a.Mechanisms(far) {
		if mechanism != "SCRAM-SHA-256" && mechanism != "CRAM-MD5" {
			t.Errorf("%s is offered without TLS", mechanism)
		}
	}
}

// Passwords change and accounts are locked while their owners poll: the last
// change counts, from the moment that it is made.
func TestChangesWhileSigningIn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openWithAll(t).directory
	a := NewAuthenticator(d, direct{d}, AuthOptions{Remember: time.Hour, Tokens: testTokens{}})
	var polls sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		polls.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := a.Password(ctx, fromLoopback(), "PASS", "old", "tulip")
				if err != nil && !errors.Is(err, ErrCredentials) && !errors.Is(err, ErrLocked) {
					t.Error(err)
				}
				_, _ = a.APOP(ctx, fromLoopback(), "<1@x>", "old", hex.EncodeToString(digestAPOP("<1@x>", "tulip")))
				a.Mechanisms(fromLoopback())
			}
		})
	}
	try := func(password string, want error) {
		t.Helper()
		_, err := a.Password(ctx, fromLoopback(), "PASS", "old", password)
		wantError(t, err, want)
	}
	for range 5 {
		must(t)(nil, d.SetPassword(ctx, "old", "crocus"))
		try("tulip", ErrCredentials)
		try("crocus", nil)
		must(t)(nil, d.SetPassword(ctx, "old", "tulip"))
		try("crocus", ErrCredentials)
		try("tulip", nil)
		must(t)(d.SetAccount(ctx, "old", func(a *Account) error { a.Locked = true; return nil }))
		try("tulip", ErrLocked)
		must(t)(d.SetAccount(ctx, "old", func(a *Account) error { a.Locked = false; return nil }))
	}
	close(stop)
	polls.Wait()
}
