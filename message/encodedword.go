package message

import (
	"bytes"
	"unicode/utf8"
)

// DecodeHeader decodes a header value to UTF-8 for people to read and search:
// encoded words (RFC 2047, with the language of RFC 2231 section 5) wherever
// they stand, raw octets as UTF-8 or else Windows-1252, folding removed. White
// space between two encoded words goes; a character split between them is put
// together. NUL, CR and LF, from wherever they come, become spaces, so that the
// result is one line.
func DecodeHeader(s string) string {
	return string(appendDecoded(nil, []byte(s)))
}

// appendDecoded appends the decoded form of a header value, as [DecodeHeader]
// describes it.
func appendDecoded(b, s []byte) []byte {
	start := len(b)
	if hasEightBit(s) || bytes.Contains(s, []byte("=?")) {
		b = appendWords(b, s)
		b = trimFrom(b, start)
	} else {
		b = appendUnfolded(b, s) // as most fields are
	}
	for i := start; i < len(b); i++ {
		if c := b[i]; c == 0 || c == '\r' || c == '\n' {
			b[i] = ' '
		}
	}
	return b
}

// trimFrom cuts white space off both ends of b[start:].
func trimFrom(b []byte, start int) []byte {
	t := trimBlank(b[start:])
	return append(b[:start], t...)
}

// appendWords decodes without the cleaning at the end.
func appendWords(b, s []byte) []byte {
	var pending encodedRun
	for len(s) > 0 {
		i := bytes.Index(s, []byte("=?"))
		if i < 0 {
			b = pending.flush(b)
			return appendPlain(b, s)
		}
		w, n, ok := parseEncodedWord(s[i:])
		if !ok {
			b = pending.flush(b)
			b = appendPlain(b, s[:i+2])
			s = s[i+2:]
			continue
		}
		if !pending.open || !onlyBlank(s[:i]) {
			b = pending.flush(b)
			b = appendPlain(b, s[:i])
		}
		b = pending.add(b, w)
		s = s[i+n:]
	}
	return pending.flush(b)
}

func onlyBlank(s []byte) bool { return len(trimBlank(s)) == 0 }

// appendPlain appends text that is no encoded word, unfolded.
func appendPlain(b, s []byte) []byte {
	for len(s) > 0 {
		i := bytes.IndexByte(s, '\n')
		line := s
		if i < 0 {
			s = nil
		} else {
			line, s = s[:i], s[i+1:]
			if i > 0 && line[i-1] == '\r' {
				line = line[:i-1]
			}
		}
		b = decodeCharset(b, line, "")
	}
	return b
}

// encodedWord is one =?charset?encoding?text?= taken apart.
type encodedWord struct {
	charset []byte
	base64  bool
	text    []byte
}

// maxCharset bounds the charset token of an encoded word, so that a search for
// its end cannot run far.
const maxCharset = 80

// parseEncodedWord reads the encoded word at the head of s, which begins with
// "=?", and returns its length. It allows spaces inside the text, which are
// wrong and common. It looks no further than the next "=?", where the caller
// goes on when this one was none: that keeps decoding linear.
func parseEncodedWord(s []byte) (w encodedWord, n int, ok bool) {
	head := s[2:min(len(s), 2+maxCharset)]
	q := bytes.IndexByte(head, '?')
	if q <= 0 || bytes.ContainsAny(head[:q], " \t\r\n") {
		return w, 0, false
	}
	w.charset = head[:q]
	if star := bytes.IndexByte(w.charset, '*'); star >= 0 {
		w.charset = w.charset[:star] // the language
	}
	rest := s[2+q+1:]
	if len(rest) < 2 || rest[1] != '?' {
		return w, 0, false
	}
	switch rest[0] {
	case 'b', 'B':
		w.base64 = true
	case 'q', 'Q':
	default:
		return w, 0, false
	}
	text := rest[2:]
	end := wordEnd(text)
	if end < 0 {
		return w, 0, false
	}
	w.text = text[:end]
	return w, 2 + q + 1 + 2 + end + 2, true
}

// wordEnd finds the "?=" that ends a word's text, or gives -1. Another word may
// not begin before it, but padding may stand there: "=?=".
func wordEnd(text []byte) int {
	next := bytes.Index(text, []byte("=?"))
	if next < 0 {
		return bytes.Index(text, []byte("?="))
	}
	end := bytes.Index(text[:next+1], []byte("?="))
	if end < 0 && bytes.HasPrefix(text[next:], []byte("=?=")) {
		return next + 1
	}
	return end
}

// encodedRun gathers the octets of neighbouring encoded words of one charset,
// because senders cut words in the middle of a character.
type encodedRun struct {
	open    bool
	charset []byte
	octets  []byte
}

func (r *encodedRun) add(b []byte, w encodedWord) []byte {
	if r.open && !bytes.EqualFold(r.charset, w.charset) {
		b = r.flush(b)
	}
	r.open, r.charset = true, w.charset
	if w.base64 {
		r.octets = appendBase64(r.octets, w.text)
	} else {
		r.octets = appendQ(r.octets, w.text)
	}
	return b
}

func (r *encodedRun) flush(b []byte) []byte {
	if r.open {
		b = decodeCharset(b, r.octets, string(r.charset))
		r.open, r.octets = false, r.octets[:0]
	}
	return b
}

// appendQ decodes the Q encoding, RFC 2047 section 4.2.
func appendQ(b, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '_':
			b = append(b, ' ')
		case c == '=' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			b = append(b, unhex(text[i+1])<<4|unhex(text[i+2]))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return b
}

// cutText shortens text to at most n octets at a character's edge.
func cutText(b []byte, n int) []byte {
	if len(b) <= n {
		return b
	}
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return b[:n]
}
