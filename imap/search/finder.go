package search

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// finder looks for needles in a text that comes in pieces.
type finder struct {
	collation Collation
	needles   [][]byte // in their canonical form
	wanted    []bool   // still looked for in this text
	found     []bool   // in this message
	left      int      // how many of wanted
	window    []byte   // canonical: the end of what has passed, then the new piece
	partial   []byte   // a character that is not whole yet
	longest   int
}

// use makes the finder ready for the needles of a search.
func (f *finder) use(c Collation, needles [][]byte) {
	f.collation, f.needles = c, needles
	f.wanted = slices.Grow(f.wanted[:0], len(needles))[:len(needles)]
}

// begin starts a new text, in which the needles of wanted are looked for that have
// not been found yet.
func (f *finder) begin(wanted func(i int) bool) {
	f.left, f.longest = 0, 0
	f.window, f.partial = f.window[:0], f.partial[:0]
	for i, needle := range f.needles {
		f.wanted[i] = !f.found[i] && wanted(i)
		if f.wanted[i] {
			f.left++
			f.longest = max(f.longest, len(needle))
		}
	}
	f.look() // an empty needle is in every text
}

// Write looks at the next piece. It never fails.
func (f *finder) Write(p []byte) (int, error) {
	n := len(p)
	if f.left == 0 {
		return n, nil
	}
	if keep := max(f.longest-1, 0); len(f.window) > keep {
		f.window = append(f.window[:0], f.window[len(f.window)-keep:]...)
	}
	if len(f.partial) > 0 {
		p = append(f.partial, p...)
	}
	whole := len(p)
	if f.collation == UnicodeCasemap {
		whole -= incomplete(p)
	}
	f.window = f.collation.Append(f.window, p[:whole])
	f.partial = append(f.partial[:0], p[whole:]...)
	f.look()
	return n, nil
}

func (f *finder) look() {
	for i, needle := range f.needles {
		if f.wanted[i] && bytes.Contains(f.window, needle) {
			f.found[i], f.wanted[i] = true, false
			f.left--
		}
	}
}

// incomplete counts the octets at the end of p that begin a character and do not
// end it.
func incomplete(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if c := p[len(p)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(p[len(p)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}
