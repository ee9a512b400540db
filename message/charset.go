package message

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"
)

// charsetDecoder returns a new transformer from a MIME charset to UTF-8.
//
// No name and US-ASCII are read leniently: octets outside ASCII have no meaning
// there, and in practice they are UTF-8 or else Windows-1252. In UTF-8, and in a
// charset nobody knows, what cannot be read becomes U+FFFD.
func charsetDecoder(name string) transform.Transformer {
	name = strings.ToLower(strings.Trim(name, " \t\r\n\"'"))
	switch name {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968", "646", "iso646-us", "unknown-8bit", "x-unknown", "8bit", "binary", "default_charset", "unknown":
		return lenientUTF8{}
	case "utf-8", "utf8", "unicode-1-1-utf-8", "utf-8mb4", "utf8mb4":
		return strictUTF8{}
	}
	if e := lookupCharset(name); e != nil {
		return e.NewDecoder().Transformer
	}
	return asciiOnly{}
}

// lookupCharset finds the encoding of a lower-case charset name, or nil.
func lookupCharset(name string) encoding.Encoding {
	if e := oddCharset(name); e != nil {
		return e
	}
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		return e
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil {
		return e
	}
	return nil
}

// oddCharset knows names seen in mail that neither index lists, or that the
// HTML index maps to nothing on purpose.
func oddCharset(name string) encoding.Encoding {
	switch name {
	case "hz", "hz-gb-2312":
		return simplifiedchinese.HZGB2312
	case "gb", "gb-2312", "gb_2312", "gb2312-80", "cp936", "ms936", "x-gbk", "cn-gb":
		return simplifiedchinese.GBK
	case "cp932", "ms932", "x-ms-cp932", "x-sjis-cp932", "windows-932":
		return japanese.ShiftJIS
	case "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-ms", "cp50220", "cp50221", "cp50222":
		return japanese.ISO2022JP
	case "cp51932", "eucjp", "ujis":
		return japanese.EUCJP
	case "cp949", "ms949", "uhc", "x-windows-949":
		return korean.EUCKR
	case "latin1", "latin-1", "iso8859_1", "iso-8859-1-windows-3.1-latin-1", "iso-8859", "8859-1", "ansi":
		return charmap.Windows1252
	case "latin9", "latin-9", "iso8859_15":
		return charmap.ISO8859_15
	case "ibm437", "cp437", "437":
		return charmap.CodePage437
	case "ibm850", "cp850", "850":
		return charmap.CodePage850
	case "ibm852", "cp852", "852":
		return charmap.CodePage852
	case "ibm855", "cp855":
		return charmap.CodePage855
	case "ibm858", "cp858":
		return charmap.CodePage858
	case "koi8r", "koi-8-r", "koi8":
		return charmap.KOI8R
	case "macroman", "x-macroman", "x-mac-roman", "mac-roman":
		return charmap.Macintosh
	case "win-1250", "win1250", "cp-1250":
		return charmap.Windows1250
	case "win-1251", "win1251", "cp-1251":
		return charmap.Windows1251
	case "win-1252", "win1252", "cp-1252":
		return charmap.Windows1252
	}
	return nil
}

// decodeCharset appends text in the named charset to b as UTF-8.
func decodeCharset(b, text []byte, name string) []byte {
	if !hasEightBit(text) && isASCIICharset(name) {
		return append(b, text...)
	}
	d := charsetDecoder(name)
	for len(text) > 0 {
		b = growFor(b, len(text)+utf8.UTFMax)
		n, used, err := d.Transform(b[len(b):cap(b)], text, true)
		b, text = b[:len(b)+n], text[used:]
		switch {
		case err == nil && used == 0 && n == 0, err != nil && err != transform.ErrShortDst:
			return append(b, "\uFFFD"...)
		case err == transform.ErrShortDst && n == 0:
			b = growFor(b, 2*cap(b)-len(b))
		}
	}
	return b
}

// growFor makes room for n more octets.
func growFor(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	return append(make([]byte, 0, len(b)+max(n, len(b))), b...)
}

// isASCIICharset reports whether ASCII octets mean themselves in a charset, for
// the few names that make up nearly all mail.
func isASCIICharset(name string) bool {
	switch strings.ToLower(name) {
	case "", "us-ascii", "utf-8", "iso-8859-1", "iso-8859-15", "windows-1252", "windows-1251", "koi8-r":
		return true
	}
	return false
}

// strictUTF8 copies UTF-8 and replaces what is not.
type strictUTF8 struct{ transform.NopResetter }

func (strictUTF8) Transform(dst, src []byte, atEOF bool) (int, int, error) {
	return copyUTF8(dst, src, atEOF, func(byte) rune { return utf8.RuneError })
}

// lenientUTF8 copies UTF-8 and reads other octets as Windows-1252.
type lenientUTF8 struct{ transform.NopResetter }

func (lenientUTF8) Transform(dst, src []byte, atEOF bool) (int, int, error) {
	return copyUTF8(dst, src, atEOF, charmap.Windows1252.DecodeByte)
}

// asciiOnly copies ASCII and replaces every other octet.
type asciiOnly struct{ transform.NopResetter }

func (asciiOnly) Transform(dst, src []byte, _ bool) (nDst, nSrc int, err error) {
	for _, c := range src {
		if c < utf8.RuneSelf {
			if nDst == len(dst) {
				return nDst, nSrc, transform.ErrShortDst
			}
			dst[nDst] = c
			nDst++
		} else {
			if nDst+3 > len(dst) {
				return nDst, nSrc, transform.ErrShortDst
			}
			nDst += copy(dst[nDst:], "\uFFFD")
		}
		nSrc++
	}
	return nDst, nSrc, nil
}

// copyUTF8 copies valid UTF-8 and gives each other octet to wrong.
func copyUTF8(dst, src []byte, atEOF bool, wrong func(byte) rune) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if c := src[nSrc]; c < utf8.RuneSelf {
			if nDst == len(dst) {
				return nDst, nSrc, transform.ErrShortDst
			}
			dst[nDst] = c
			nDst++
			nSrc++
			continue
		}
		if !atEOF && !utf8.FullRune(src[nSrc:]) {
			return nDst, nSrc, transform.ErrShortSrc
		}
		r, n := utf8.DecodeRune(src[nSrc:])
		if r == utf8.RuneError && n == 1 {
			r = wrong(src[nSrc])
		}
		if nDst+utf8.RuneLen(r) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += n
	}
	return nDst, nSrc, nil
}
