package accounts

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"
)

// openWithAll returns what openAuthenticator returns with everything in use:
// jsmith and locked have client certificates, and so has late, which has run
// out; jsmith and the account old (tulip) have legacy_auth; tokens are checked
// by testTokens.
func openWithAll(t testing.TB) *Authenticator {
	t.Helper()
	ctx := t.Context()
	d := openAuthenticator(t).directory
	must(t)(d.AddAccount(ctx, "old", ""))
	must(t)(d.AddAccount(ctx, "late", "tulip"))
	for _, name := range []string{"jsmith", "locked", "late"} {
		must(t)(d.SetAccount(ctx, name, func(a *Account) error { a.Certificate = Fingerprint(madeFor(name)); return nil }))
	}
	for _, name := range []string{"jsmith", "old"} {
		must(t)(d.SetAccount(ctx, name, func(a *Account) error { a.LegacyAuth = true; return nil }))
	}
	must(t)(nil, d.SetPassword(ctx, "old", "tulip")) // jsmith's is not set again
	return NewAuthenticator(d, direct{d}, AuthOptions{Tokens: testTokens{}, Hostname: "mail.company.test"})
}

// testTokens knows some tokens.
type testTokens struct{}

func (testTokens) Check(_ context.Context, token string, _ Attempt) (string, error) {
	switch token {
	case "of-jsmith":
		return "JSmith@company.test", nil
	case "of-info":
		return "info", nil
	case "of-lists":
		return "lists#jsmith", nil
	case "of-empty":
		return "empty", nil
	case "of-locked":
		return "locked", nil
	case "of-nobody":
		return "nobody", nil
	case "of-none":
		return "", nil
	case "offline":
		return "", fmt.Errorf("asking the issuer: %w", ErrUnavailable)
	}
	return "", errors.New("expired")
}

// madeFor returns the certificate of jsmith, locked, late, which has run out,
// or stranger: the same one each time.
func madeFor(name string) *x509.Certificate { return certificates()[name] }

var certificates = sync.OnceValue(func() map[string]*x509.Certificate {
	of := make(map[string]*x509.Certificate)
	for name, lasts := range map[string]time.Duration{"jsmith": time.Hour, "locked": time.Hour, "stranger": time.Hour, "late": -time.Hour} {
		of[name] = makeCertificate(name, time.Now().Add(lasts), false).leaf
	}
	return of
})

type certificate struct {
	leaf *x509.Certificate
	key  crypto.Signer
}

func makeCertificate(name string, until time.Time, edwards bool) certificate {
	var key crypto.Signer
	if edwards {
		_, priv, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		key = priv
	} else {
		priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		key = priv
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return certificate{leaf: leaf, key: key}
}
