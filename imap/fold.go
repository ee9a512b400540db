package imap

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// SEARCH compares without case: both sides are folded, rune by rune, to the form
// in which upper and lower case are the same.

var asciiFold = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			t[i] = byte(i) + 'a' - 'A'
		}
	}
	return t
}()

// appendFolded appends text folded. Octets that are not UTF-8 become U+FFFD.
func appendFolded(b, text []byte) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			b = append(b, asciiFold[c])
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		b = utf8.AppendRune(b, unicode.ToLower(unicode.ToUpper(r)))
		i += n
	}
	return b
}

// finder looks for needles in a text that comes in pieces.
type finder struct {
	needles []string // folded
	wanted  []bool   // still looked for in this text
	found   []bool
	left    int    // how many of wanted
	window  []byte // folded: the end of what has passed, then the new piece
	partial []byte // a rune that is not whole yet
	longest int
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
	if keep := f.longest - 1; len(f.window) > keep {
		f.window = append(f.window[:0], f.window[len(f.window)-max(keep, 0):]...)
	}
	if len(f.partial) > 0 {
		p = append(f.partial, p...)
	}
	whole := len(p) - incomplete(p)
	f.window = appendFolded(f.window, p[:whole])
	f.partial = append(f.partial[:0], p[whole:]...)
	f.look()
	return n, nil
}

// WriteString is Write for a string.
func (f *finder) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

func (f *finder) look() {
	for i, needle := range f.needles {
		if f.wanted[i] && bytes.Contains(f.window, []byte(needle)) {
			f.found[i], f.wanted[i] = true, false
			f.left--
		}
	}
}

// incomplete counts the octets at the end of p that begin a rune and do not end it.
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
