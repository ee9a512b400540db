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
	loose     *looseFinder // nil: no key is fuzzy
	at        spot         // of this text
}

// use makes the finder ready for the needles of a search.
func (f *finder) use(c Collation, needles [][]byte) {
	f.collation, f.needles = c, needles
	f.wanted = slices.Grow(f.wanted[:0], len(needles))[:len(needles)]
}

// begin starts a new text, in which the needles of wanted are looked for that have
// not been found yet.
func (f *finder) begin(at spot, wanted func(i int) bool) {
	f.left, f.longest, f.at = 0, 0, at
	if f.loose != nil {
		f.left = f.loose.begin(wanted, at)
	}
	f.window, f.partial = f.window[:0], f.partial[:0]
	for i, needle := range f.needles {
		f.wanted[i] = !f.isFound(i) && wanted(i)
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
	if f.collation == UnicodeCasemap || f.loose != nil {
		whole -= incomplete(p)
	}
	kept := len(f.window)
	f.window = f.collation.Append(f.window, p[:whole])
	if f.loose.looking() {
		f.loose.write(f.collation, p[:whole], f.window[kept:])
	}
	f.partial = append(f.partial[:0], p[whole:]...)
	f.look()
	return n, nil
}

// isFound says whether a needle need not be looked for in this text. That of a fuzzy key
// counts for more in some.
func (f *finder) isFound(i int) bool {
	if f.loose != nil && f.loose.needles[i] != nil {
		l := f.loose.needles[i]
		return int(l.whole) >= l.key.counts(f.at)
	}
	return f.found[i]
}

// field looks at a field of a header block.
func (f *finder) field(name []byte, value string) {
	if f.loose != nil {
		f.loose.paused = true
	}
	f.Write(name)
	f.Write([]byte(": "))
	if f.loose != nil {
		f.loose.enter(name, f.at)
	}
	f.Write([]byte(value))
	f.Write([]byte("\r\n"))
}

func (f *finder) look() {
	for i, needle := range f.needles {
		if f.wanted[i] && bytes.Contains(f.window, needle) {
			f.wanted[i] = false
			if f.loose != nil && f.loose.needles[i] != nil {
				f.loose.needles[i].seeWhole(f.at)
			} else {
				f.found[i] = true
			}
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
