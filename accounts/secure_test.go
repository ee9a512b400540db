package accounts

import (
	"testing"
)

// A service that is off for the account or for its domain ends every way of
// signing in, after the password.
func TestServicesOff(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	ctx := t.Context()
	off := func(account, domain Service) {
		t.Helper()
		must(t)(a.directory.SetAccount(ctx, "jsmith", func(a *Account) error { a.Services = AllServices &^ account; return nil }))
		must(t)(a.directory.SetDomain(ctx, "company.test", func(d *Domain) error { d.Services = AllServices &^ domain; return nil }))
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
