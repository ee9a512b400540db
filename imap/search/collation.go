package search

import (
	"encoding/binary"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Collation is a comparator of RFC 4790: texts are compared, searched and ordered
// by the octets of their canonical form, which [Collation.Append] makes.
type Collation uint8

const (
	UnicodeCasemap Collation = iota // i;unicode-casemap, RFC 5051
	ASCIICasemap                    // i;ascii-casemap, RFC 4790 section 9.2
	Octet                           // i;octet, RFC 4790 section 9.3
)

var collations = [...]string{"i;unicode-casemap", "i;ascii-casemap", "i;octet"}

// String returns the registered name.
func (c Collation) String() string { return collations[c] }

// Collations lists all there are, the default first.
func Collations() []Collation { return []Collation{UnicodeCasemap, ASCIICasemap, Octet} }

// maxCollationName is the length of the longest name and pattern, RFC 4790 section 3.1.
const maxCollationName = 254

// Matching returns the collations whose names match a pattern of RFC 4790 section
// 3.2, the default first. "*" stands for any text in it; case is of no matter.
func Matching(pattern string) (found []Collation) {
	if len(pattern) > maxCollationName {
		return nil
	}
	for _, c := range Collations() {
		if matchesName(strings.ToLower(pattern), c.String()) {
			found = append(found, c)
		}
	}
	return found
}

// matchesName says whether a name is what a pattern stands for.
func matchesName(pattern, name string) bool {
	texts := strings.Split(pattern, "*")
	last := len(texts) - 1
	if last == 0 {
		return name == pattern
	}
	rest, begins := strings.CutPrefix(name, texts[0])
	for _, text := range texts[1:last] {
		_, after, found := strings.Cut(rest, text)
		if !found {
			return false
		}
		rest = after
	}
	return begins && strings.HasSuffix(rest, texts[last])
}

// Append appends the canonical form of a text in UTF-8. For i;unicode-casemap that
// is each character in title case and decomposed, canonically or compatibly (RFC
// 5051 section 2); Hangul syllables, whose decomposition is arithmetic and stands
// in no property, stay whole. Octets that are not UTF-8 become U+FFFD there. It
// allocates nothing but room in b.
func (c Collation) Append(b, text []byte) []byte {
	if c == Octet {
		return append(b, text...)
	}
	start := len(b)
	b = append(b, text...)
	n := foldASCII(b[start:], c == UnicodeCasemap)
	if n == len(text) {
		return b
	}
	return appendFolded(b[:start+n], text[n:])
}

// appendFolded appends text that begins with a character outside ASCII.
func appendFolded(b, text []byte) []byte {
	short := shortForms()
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			b = append(b, upperASCII(c))
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		i += n
		if r < endShort {
			f := &short[r-utf8.RuneSelf]
			b = append(b, f.text[:f.n]...)
			continue
		}
		b = appendFoldedRune(b, r)
	}
	return b
}

// endShort is the end of the characters whose canonical forms are looked up: those
// of two octets, which most alphabets are made of.
const endShort = 0x800

// shortForm is a canonical form, the longest of which has six octets.
type shortForm struct {
	n    uint8
	text [7]byte
}

var shortForms = sync.OnceValue(func() *[endShort - utf8.RuneSelf]shortForm {
	forms := new([endShort - utf8.RuneSelf]shortForm)
	for i := range forms {
		forms[i].n = uint8(copy(forms[i].text[:], appendFoldedRune(nil, rune(utf8.RuneSelf+i))))
	}
	return forms
})

// appendFoldedRune appends the title case of a character, decomposed.
func appendFoldedRune(b []byte, r rune) []byte {
	if 0x3400 <= r && r < 0xa000 || 0xac00 <= r && r < 0xd7a4 { // Han and Hangul
		return utf8.AppendRune(b, r)
	}
	start := len(b)
	b = utf8.AppendRune(b, unicode.ToTitle(r))
	if d := norm.NFKD.Properties(b[start:]).Decomposition(); d != nil {
		b = append(b[:start], d...)
	}
	return b
}

func upperASCII(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// foldASCII makes the letters of ASCII upper case in place, eight octets at a
// time. With stop it ends before the first octets that hold one above 127. It
// returns how far it came.
func foldASCII(b []byte, stop bool) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		high := x & highs
		if stop && high != 0 {
			break
		}
		low := x &^ highs // no sum below carries into the next octet
		lower := (low + (0x80-'a')*ones) &^ (low + (0x7f-'z')*ones) & highs &^ high
		if lower != 0 {
			binary.LittleEndian.PutUint64(b[i:], x-lower>>2)
		}
	}
	for ; i < len(b); i++ {
		if stop && b[i] >= utf8.RuneSelf {
			return i
		}
		b[i] = upperASCII(b[i])
	}
	return i
}

// isASCII reports whether no octet is above 127.
func isASCII(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&highs != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
