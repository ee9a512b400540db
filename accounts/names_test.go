package accounts

import (
	"strings"
	"testing"
)

func TestCanonicalName(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"jsmith": "jsmith", "J.Smith": "j.smith", "a": "a", "007": "007",
		"under_score": "under_score", "-dash-": "-dash-", strings.Repeat("X", 128): strings.Repeat("x", 128),
	}
	for in, want := range good {
		if got, err := CanonicalName(in); err != nil || got != want {
			t.Errorf("CanonicalName(%q) = %q, %v", in, got, err)
		}
	}
	bad := []string{
		"", ".", ".a", "a.", "a b", "a@b", "a#b", "a%b", "a!b", "a+b", "a/b", "~a", "\x00", "a\n", "a\x7f",
		"müller", "jsmіth" /* Cyrillic і */, "\xff", strings.Repeat("x", 129),
	}
	for _, in := range bad {
		_, err := CanonicalName(in)
		wantError(t, err, ErrBadName)
	}
}

func TestCanonicalDomain(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	good := map[string]string{
		"company.test": "company.test", "Company.TEST.": "company.test", "a": "a", "3com.com": "3com.com",
		"bücher.test": "xn--bcher-kva.test", "BÜCHER.test": "xn--bcher-kva.test", "xn--bcher-kva.test": "xn--bcher-kva.test",
		long + ".test": long + ".test",
	}
	for in, want := range good {
		if got, err := CanonicalDomain(in); err != nil || got != want {
			t.Errorf("CanonicalDomain(%q) = %q, %v", in, got, err)
		}
	}
	bad := []string{
		"", ".", "..", "a..b", ".a", "a.-b", "a-.b", "a b", "a_b.test", "a@b", "[192.0.2.1]", "a\x00", "\xff.test",
		"a" + long, strings.Repeat("abcdefg.", 32) + "test", strings.Repeat("ü", 300), strings.Repeat("x", 10_000),
	}
	for _, in := range bad {
		_, err := CanonicalDomain(in)
		wantError(t, err, ErrBadName)
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"all": "all", "none": "none", "": "none", "POP, imap": "pop,imap", "relay,mail": "mail,relay",
		"mail,pop,imap,relay": "all", "pop,pop": "pop",
	} {
		got, err := ParseServices(in)
		if err != nil || got.String() != want {
			t.Errorf("ParseServices(%q) = %v, %v", in, got, err)
		}
		if again, err := ParseServices(got.String()); err != nil || again != got {
			t.Errorf("%q does not come back: %v, %v", got, again, err)
		}
	}
	for _, in := range []string{"pop,", "ftp", "pop imap", "all,pop"} {
		_, err := ParseServices(in)
		wantError(t, err, ErrBadValue)
	}
	if !AllServices.Has(POP|IMAP) || POP.Has(POP|IMAP) || !POP.Has(0) {
		t.Error("Has is wrong")
	}
}
