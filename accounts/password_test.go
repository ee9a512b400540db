package accounts

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"tripost/store/storetest"
)

func TestHashComesBack(t *testing.T) {
	t.Parallel()
	h := newHash(PasswordParams{Memory: 64, Time: 1, Lanes: 1}, []byte("sixteen octets.."), "tulip")
	again, err := parseHash(h.String())
	if err != nil || !again.fits("tulip") || again.fits("Tulip") || again.fits("") {
		t.Errorf("%s: %+v, %v", h, again, err)
	}
}

func TestHashThatIsNotOurs(t *testing.T) {
	t.Parallel()
	ours := newHash(PasswordParams{Memory: 64, Time: 1, Lanes: 1}, []byte("sixteen octets.."), "tulip").String()
	for _, s := range []string{
		"", "$", "$argon2id$", strings.Replace(ours, "argon2id", "argon2i", 1), strings.Replace(ours, "v=19", "v=16", 1),
		strings.Replace(ours, "m=64", "m=4294967295", 1), strings.Replace(ours, "m=64", "m=-1", 1), strings.Replace(ours, "m=64", "m=0", 1),
		strings.Replace(ours, "t=1", "t=0", 1), strings.Replace(ours, "t=1", "t=1000000", 1), strings.Replace(ours, "p=1", "p=0", 1),
		strings.Replace(ours, "p=1", "p=256", 1), ours[:len(ours)-4], ours + "$x", ours + "!",
		"$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b3rA9VCrqgBxmpk", // shorter than ours
		"$2a$10$",
	} {
		if h, err := parseHash(s); err == nil {
			t.Errorf("parseHash(%q) = %+v", s, h)
		}
	}
}

func TestPreparePassword(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"tulip":        "tulip",
		" two  ":       " two  ",
		"I\u00ADX":     "IX",           // RFC 4013 section 3
		"\u2168":       "IX",           // compatibility normalisation
		"\u00AA":       "a",            //
		"a\u00A0b":     "a b",          // non-ASCII space
		"e\u0301":      "\u00e9",       // composed, however it was typed
		"\u0627\u0031": "\u0627\u0031", // bidirectional rule broken: as it is
		"bell\u0007":   "bell\u0007",
		"\xff\xfe":     "\xff\xfe",
	} {
		if got := preparePassword(in); got != want {
			t.Errorf("preparePassword(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDeriveRefuses(t *testing.T) {
	t.Parallel()
	d := openDirectory(t)
	for _, password := range []string{strings.Repeat("x", 1025), "a\x00b", "a\r", "a\n", "\u00AD"} {
		_, err := d.AddAccount(t.Context(), "jsmith", password)
		wantError(t, err, ErrBadPassword)
	}
	must(t)(d.AddAccount(t.Context(), "jsmith", strings.Repeat("x", 1024)))
}

// RFC 7677 section 3: user "user", password "pencil".
func TestScramKeys(t *testing.T) {
	t.Parallel()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := deriveScramKeys("pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return keys.stored(), nil })
	if err != nil {
		t.Fatal(err)
	}
	server.WithNonceGenerator(func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" })
	c := server.NewConversation()
	first, err := c.Step("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
	if err != nil || first != "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096" {
		t.Fatalf("%q, %v", first, err)
	}
	final, err := c.Step("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
	if err != nil || final != "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" || !c.Valid() {
		t.Errorf("%q, %v", final, err)
	}
}

func TestNoKeysLookReal(t *testing.T) {
	t.Parallel()
	d := openDirectory(t)
	real, err := d.derive("tulip")
	if err != nil {
		t.Fatal(err)
	}
	fake := noKeys([]byte("secret"), "nobody", d.params.ScramRounds)
	if len(fake.salt) != len(real.scram.salt) || fake.rounds != real.scram.rounds || len(fake.storedKey) != len(real.scram.storedKey) {
		t.Errorf("%+v does not look like %+v", fake, real.scram)
	}
	again := noKeys([]byte("secret"), "nobody", d.params.ScramRounds)
	other := noKeys([]byte("secret"), "somebody", d.params.ScramRounds)
	if again.salt != fake.salt || other.salt == fake.salt {
		t.Error("the salt of an unknown name is not its own")
	}
}

func BenchmarkVerify(b *testing.B) {
	a := NewAuthenticator(New(storetest.New(b), Options{}), nil, AuthOptions{})
	c, err := a.directory.derive("tulip")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, err := a.verify(b.Context(), c, "tulip"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
