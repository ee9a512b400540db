package smtp

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tripost/wire"
)

// FuzzLineCheck: however a body is cut into pieces, it is taken if and only if
// it would be as a whole, and then passed on octet for octet.
func FuzzLineCheck(f *testing.F) {
	for _, seed := range []string{"", "a\r\n", "a\rb", "a\nb", "\r\r\n", "\r\n\n", "a\x00", "a\r", "\n", "no end"} {
		f.Add([]byte(seed), uint8(1))
		f.Add([]byte(seed), uint8(2))
	}
	f.Fuzz(func(t *testing.T, body []byte, piece uint8) {
		var out bytes.Buffer
		c := &lineCheck{w: &out, max: 100}
		for rest := body; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			if k, err := c.Write(rest[:n]); k != n || err != nil {
				t.Fatal(k, err)
			}
			rest = rest[n:]
		}
		err := c.err(true)
		pure := strings.ReplaceAll(string(body), "\r\n", "")
		sound := !strings.ContainsAny(pure, "\r\n\x00") && len(body) <= 100
		if sound != (err == nil) {
			t.Fatalf("%q: %v", body, err)
		}
		if err != nil && !faultOfData(err) {
			t.Fatalf("%q: %v is no fault of the data", body, err)
		}
		if err != nil {
			return
		}
		must(t, c.complete())
		want := string(body)
		if want != "" && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if out.String() != want {
			t.Fatalf("%q became %q", want, out.String())
		}
	})
}

func TestLineCheckFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is full")
	c := &lineCheck{w: failing{broken}, max: 100}
	if _, err := c.Write([]byte("a\r\n")); err != broken || c.failed != broken {
		t.Errorf("%v, %v", err, c.failed)
	}
	c = &lineCheck{w: failing{broken}, max: 1}
	if _, err := c.Write([]byte("a\r\n")); err != nil || c.err(false) != wire.ErrDataTooLong {
		t.Errorf("too long: %v, %v", err, c.err(false))
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
