package search

import (
	"bytes"
	"math/bits"
	"unicode"
	"unicode/utf8"
)

// How like two words are, in hundredths.
const (
	likeSame     = 100
	likeBegins   = 70 // the word begins with that of the key
	likeOneEdit  = 50 // one letter is missing, added, another, or two have changed places
	likeInside   = 30 // that of the key is inside
	likeTwoEdits = 10
)

const (
	maxWord       = 32 // letters of words that are compared; longer ones seldom are words
	minBegun      = 2  // letters of a word that others may begin with
	minInside     = 3  // letters of a word that may be inside of others
	minEdited     = 4  // letters of a word in which one edit is allowed
	minEditedMore = 8  // letters of a word in which two are
	maxEdits      = 2
)

// word is one of a text or of a key, in the form in which they are compared.
type word struct {
	text    []byte
	n       int    // letters
	set     uint64 // a bit for each letter that is in it, several letters to a bit
	run     bool   // of a script without spaces between words, so that it may be several
	edits   int    // of a key: how many are allowed
	letters []rune // made when they are needed
}

// add appends a letter.
func (w *word) add(r rune) {
	w.text = utf8.AppendRune(w.text, r)
	w.set |= 1 << (r & 63)
	w.n++
}

func (w *word) reset() {
	w.text, w.letters, w.n, w.set, w.run = w.text[:0], w.letters[:0], 0, 0, false
}

// spell returns the letters.
func (w *word) spell() []rune {
	if len(w.letters) == 0 {
		for _, r := range string(w.text) {
			w.letters = append(w.letters, r)
		}
	}
	return w.letters
}

// ofKey returns a word as it stands in a key: it may be kept.
func (w *word) ofKey() word {
	k := word{text: bytes.Clone(w.text), n: w.n, set: w.set, run: w.run}
	k.spell()
	switch {
	case k.n >= minEditedMore:
		k.edits = maxEdits
	case k.n >= minEdited:
		k.edits = 1
	}
	return k
}

// like says how like a word of a key and one of a text are, in hundredths; 0: not at
// all.
func like(key, w *word) int {
	lacks := bits.OnesCount64(key.set &^ w.set)
	if lacks > key.edits {
		return 0
	}
	if lacks > 0 || w.n < key.n { // nothing but edits can make them alike
		return byEdits(key, w)
	}
	if bytes.HasPrefix(w.text, key.text) {
		if w.n == key.n {
			return likeSame
		}
		if key.n >= minBegun || key.run {
			return likeBegins
		}
		return 0
	}
	best := byEdits(key, w)
	if best < likeInside && (key.n >= minInside || key.run) && bytes.Contains(w.text, key.text) {
		return likeInside
	}
	return best
}

func byEdits(key, w *word) int {
	switch distance(key, w, key.edits) {
	case 0, 1:
		return likeOneEdit
	case 2:
		return likeTwoEdits
	}
	return 0
}

// distance returns how many edits make one word the other: letters that are missing,
// added, or others, and neighbours that have changed places, none of them edited twice.
// Beyond the limit it returns more than maxEdits.
func distance(a, b *word, limit int) int {
	const far = maxEdits + 1
	m, n := a.n, b.n
	if m-n > limit || n-m > limit || limit == 0 ||
		bits.OnesCount64(a.set&^b.set) > limit || bits.OnesCount64(b.set&^a.set) > limit {
		return far
	}
	x, y := a.spell(), b.spell()
	var rows [3][maxWord + 1]int8 // of the letters before the last, of the last, of this one
	for j := range n + 1 {
		rows[1][j] = int8(min(j, far))
	}
	for i := 1; i <= m; i++ {
		from, to := max(1, i-limit), min(n, i+limit)
		before, last, row := &rows[(i-1)%3], &rows[i%3], &rows[(i+1)%3]
		row[from-1] = far
		if from == 1 {
			row[0] = int8(min(i, far))
		}
		if to < n {
			row[to+1] = far // what the next letter may look at
		}
		least := row[from-1]
		for j := from; j <= to; j++ {
			d := last[j-1]
			if x[i-1] != y[j-1] {
				d = 1 + min(d, last[j], row[j-1])
				if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
					d = min(d, 1+before[j-2])
				}
			}
			row[j] = d
			least = min(least, d)
		}
		if int(least) > limit {
			return far
		}
	}
	if d := int(rows[(m+1)%3][n]); d <= limit {
		return d
	}
	return far
}

// fuzzyWords returns the different words of a key's string.
func fuzzyWords(text string) (words []word) {
	seen := make(map[string]bool)
	s := splitter{limit: len(text), take: func(w *word) {
		if !seen[string(w.text)] {
			seen[string(w.text)] = true
			words = append(words, w.ofKey())
		}
	}}
	s.write(UnicodeCasemap.Append(nil, []byte(text)))
	s.end()
	return words
}

// splitter finds the words of a text in its canonical form by i;unicode-casemap, which
// may come in pieces that hold whole characters: letters and digits that stand together.
// Words that are longer than the limit are passed over, but where a script has no spaces
// they are cut.
type splitter struct {
	limit int // letters
	take  func(*word)
	word  word
	long  bool // the present word is too long
}

func (s *splitter) write(text []byte) {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if n := s.plain(text[i:]); n > 0 {
				i += n
				continue
			}
			i++
			if r := plainLetter[c]; r != 0 {
				s.letter(rune(r))
			} else if s.word.n > 0 || s.long {
				s.end()
			}
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		i += n
		switch {
		case unicode.Is(unicode.Mn, r):
		case unicode.IsLetter(r), unicode.IsNumber(r), unicode.Is(unicode.Mc, r):
			s.letters(r)
		default:
			s.end()
		}
	}
}

// plain adds the letters and digits of ASCII that text begins with, if they can be added
// at once, and returns how many.
func (s *splitter) plain(text []byte) int {
	w := &s.word
	if w.run {
		return 0
	}
	var set uint64
	n := 0
	for n < len(text) && '0' <= text[n] && text[n] <= 'Z' && plainLetter[text[n]] != 0 {
		set |= 1 << (text[n] & 63)
		n++
	}
	if w.n+n > s.limit {
		s.long = true
		return n
	}
	w.text = append(w.text, text[:n]...)
	w.set |= set
	w.n += n
	return n
}

// plainLetter holds the upper case of the letters and digits of ASCII. (Lower case is left
// of compatible forms that have no upper case.)
var plainLetter = func() (t [utf8.RuneSelf]byte) {
	for c := range byte(utf8.RuneSelf) {
		if u := upperASCII(c); 'A' <= u && u <= 'Z' || '0' <= u && u <= '9' {
			t[c] = u
		}
	}
	return t
}()

// letters adds a letter outside ASCII, or those that people without it on their keyboard
// write for it, where Unicode does not decompose it.
func (s *splitter) letters(r rune) {
	switch r {
	case 'Æ':
		s.letter('A')
		r = 'E'
	case 'Œ':
		s.letter('O')
		r = 'E'
	case 'ß', 'ẞ':
		s.letter('S')
		r = 'S'
	case 'Þ':
		s.letter('T')
		r = 'H'
	case 'Ø':
		r = 'O'
	case 'Ł':
		r = 'L'
	case 'Đ', 'Ð':
		r = 'D'
	case 'Ħ':
		r = 'H'
	}
	s.word.run = s.word.run || r >= firstUnspaced && unicode.In(r, unspaced...)
	s.letter(r)
}

// firstUnspaced is the first letter of the scripts without spaces between words.
const firstUnspaced = 0x0e01

var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

func (s *splitter) letter(r rune) {
	if s.word.n >= s.limit {
		if !s.word.run {
			s.long = true
			return
		}
		s.end()
		s.word.run = true
	}
	s.word.add(r)
}

// end ends a word, and the text.
func (s *splitter) end() {
	if s.word.n > 0 && !s.long {
		s.take(&s.word)
	}
	s.word.reset()
	s.long = false
}
