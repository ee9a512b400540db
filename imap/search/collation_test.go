package search

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestCollationsOfOneText(t *testing.T) {
	const text = "Straße İ Ⓐ ﬃ ÉcoLe 한글 ж漢z\xff"
	for _, test := range []struct {
		collation Collation
		want      string
	}{
		{UnicodeCasemap, "STRAßE I\u0307 A ffi E\u0301COLE 한글 Ж漢Z\uFFFD"},
		{ASCIICasemap, "STRAßE İ Ⓐ ﬃ ÉCOLE 한글 ж漢Z\xff"},
		{Octet, text},
	} {
		if got := string(test.collation.Append(nil, []byte(text))); got != test.want {
			t.Errorf("%s: %q, want %q", test.collation, got, test.want)
		}
	}
}

// TestUnicodeCasemapExamples are those of RFC 5051 section 2.
func TestUnicodeCasemapExamples(t *testing.T) {
	for from, to := range map[string]string{"\u01c4": "D\u007a\u030c", "\u01c6": "D\u007a\u030c", "\u00e4": "A\u0308"} {
		if got := string(UnicodeCasemap.Append(nil, []byte(from))); got != to {
			t.Errorf("%+q becomes %+q, want %+q", from, got, to)
		}
	}
}

func TestMatchingCollations(t *testing.T) {
	all := Collations()
	for pattern, want := range map[string][]Collation{
		"i;octet": {Octet}, "I;ASCII-casemap": {ASCIICasemap}, "i;*": all, "i;asc*": {ASCIICasemap}, "*": all,
		"*octet": {Octet}, "i;*-casemap": {UnicodeCasemap, ASCIICasemap}, "*;*c*": all, "i;*i*case*": {UnicodeCasemap, ASCIICasemap},
		"": nil, "i;basic": nil, "i;octet2": nil, "octet": nil, "*;octet;*": nil, "i;octet*octet": nil, "*x*": nil,
		strings.Repeat("*", 255): nil,
	} {
		if got := Matching(pattern); !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", pattern, got, want)
		}
	}
}

// slowFold is i;unicode-casemap character by character.
func slowFold(text string) string {
	var b strings.Builder
	for _, r := range text {
		r = unicode.ToTitle(r)
		if d := norm.NFKD.PropertiesString(string(r)).Decomposition(); d != nil && (r < 0xac00 || r > 0xd7a3) {
			b.Write(d)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func TestCanonicalFormOfEveryCharacter(t *testing.T) {
	var text, piece []byte
	longest := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		piece = utf8.AppendRune(piece[:0], r)
		folded := UnicodeCasemap.Append(nil, piece)
		if want := slowFold(string(r)); string(folded) != want {
			t.Fatalf("%U becomes %+q, want %+q", r, folded, want)
		}
		longest = max(longest, len(folded)/len(piece))
		text = append(text, piece...)
	}
	if longest >= maxGrowth {
		t.Errorf("an octet can become %d", longest)
	}
	if got := UnicodeCasemap.Append(nil, text); string(got) != slowFold(string(text)) {
		t.Error("all characters in a row differ")
	}
}

// FuzzFinder compares the finder, which sees a text in pieces, with a look at the
// whole text.
func FuzzFinder(f *testing.F) {
	f.Add([]byte("The quick brown fox jumps"), "OX J", "", uint64(1))
	f.Add([]byte("Größe, GRÖSSE und größere"), "größ", "ĳ", uint64(2))
	f.Add([]byte("a\xffb\xe4\xb8"), "b", "\uFFFD", uint64(3))
	f.Fuzz(func(t *testing.T, text []byte, first, second string, seed uint64) {
		for _, c := range Collations() {
			needles := [][]byte{c.Append(nil, []byte(first)), c.Append(nil, []byte(second))}
			found := make([]bool, 2)
			fi := finder{found: found}
			fi.use(c, needles)
			fi.begin(inBody, func(int) bool { return true })
			pieces := rand.New(rand.NewPCG(seed, 0))
			for rest := text; len(rest) > 0; {
				n := 1 + pieces.IntN(min(len(rest), 40))
				fi.Write(rest[:n])
				rest = rest[n:]
			}
			// Octets that begin a character and end the text stand for nothing yet.
			whole := text
			if c == UnicodeCasemap {
				whole = text[:len(text)-incomplete(text)]
			}
			for i, needle := range needles {
				if want := bytes.Contains(c.Append(nil, whole), needle); found[i] != want {
					t.Errorf("%s finds %q: %v, want %v", c, needle, found[i], want)
				}
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for name, text := range map[string]string{
		"ascii": "The quick brown fox jumps over the lazy dog, and then once more.\r\n", "german": "Müßiggänger grüßen größere Bärenführer. ",
		"russian": "Съешь же ещё этих мягких французских булок. ", "chinese": "天地玄黃宇宙洪荒日月盈昃辰宿列張",
	} {
		octets := bytes.Repeat([]byte(text), 1000)
		b.Run(name, func(b *testing.B) {
			var buf []byte
			b.SetBytes(int64(len(octets)))
			for b.Loop() {
				buf = UnicodeCasemap.Append(buf[:0], octets)
			}
		})
	}
}
