package accounts

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestHostilePasswords gives passwords that cost nothing, or as much as any other,
// to a name that is somebody's and to one that is nobody's.
func TestHostilePasswords(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	for _, password := range []string{"", "\x00", "tulip\x00", "\xff", "ｔｕｌｉｐ!", strings.Repeat("x", maxPassword), strings.Repeat("x", maxPassword+1), strings.Repeat("\u0301", 400)} {
		cost := func(login string) uint64 {
			t.Helper()
			before := a.Hashed()
			_, err := a.Password(t.Context(), fromLoopback(), "PASS", login, password)
			if !errors.Is(err, ErrCredentials) {
				t.Errorf("%.20q of %s: %v", password, login, err)
			}
			return a.Hashed() - before
		}
		if known, unknown := cost("jsmith"), cost("nobody"); known != unknown {
			t.Errorf("%.20q costs %d checks for an account, %d for none", password, known, unknown)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, login := range []string{"jsmith", "nobody"} { // whose client has gone
		if _, err := a.Password(ended, fromLoopback(), "PASS", login, "wrong"); err == nil {
			t.Errorf("%s signed in", login)
		}
	}
}
