package oauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tripost/accounts"
)

// members are those of a JSON object.
type members map[string]any

func (m members) json(t testing.TB) []byte {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// with returns a copy with a member changed, or left out for nil.
func (m members) with(name string, value any) members {
	out := members{}
	for k, v := range m {
		out[k] = v
	}
	if out[name] = value; value == nil {
		delete(out, name)
	}
	return out
}

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// check asks the checker and returns the login name, or what is wrong.
func check(c *Checker, token string) string {
	login, err := c.Check(context.Background(), token, accounts.Attempt{})
	switch {
	case errors.Is(err, accounts.ErrUnavailable):
		return "unavailable: " + err.Error()
	case err != nil:
		return err.Error()
	}
	return login
}

// issuer is one, with a key of each kind and a server that answers about tokens.
type issuer struct {
	rsa   *rsa.PrivateKey
	ecdsa *ecdsa.PrivateKey
	eddsa ed25519.PrivateKey

	server  *httptest.Server
	answer  atomic.Pointer[func(http.ResponseWriter, *http.Request)]
	answers atomic.Int64
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{}
	var err1, err2, err3 error
	i.rsa, err1 = rsa.GenerateKey(rand.Reader, 2048)
	i.ecdsa, err2 = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, i.eddsa, err3 = ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.answers.Add(1)
		(*i.answer.Load())(w, r)
	}))
	t.Cleanup(i.server.Close)
	i.says(func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, i.keys().json(t)) })
	return i
}

func (i *issuer) says(answer func(http.ResponseWriter, *http.Request)) { i.answer.Store(&answer) }

func sendJSON(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Write(b)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// keys is the issuer's JWK Set, with two in it that nobody can use.
func (i *issuer) keys() members {
	point, err := i.ecdsa.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	n := b64(i.rsa.N.Bytes())
	return members{"keys": []members{
		{"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
		{"kty": "RSA", "kid": "sealing", "use": "enc", "n": n, "e": "AQAB"},
		{"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": n, "e": "AQAB"},
		{"kty": "EC", "kid": "e", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
		{"kty": "OKP", "kid": "d", "crv": "Ed25519", "alg": "Ed25519", "x": b64(i.eddsa.Public().(ed25519.PublicKey))},
	}}
}

// sign returns a JWT, signed by the algorithm in its header.
func (i *issuer) sign(t testing.TB, header, claims members) string {
	t.Helper()
	text := b64(header.json(t)) + "." + b64(claims.json(t))
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	var err error
	switch header["alg"] {
	case algRSA:
		signature, err = rsa.SignPKCS1v15(rand.Reader, i.rsa, crypto.SHA256, sum[:])
	case algECDSA:
		var r, s *big.Int
		r, s, err = ecdsa.Sign(rand.Reader, i.ecdsa, sum[:])
		if err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case algEdDSA, "Ed25519":
		signature = ed25519.Sign(i.eddsa, []byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(signature)
}

// The example of RFC 7515 appendix A.3, and that of RFC 8037 appendix A.4.
func TestSignaturesOfExamples(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ key, token string }{
		{
			`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
			"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
				"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
		},
		{
			`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." +
				"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
		},
	} {
		keys, err := parseKeys([]byte(`{"keys":[` + c.key + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		text, _, signature, header, err := parseJWS(c.token)
		if err != nil || header.Algorithm != keys[0].algorithm {
			t.Errorf("%+v, %v", header, err)
		}
		if !keys[0].verifies([]byte(text), signature) {
			t.Errorf("%s: the signature is taken for wrong", header.Algorithm)
		}
		if signature[3] ^= 1; keys[0].verifies([]byte(text), signature) {
			t.Errorf("%s: a wrong signature is taken for right", header.Algorithm)
		}
	}
}

// The claims of a good token.
func goodClaims() members {
	return members{
		"iss": "https://issuer.test", "aud": []string{"mail", "web"}, "scope": "openid mail.read",
		"exp": noon().Add(time.Hour).Unix(), "nbf": noon().Unix(), "email": "jsmith@company.test", "sub": "17",
	}
}

func (i *issuer) jwtOptions() Options {
	return Options{
		Keys: i.server.URL, Issuer: "https://issuer.test", Audience: "mail", Scope: "mail.read",
		Timeout: 30 * time.Second, Now: noon,
	}
}

func mustNew(t testing.TB, o Options) *Checker {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSignedTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	c := mustNew(t, i.jwtOptions())
	for _, header := range []members{
		{"alg": algRSA, "kid": "r"},
		{"alg": algECDSA, "kid": "e", "typ": "at+jwt"},
		{"alg": algEdDSA, "kid": "d", "typ": "JWT"},
		{"alg": "Ed25519", "kid": "d"},
		{"alg": algECDSA}, // any key of the kind
	} {
		if got := check(c, i.sign(t, header, goodClaims())); got != "jsmith@company.test" {
			t.Errorf("%v: %s", header, got)
		}
	}
	if n := i.answers.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestSignedTokensRefused(t *testing.T) {
	t.Parallel()
	i, other := newIssuer(t), newIssuer(t)
	c := mustNew(t, i.jwtOptions())
	header := members{"alg": algECDSA, "kid": "e"}
	good := goodClaims()
	for _, r := range []struct{ token, want string }{
		{"", "it is not a signed JWT"},
		{"a.b", "it is not a signed JWT"},
		{"a.b.c.d.e", "it is not a signed JWT"},
		{"!.!.!", "it is not a signed JWT"},
		{i.sign(t, header, good) + "=", "it is not a signed JWT"},
		{other.sign(t, header, good), "its signature is wrong"},
		{i.sign(t, header.with("kid", "r"), good), "it is signed with a key that the issuer does not name"},
		{i.sign(t, members{"alg": "none"}, good), "its signature is of a kind that is not taken"},
		{i.sign(t, members{"alg": "HS256", "kid": "r"}, good), "its signature is of a kind that is not taken"},
		{i.sign(t, header.with("crit", []string{"b64"}), good), "it needs an extension that is not there"},
		{i.sign(t, header.with("typ", "logout+jwt"), good), "it is not an access token"},
		{i.sign(t, header, good.with("iss", "https://elsewhere.test")), "it is from another issuer"},
		{i.sign(t, header, good.with("iss", nil)), "it is from another issuer"},
		{i.sign(t, header, good.with("iss", 1)), "iss has not the form it should have"},
		{i.sign(t, header, good.with("aud", "web")), "it is for another audience"},
		{i.sign(t, header, good.with("aud", nil)), "it is for another audience"},
		{i.sign(t, header, good.with("scope", "openid mail.readonly")), "it has not the scope"},
		{i.sign(t, header, good.with("exp", nil)), "it never expires"},
		{i.sign(t, header, good.with("exp", "soon")), "exp has not the form it should have"},
		{i.sign(t, header, good.with("exp", noon().Add(-leeway).Unix())), "it expired at 2026-03-01T11:59:00Z"},
		{i.sign(t, header, good.with("nbf", noon().Add(2*leeway).Unix())), "it is not valid before 2026-03-01T12:02:00Z"},
		{i.sign(t, header, good.with("email", nil)), `it has no "email"`},
		{i.sign(t, header, good.with("email", []string{"a@b.test"})), `its "email" is not an address`},
		{i.sign(t, header, good.with("email", "INBOX#boss@company.test")), `its "email" is not an address`},
		{i.sign(t, header, good.with("email", strings.Repeat("a", 300))), `its "email" is not an address`},
		{i.sign(t, header, good.with("email_verified", false)), "its email is not verified"},
	} {
		if got := check(c, r.token); got != r.want {
			t.Errorf("%q, want %q", got, r.want)
		}
	}
}

// Keys are fetched again for a token that names a new one, once a minute at
// most; while that fails, the old ones go on for a day.
func TestKeysChange(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	o := i.jwtOptions()
	now := noon()
	o.Now = func() time.Time { return now }
	c := mustNew(t, o)
	claims := goodClaims().with("exp", noon().AddDate(1, 0, 0).Unix())
	old := i.sign(t, members{"alg": algEdDSA, "kid": "d"}, claims)
	fresh := i.sign(t, members{"alg": algEdDSA, "kid": "d2"}, claims)
	expect := func(what, token, want string, fetched int64) {
		t.Helper()
		if got := check(c, token); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		if n := i.answers.Load(); n != fetched {
			t.Errorf("%s: the keys were fetched %d times, want %d", what, n, fetched)
		}
	}
	const us, unknown = "jsmith@company.test", "it is signed with a key that the issuer does not name"
	expect("the first", old, us, 1)
	expect("a new key", fresh, unknown, 1)
	now = now.Add(keysEvery)
	expect("a minute later", fresh, unknown, 2)
	i.says(func(w http.ResponseWriter, _ *http.Request) {
		sendJSON(w, []byte(strings.Replace(string(i.keys().json(t)), `"kid":"d"`, `"kid":"d2"`, 1)))
	})
	now = now.Add(keysEvery)
	expect("published", fresh, us, 3)
	expect("withdrawn", old, unknown, 3)

	i.says(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	now = now.Add(keysFresh)
	expect("the source fails", fresh, us, 4)
	expect("at once", fresh, us, 4)
	now = now.Add(keysRetry)
	expect("it still does", fresh, us, 5)
	now = now.Add(keysLife)
	expect("for a day", fresh, "unavailable: ", 6)
}

func TestKeysFromFile(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	o := i.jwtOptions()
	o.Keys = filepath.Join(t.TempDir(), "keys.json")
	c := mustNew(t, o)
	token := i.sign(t, members{"alg": algRSA, "kid": "r"}, goodClaims())
	if got := check(c, token); !strings.HasPrefix(got, "unavailable: ") {
		t.Errorf("without the file: %s", got)
	}
	if err := os.WriteFile(o.Keys, i.keys().json(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := check(mustNew(t, o), token); got != "jsmith@company.test" {
		t.Error(got)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "and not both"},
		{Options{Introspection: "https://a.test", Keys: "k"}, "and not both"},
		{Options{Introspection: "http://a.test/x"}, "is not https"},
		{Options{Introspection: "a.test"}, "is not a URL"},
		{Options{Keys: "k"}, "issuer and audience"},
		{Options{Keys: "ftp://a.test/k", Issuer: "i", Audience: "a"}, "is not https"},
		{Options{Introspection: "http://127.0.0.1:8080/x"}, ""},
		{Options{Introspection: "https://a.test/x"}, ""},
		{Options{Keys: "k.json", Issuer: "i", Audience: "a"}, ""},
	} {
		_, err := New(c.o)
		if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
}

func TestParseKeysRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "[]", `{"keys":[]}`, `{"keys":[1]}`,
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`,               // too short
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`,      // no point of the curve
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`,            // too short
		`{"keys":[{"kty":"OKP","crv":"X25519","x":"AA"}]}`,             // not to sign with
		`{"keys":[` + strings.Repeat(`{},`, mostKeys) + `{}` + `]}`,    // too many
		`{"keys":[{"kty":"EC","crv":"P-256","alg":"ES384","x":"AA"}]}`, // another algorithm
	} {
		if keys, err := parseKeys([]byte(text)); err == nil {
			t.Errorf("%s: %d keys", text, len(keys))
		}
	}
}

// FuzzToken has a checker read what clients send for tokens.
func FuzzToken(f *testing.F) {
	i := newIssuer(f)
	o := i.jwtOptions()
	o.Keys = filepath.Join(f.TempDir(), "keys.json")
	if err := os.WriteFile(o.Keys, i.keys().json(f), 0o600); err != nil {
		f.Fatal(err)
	}
	c := mustNew(f, o)
	f.Add(i.sign(f, members{"alg": algEdDSA, "kid": "d"}, goodClaims()) + "A")
	f.Add("eyJhbGciOiJFZERTQSJ9.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if login, err := c.Check(context.Background(), token, accounts.Attempt{}); err == nil {
			t.Errorf("%q signs in %s", token, login)
		}
	})
}
