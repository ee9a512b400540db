package accounts

import (
	"strings"
	"testing"
)

// The examples of RFC 7628 sections 4.1 and 4.2.
func TestParseBearer(t *testing.T) {
	t.Parallel()
	const token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
	for _, header := range []string{"n,a=user@example.com,", "y,a=user@example.com,"} {
		login, got, ok := parseBearer([]byte(header + "\x01host=server.example.com\x01port=143\x01auth=Bearer " + token + "\x01\x01"))
		if !ok || login != "user@example.com" || got != token {
			t.Errorf("%q %q %v", login, got, ok)
		}
	}
	if _, _, ok := parseBearer([]byte("n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01")); ok {
		t.Error("a response without a token is taken for one")
	}
	for _, b := range []string{"", ",", "n", "n,", "n,,", "n,,\x01", "\x01\x01", "n,,\x01\x01\x01", "n,,\x01auth=Bearer " + strings.Repeat("\x01", 5)} {
		if _, _, ok := parseBearer([]byte(b)); ok {
			t.Errorf("%q is taken for a response", b)
		}
	}
}

func TestDecodeSASLName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"jsmith": "jsmith", "a=2Cb": "a,b", "a=3Db": "a=b", "=3D2C": "=2C"} {
		if got, ok := decodeSASLName(in); got != want || !ok {
			t.Errorf("%s: %q, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "=", "a=b", "a=2c", "a=", "=3", "==3D"} {
		if got, ok := decodeSASLName(in); ok {
			t.Errorf("%s: %q", in, got)
		}
	}
}
