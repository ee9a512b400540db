package search

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"tripost/store"
)

// oneWord is the only word of a text.
func oneWord(t *testing.T, text string) word {
	t.Helper()
	words := fuzzyWords(text)
	if len(words) != 1 {
		t.Fatalf("%q has %d words", text, len(words))
	}
	return words[0]
}

func TestLike(t *testing.T) {
	for _, test := range []struct {
		key, word string
		want      int
	}{
		{"imap", "IMAP", likeSame},
		{"grüße", "GRUSSE", likeSame},
		{"Ærø", "aero", likeSame},
		{"ﬁne", "fine", likeSame},
		{"break", "breaking", likeBegins},
		{"a", "ab", 0},
		{"ab", "abc", likeBegins},
		{"helo", "hello", likeOneEdit},
		{"helo", "help", likeOneEdit},
		{"helo", "ehlo", likeOneEdit},
		{"helo", "elo", likeOneEdit},
		{"helo", "hallo", 0},
		{"abc", "abd", 0},
		{"work", "network", likeInside},
		{"or", "for", 0},
		{"kopenhagvn", "København", likeTwoEdits},
		{"abcdefgh", "abcdfehg", likeTwoEdits},
		{"abcdefgh", "xbcdefgy", likeTwoEdits},
		{"abcdefgh", "xyzdefgh", 0},
		{"京", "東京都", likeInside},
		{"東", "東京都", likeBegins},
	} {
		key, w := oneWord(t, test.key), oneWord(t, test.word)
		if got := like(&key, &w); got != test.want {
			t.Errorf("%q and %q: %d, want %d", test.key, test.word, got, test.want)
		}
	}
}

// TestSplitter splits texts into words, long ones among them.
func TestSplitter(t *testing.T) {
	long := strings.Repeat("x", maxWord+1)
	for text, want := range map[string]string{
		"":                                   "",
		"one, two-three":                     "ONE TWO THREE",
		"a1 " + long + " b":                  "A1 B",
		strings.Repeat("京", maxWord+2):       strings.Repeat("京", maxWord) + " 京京",
		"cafe\u0301 \u24e8 na\u00efve\u00aa": "CAFE Y NAIVEA",
		"a\x00b" + long + "\x00" + "0":       "A 0",
		long + "\u00e9 c":                    "C",
		"\xff\xfea\x80b":                     "A B",
	} {
		var got []string
		s := splitter{limit: maxWord, take: func(w *word) { got = append(got, string(w.text)) }}
		s.write(UnicodeCasemap.Append(nil, []byte(text)))
		s.end()
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// plainDistance is the definition of distance.
func plainDistance(a, b []rune) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			switch {
			case i == 0 || j == 0:
				d[i][j] = i + j
				continue
			case a[i-1] == b[j-1]:
				d[i][j] = d[i-1][j-1]
			default:
				d[i][j] = 1 + min(d[i-1][j-1], d[i-1][j], d[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], 1+d[i-2][j-2])
			}
		}
	}
	return d[len(a)][len(b)]
}

func checkDistance(t *testing.T, a, b *word) {
	t.Helper()
	want := plainDistance(a.spell(), b.spell())
	for limit := 1; limit <= maxEdits; limit++ {
		got := distance(a, b, limit)
		if want <= limit && got != want || want > limit && got <= limit {
			t.Fatalf("%s and %s within %d: %d, want %d", a.text, b.text, limit, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	r := random(t)
	for range 20_000 {
		a := make([]byte, 1+r.IntN(12))
		for i := range a {
			a[i] = 'a' + byte(r.IntN(4))
		}
		b := slices.Clone(a)
		for range r.IntN(4) {
			b = edited(r, b)
		}
		if len(b) == 0 {
			continue
		}
		x, y := oneWord(t, string(a)), oneWord(t, string(b))
		checkDistance(t, &x, &y)
	}
}

// edited changes one place of a word.
func edited(r *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	i, letter := r.IntN(len(b)), 'a'+byte(r.IntN(6))
	switch r.IntN(4) {
	case 0:
		return slices.Delete(b, i, i+1)
	case 1:
		return slices.Insert(b, i, letter)
	case 2:
		b[i] = letter
	case 3:
		if i > 0 {
			b[i-1], b[i] = b[i], b[i-1]
		}
	}
	return b
}

// FuzzLoose looks for any key in any text: what stands there as it is is found, in
// however many pieces it comes, and scores are within their bounds.
func FuzzLoose(f *testing.F) {
	f.Add("IMAP break", "broken IMAP, a break of it", 7)
	f.Add("Helo", "hello help", 3)
	f.Add("東京", "今日は東京で", 4)
	f.Add("\xff", "a\xff\xfe", 1)
	f.Add("straße", "STRASSE "+strings.Repeat("y", 100), 9)
	f.Add("", "", 0)
	f.Add("e\u0301", "E\u0301", 1)
	f.Fuzz(func(t *testing.T, key, text string, cut int) {
		if len(key) > 100 || len(text) > 10_000 || !utf8.ValidString(key) {
			return
		}
		for _, c := range Collations() {
			whole, _ := lookLoosely(c, key, text, 0)
			if pieces, _ := lookLoosely(c, key, text, max(cut, 0)%(len(text)+1)); pieces != whole {
				t.Fatalf("%q in %q by %s: %d, in pieces at %d %d", key, text, c, whole, cut, pieces)
			}
			stands := bytes.Contains(c.Append(nil, []byte(text)), c.Append(nil, []byte(key)))
			if stands && whole == 0 || whole > 100 {
				t.Fatalf("%q in %q by %s: %d", key, text, c, whole)
			}
		}
		var words []word
		s := splitter{limit: maxWord, take: func(w *word) {
			words = append(words, w.ofKey())
		}}
		s.write(UnicodeCasemap.Append(nil, []byte(text)))
		s.end()
		if len(words) > 50 {
			words = words[:50]
		}
		for _, k := range fuzzyWords(key) {
			for _, w := range words {
				if w.n > maxWord {
					t.Fatalf("a word of %d letters", w.n)
				}
				checkDistance(t, &k, &w)
			}
		}
	})
}

// lookLoosely looks for a key in a text that comes in two pieces.
func lookLoosely(c Collation, key, text string, cut int) (score uint8, found bool) {
	k := &Key{Kind: FuzzyBody, Text: key, folded: c.Append(nil, []byte(key)), words: fuzzyWords(key)}
	finder := finder{found: make([]bool, 1), loose: newLooseFinder([]*Key{k})}
	finder.use(c, [][]byte{k.folded})
	finder.begin(inBody, func(int) bool { return true })
	finder.Write([]byte(text[:cut]))
	finder.Write([]byte(text[cut:]))
	scores := make([]uint8, 1)
	finder.loose.finish(finder.found, scores)
	return scores[0], finder.found[0]
}

// TestFuzzyFindsAsWell searches the test mails for words out of them: whatever a key
// finds, it finds as a fuzzy one too, and every message found has a score.
func TestFuzzyFindsAsWell(t *testing.T) {
	r := random(t)
	mails := corpus(t)
	r.Shuffle(len(mails), func(i, j int) { mails[i], mails[j] = mails[j], mails[i] })
	w := newWorld(t)
	for _, mail := range mails[:200] {
		w.deliver(mail, 1_772_000_000, store.Flags(r.IntN(4)))
	}
	v := w.open()
	for _, text := range []string{"the", "meeting", "http://", "ü", "re: a", "multipart/alternative", "=3D"} {
		for _, k := range []Key{{Kind: Body}, {Kind: Text}, {Kind: Field, Field: "subject"}, {Kind: Field, Field: "from"}, {Kind: Field, Field: "content-type"}} {
			k.Text = text
			exact, fuzzy := k, k
			fuzzy.Kind = FuzzyKind(k.Kind)
			want := w.find(v, &Key{Kind: And, Keys: []*Key{&exact}}, false)
			found := make(map[int]bool)
			e := New(v, &Key{Kind: And, Keys: []*Key{&fuzzy}, Scored: true}, w.options())
			must(t, e.Run(w.ctx, false, func(seq int) bool {
				found[seq] = true
				if s := e.Score(seq); s < 1 || s > 100 {
					t.Errorf("%q: message %d scores %d", text, seq, s)
				}
				return true
			}))
			for _, seq := range want {
				if !found[seq] {
					t.Errorf("%q, kind %d, field %q: message %d is not found fuzzily", text, k.Kind, k.Field, seq)
				}
			}
		}
	}
}
