package accounts

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"tripost/store/storetest"
)

// cheap are costs that let a test sign in often.
var cheap = PasswordParams{Memory: 64, Time: 1, ScramRounds: 4096}

// openDirectory returns a directory with the Main Domain company.test, which is
// company.example too, and the domain client1.test.
func openDirectory(t testing.TB) *Directory {
	t.Helper()
	d := New(storetest.New(t), Options{Password: cheap, LegacyKey: []byte("a key of 32 octets for the tests.")})
	for _, name := range []string{"company.test", "client1.test"} {
		must(t)(d.AddDomain(t.Context(), name))
	}
	must(t)(d.SetDomain(t.Context(), "company.test", func(d *Domain) error {
		d.Aliases = []string{"company.example"}
		return nil
	}))
	return d
}

// must fails the test on an error, whatever comes with it.
func must(t testing.TB) func(v any, err error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
}

// direct is a LoginRouter that knows nothing but the directory.
type direct struct{ d *Directory }

func (r direct) RouteLogin(ctx context.Context, name string, _ netip.Addr) (LoginRoute, error) {
	acct, err := r.d.Account(ctx, name)
	switch {
	case errors.Is(err, ErrNoDomain), errors.Is(err, ErrNoAccount):
		return LoginRoute{Name: name}, ErrNoAccount
	case err != nil:
		return LoginRoute{}, err
	}
	return LoginRoute{Account: acct, Name: acct.Address()}, nil
}
