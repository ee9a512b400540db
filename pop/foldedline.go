package pop

import (
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"

	"tripost/message"
)

// foldedLine writes one header field, folded where a line would get too long.
type foldedLine struct {
	b      []byte
	column int
}

// longestEncoded bounds a line with an encoded word in it (RFC 2047 section 2).
const longestEncoded = 76

// name begins the field.
func (l *foldedLine) name(name string) {
	l.b = append(l.b, name...)
	l.b = append(l.b, ':')
	l.column = len(name) + 1
}

// word appends a word with the white space before it, which a fold keeps.
func (l *foldedLine) word(space, word string) {
	if space == "" && l.b[len(l.b)-1] == ':' {
		space = " "
	}
	if space != "" && l.column > 1 && l.column+len(space)+len(word) > longestEncoded {
		l.b = append(l.b, "\r\n"...)
		l.column = 0
		space = " "
	}
	l.b = append(l.b, space...)
	l.b = append(l.b, word...)
	l.column += len(space) + len(word)
}

// encoded appends text as encoded words. Inside phrases and comments base64 is
// used alone: the Q encoding would have to leave out more characters there (RFC
// 2047 section 5).
func (l *foldedLine) encoded(space, text string, phrase bool) {
	words := mime.BEncoding.Encode("utf-8", text)
	if q := mime.QEncoding.Encode("utf-8", text); !phrase && len(q) <= len(words) {
		words = q
	}
	for i, w := range strings.Split(words, "?= =?") {
		if i > 0 {
			w, space = "=?"+w, " "
		}
		if strings.HasPrefix(w, "=?") && !strings.HasSuffix(w, "?=") {
			w += "?="
		}
		l.word(space, w)
	}
}

// text appends unstructured text: runs of words in UTF-8 become encoded words,
// the others stay.
func (l *foldedLine) text(value string) {
	var run strings.Builder // words to be encoded, with the spaces between them
	before, space := "", "" // white space before the run and before the word
	flush := func() {
		if run.Len() > 0 {
			l.encoded(before, run.String(), false)
			run.Reset()
		}
	}
	wasEncoded := false // the word before is an encoded word: a space between the two would be lost
	for len(value) > 0 {
		n := strings.IndexFunc(value, func(r rune) bool { return r != ' ' && r != '\t' })
		if n < 0 {
			break
		}
		space, value = value[:n], value[n:]
		word := value
		if i := strings.IndexAny(value, " \t"); i >= 0 {
			word = value[:i]
		}
		value = value[len(word):]
		switch looksEncoded := strings.HasPrefix(word, "=?"); {
		case isASCII(word) && !(looksEncoded && run.Len() > 0):
			flush()
			l.word(space, word)
			wasEncoded = looksEncoded
		case run.Len() == 0:
			before = space
			if wasEncoded {
				run.WriteString(space)
			}
			run.WriteString(word)
			wasEncoded = false
		default:
			run.WriteString(space)
			if looksEncoded {
				word = message.DecodeHeader(word)
			}
			run.WriteString(word)
		}
	}
	flush()
}

// comments appends a structured value. What is in UTF-8 can only stand in
// comments; outside of them it is made one.
func (l *foldedLine) comments(value string) {
	depth := 0
	for i, word := range strings.Fields(value) {
		space := " "
		if i == 0 {
			space = ""
		}
		opening := strings.Count(word, "(") - strings.Count(word, ")")
		switch bare := strings.Trim(word, "()"); {
		case isASCII(word):
			l.word(space, word)
		case depth > 0 || strings.HasPrefix(word, "("):
			open, closing, _ := strings.Cut(word, bare)
			l.word(space, open)
			l.encoded("", bare, true)
			l.word("", closing)
		default:
			l.word(space, "(")
			l.encoded("", bare, true)
			l.word("", ")")
		}
		depth += opening
	}
}

// addressList appends addresses. One that is not in ASCII has no form that an
// older program knows: it becomes an empty group with the address for a name,
// and so does a whole group with such a member (RFC 6857 section 3.1.7).
func (l *foldedLine) addressList(value string) {
	list, err := message.ParseAddressList(value)
	if err != nil || len(list) == 0 {
		l.encoded("", value, true)
		l.word("", " :;")
		return
	}
	for i := 0; i < len(list); {
		n := 1
		for list[i].Group != "" && i+n < len(list) && list[i+n].Group == list[i].Group {
			n++
		}
		if i > 0 {
			l.word("", ",")
		}
		l.group(list[i : i+n])
		i += n
	}
}

// group appends addresses that stand in one group, or a single one that stands
// in none.
func (l *foldedLine) group(list []message.Address) {
	if list[0].Group == "" {
		l.address(list[0])
		return
	}
	var all []string
	ascii := true
	for _, a := range list {
		ascii = ascii && isASCII(a.Addr())
		all = append(all, a.Addr())
	}
	l.phrase(list[0].Group)
	if !ascii {
		l.encoded(" ", strings.Join(all, ", "), true)
		l.word("", " :;")
		return
	}
	l.word("", ":")
	for i, a := range list {
		if i > 0 {
			l.word("", ",")
		}
		l.address(a)
	}
	l.word("", ";")
}

func (l *foldedLine) address(a message.Address) {
	addr := a.Addr()
	switch {
	case !isASCII(addr):
		if a.Name != "" {
			l.phrase(a.Name)
		}
		l.encoded(" ", addr, true)
		l.word("", " :;")
	case a.Name != "":
		l.phrase(a.Name)
		l.word(" ", "<"+addr+">")
	default:
		l.word(" ", addr)
	}
}

// phrase appends a display name.
func (l *foldedLine) phrase(name string) {
	if isASCII(name) {
		l.word(" ", quotePhrase(name))
		return
	}
	l.encoded(" ", name, true)
}

func quotePhrase(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// parameterList appends a MIME value: parameters in UTF-8 take the form of RFC
// 2231 section 4. What stands before them loses what is not ASCII.
func (l *foldedLine) parameterList(value string) {
	pieces := splitParameters(value)
	for i, p := range pieces {
		name, v, ok := strings.Cut(p, "=")
		name = strings.TrimSpace(name)
		switch {
		case isASCII(p):
			p = strings.TrimSpace(p)
		case i == 0 || !ok || !isASCII(name):
			p = strings.TrimSpace(onlyASCII(p))
		default:
			p = strings.TrimSuffix(name, "*") + "*=utf-8''" + percentEncoded(unquoted(strings.TrimSpace(v)))
		}
		if i < len(pieces)-1 {
			p += ";"
		}
		l.word(" ", p)
	}
}

// splitParameters splits at semicolons outside quoted strings.
func splitParameters(value string) []string {
	var pieces []string
	start, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch {
		case quoted && value[i] == '\\':
			i++
		case value[i] == '"':
			quoted = !quoted
		case value[i] == ';' && !quoted:
			pieces = append(pieces, value[start:i])
			start = i + 1
		}
	}
	return append(pieces, value[start:])
}

func unquoted(s string) string {
	if len(s) < 2 || s[0] != '"' {
		return s
	}
	s = strings.TrimSuffix(s[1:], `"`)
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func percentEncoded(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// onlyASCII puts a question mark for each character that is not ASCII.
func onlyASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return '?'
		}
		return r
	}, s)
}
