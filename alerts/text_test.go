package alerts

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"The server stops at 18:00":            "The server stops at 18:00",
		" two\r\nlines\t and\x00 a bell\a ":    "two lines and a bell",
		"x\r\n-ERR [AUTH] forged\r\n.\r\n+OK ": "x -ERR [AUTH] forged . +OK",
		"\x1b[31mred\u009b0m\x7f":              "[31mred 0m",
		"a\u2028b\u2029c\u0085d":               "a b c d",
		"turned\u202eround\u2066\u2069":        "turned round",
		"Größe 容量 👩\u200d👧":                    "Größe 容量 👩\u200d👧",
		strings.Repeat("x", MaxText):           strings.Repeat("x", MaxText),
	} {
		if got, err := oneLine(in); err != nil || got != want {
			t.Errorf("%q becomes %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", " \r\n", "\x00\u2028", "\xff", "ab\xc3", strings.Repeat("x", MaxText+1), strings.Repeat("é", MaxText/2) + "é"} {
		if got, err := oneLine(in); !errors.Is(err, ErrBadText) {
			t.Errorf("%.20q becomes %.20q, %v", in, got, err)
		}
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"two\r\nlines":                  "two lines",
		"a\xffb":                        "a?b",
		strings.Repeat("x", MaxText):    strings.Repeat("x", MaxText),
		strings.Repeat("x", 5000):       strings.Repeat("x", MaxText-3) + "...",
		"xx" + strings.Repeat("é", 500): "xx" + strings.Repeat("é", (MaxText-5)/2) + "...",
	} {
		got := shorten(in)
		if got != want {
			t.Errorf("%.20q becomes %q", in, got)
		}
		if line, err := oneLine(got); err != nil || line != got {
			t.Errorf("%q is no line: %v", got, err)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	for _, s := range []string{"text", "a\r\nb", "\xff\x00", "\u202e\u2028", strings.Repeat("long ", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if short := shorten(in); short != "" {
			if line, err := oneLine(short); err != nil || line != short {
				t.Errorf("%q is shortened to %q: %v", in, short, err)
			}
		}
		line, err := oneLine(in)
		if err != nil {
			return
		}
		if line == "" || len(line) > MaxText || !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl) || strings.Contains(line, "  ") {
			t.Errorf("%q becomes %q", in, line)
		}
		if again, err := oneLine(line); err != nil || again != line {
			t.Errorf("%q becomes %q in a second pass, %v", line, again, err)
		}
		const before, behind = "-ERR [SYS/TEMP] ALERT: ", "\r\n"
		if len(before)+len(line)+len(behind) > 512 {
			t.Errorf("%q is too long for a POP reply", line)
		}
	})
}

func FuzzRecords(f *testing.F) {
	p := posted{scope: Domain, domain: "company.test", made: -5, account: 3, text: "text"}
	s := shown{mark: 9, returned: []ID{1, 2}, told: true}
	for _, b := range [][]byte{p.encode(), s.encode(), encodeNumber(7), nil, {1, 0xff, 0xff}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := decodePosted(b); err == nil {
			if again, err := decodePosted(p.encode()); err != nil || again != p {
				t.Errorf("%+v is read back as %+v, %v", p, again, err)
			}
		}
		if s, err := decodeShown(b); err == nil {
			again, err := decodeShown(s.encode())
			if err != nil || again.mark != s.mark || len(again.returned) != len(s.returned) || again.told != s.told || !again.toldAt.Equal(s.toldAt) {
				t.Errorf("%+v is read back as %+v, %v", s, again, err)
			}
		}
		decodeNumber(keyLast, b)
	})
}
