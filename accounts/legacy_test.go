package accounts

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tripost/store"
)

// The examples of RFC 1939 section 7 and RFC 2195 section 2.
func TestDigestsOfTheRFCs(t *testing.T) {
	t.Parallel()
	if got := hex.EncodeToString(digestAPOP("<1896.697170952@dbc.mtview.ca.us>", "tanstaaf")); got != "c4c9334bac560ecc979e58001b3e22fb" {
		t.Errorf("APOP: %s", got)
	}
	if got := hex.EncodeToString(digestCRAM("<1896.697170952@postoffice.reston.mci.net>", "tanstaaftanstaaf")); got != "b913a602c7eda7a495b4e6e7334d3890" {
		t.Errorf("CRAM-MD5: %s", got)
	}
}

func TestAPOP(t *testing.T) {
	t.Parallel()
	a := openWithAll(t)
	ctx := t.Context()
	const stamp = "<1896.697170952@mail.company.test>"
	digest := func(password string) string { return hex.EncodeToString(digestAPOP(stamp, password)) }
	at := Attempt{Service: POP, Remote: owner}
	for _, tt := range []struct {
		login, digest string
		want          error
	}{
		{"old", digest("tulip"), nil},
		{"lists#OLD@company.example", digest("tulip"), nil},
		{"old", strings.ToUpper(digest("tulip")), nil},
		{"old", digest("Tulip"), ErrCredentials},
		{"old", digest(""), ErrCredentials},
		{"nobody", digest("tulip"), ErrCredentials},
		{"nobody", digest(""), ErrCredentials},
		{"#", digest(""), ErrCredentials},
		{"empty", digest(""), ErrCredentials},
		{"boss", digest("rose"), ErrCredentials},
		{"boss", digest(""), ErrCredentials},
		{"jsmith", digest("tulip"), ErrCredentials}, // the password was set before
		{"old", digest("tulip")[1:], ErrMalformed},
		{"old", digest("tulip") + "00", ErrMalformed},
		{"old", "", ErrMalformed},
		{"old", strings.Repeat("z", 32), ErrMalformed},
	} {
		in, err := a.APOP(ctx, at, stamp, tt.login, tt.digest)
		wantError(t, err, tt.want)
		if tt.want == nil && (in.Identity.Name != "old@company.test" || in.Mechanism != "APOP" || in.Login != tt.login) {
			t.Errorf("%s: %+v", tt.login, in)
		}
		a.throttle.addresses, a.throttle.accounts = newCulprits(), newCulprits()
	}
	_, err := a.APOP(ctx, at, "", "old", hex.EncodeToString(digestAPOP("", "tulip")))
	wantError(t, err, ErrMechanism)
	must(t)(a.directory.SetAccount(ctx, "old", func(a *Account) error { a.Services = Set(IMAP); return nil }))
	_, err = a.APOP(ctx, at, stamp, "old", digest("tulip"))
	wantError(t, err, ErrService)

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = a.APOP(ended, at, stamp, "old", digest("tulip"))
	wantError(t, err, ErrUnavailable)
}

// APOP and CRAM-MD5 are offered for as long as an account could use them.
func TestLegacyIsOffered(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	a := NewAuthenticator(d, direct{d}, AuthOptions{})
	acct, err := d.AddAccount(ctx, "jsmith", "tulip")
	must(t)(acct, err)
	legacy := func(on bool) {
		t.Helper()
		must(t)(d.SetAccount(ctx, "jsmith", func(a *Account) error { a.LegacyAuth = on; return nil }))
	}
	offers := func(when string, want bool) {
		t.Helper()
		has, err := d.HasLegacySecret(ctx, acct.ID)
		_, startErr := a.SASL(ctx, fromLoopback(), "CRAM-MD5", nil)
		listed := strings.Contains(strings.Join(a.Mechanisms(fromLoopback()), " "), "CRAM-MD5")
		if err != nil || has != want || a.OffersAPOP(ctx) != want || listed != want || (startErr == nil) != want {
			t.Errorf("%s: kept %v (%v), APOP %v, listed %v, %v", when, has, err, a.OffersAPOP(ctx), listed, startErr)
		}
	}
	offers("at first", false)
	legacy(true)
	offers("before the password is set", false)
	must(t)(nil, d.SetPassword(ctx, "jsmith", "tulip"))
	offers("with the password", true)
	legacy(true)
	offers("set again", true)
	without := New(d.store, Options{Password: cheap})
	if NewAuthenticator(without, direct{without}, AuthOptions{}).OffersAPOP(ctx) {
		t.Error("offered without the key")
	}
	legacy(false)
	offers("switched off", false)
	legacy(true)
	offers("switched on again", false)
	must(t)(nil, d.SetPassword(ctx, "jsmith", "tulip"))
	must(t)(nil, d.SetPassword(ctx, "jsmith", ""))
	offers("without a password", false)
	must(t)(nil, d.SetPassword(ctx, "jsmith", "tulip"))
	must(t)(nil, d.RemoveAccount(ctx, "jsmith"))
	offers("removed", false)
}

// Without the key nothing can be kept, and what was kept does not open.
func TestLegacyNeedsTheKey(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	a := openWithAll(t)
	for _, key := range []string{"", "another key"} {
		d := New(a.directory.store, Options{Password: cheap, LegacyKey: []byte(key)})
		_, err := d.SetAccount(ctx, "boss", func(a *Account) error { a.LegacyAuth = true; return nil })
		if (key == "") != (err != nil) {
			t.Errorf("with key %q: %v", key, err)
		}
		if key == "" {
			wantError(t, err, ErrBadValue)
		}
		must(t)(d.SetAccount(ctx, "old", func(a *Account) error { a.RealName = "Old"; return nil })) // stays on
		other := NewAuthenticator(d, direct{d}, AuthOptions{})
		_, err = other.APOP(ctx, fromLoopback(), "<1@x>", "old", hex.EncodeToString(digestAPOP("<1@x>", "tulip")))
		wantError(t, err, ErrCredentials)
	}
	d := New(a.directory.store, Options{Password: cheap})
	must(t)(nil, d.SetPassword(ctx, "old", "crocus"))
	_, err := a.APOP(ctx, fromLoopback(), "<1@x>", "old", hex.EncodeToString(digestAPOP("<1@x>", "tulip")))
	wantError(t, err, ErrCredentials) // the old password has gone, whoever set the new one
}

// The password is nowhere in the directory, and a record does not open for
// another account.
func TestPasswordsAreSealed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openWithAll(t).directory
	const password = "correct horse battery"
	must(t)(nil, d.SetPassword(ctx, "old", password))
	old, err := d.Account(ctx, "old")
	must(t)(old, err)
	boss, err := d.Account(ctx, "boss")
	must(t)(boss, err)
	var first, second []byte
	read := func(into *[]byte) {
		must(t)(nil, d.View(ctx, func(n *Names) error {
			return n.each(nil, func(key, value []byte) error {
				if bytes.Contains(value, []byte(password)) {
					t.Errorf("record %q holds the password", key)
				}
				if bytes.Equal(key, idKey(keyLegacy, old.ID)) {
					*into = bytes.Clone(value)
				}
				return nil
			})
		}))
	}
	read(&first)
	must(t)(nil, d.SetPassword(ctx, "old", password))
	read(&second)
	if len(first) == 0 || bytes.Equal(first, second) {
		t.Error("sealed twice the password looks the same")
	}
	must(t)(nil, d.update(ctx, func(w *writer) error {
		w.put(idKey(keyLegacy, boss.ID), second)
		return nil
	}))
	must(t)(nil, d.View(ctx, func(n *Names) error {
		if got, err := n.secretOf(d.seal, old.ID); got != password || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		got, err := n.secretOf(d.seal, boss.ID)
		wantError(t, err, errSealed)
		if got != "" {
			t.Error("another account's record opens")
		}
		return nil
	}))
	for _, sealed := range []string{"", "short", strings.Repeat("x", 100)} {
		_, err := unseal(d.seal, store.AccountID(1), []byte(sealed))
		wantError(t, err, errSealed)
	}
}

func TestLoadLegacyKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "legacy.key")
	keys := make([][]byte, 8)
	var made sync.WaitGroup
	for i := range keys {
		made.Go(func() {
			var err error
			if keys[i], err = LoadLegacyKey(path); err != nil {
				t.Error(err)
			}
		})
	}
	made.Wait()
	for _, key := range keys {
		if len(key) != minLegacyKey || !bytes.Equal(key, keys[0]) {
			t.Errorf("%d octets, the same: %v", len(key), bytes.Equal(key, keys[0]))
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("%d files are left", len(files))
	}
	for _, bad := range []string{"", "0a0b", strings.Repeat("z", 64)} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadLegacyKey(path)
		wantError(t, err, ErrBadValue)
	}
	if _, err := LoadLegacyKey(filepath.Join(path, "x")); err == nil {
		t.Error("a key was made below a file")
	}
}

// BenchmarkOffersAPOP measures what each greeting and capability list costs.
func BenchmarkOffersAPOP(b *testing.B) {
	a := openWithAll(b)
	b.ReportAllocs()
	for b.Loop() {
		if !a.OffersAPOP(b.Context()) {
			b.Fatal("not offered")
		}
	}
}
