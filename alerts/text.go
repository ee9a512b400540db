package alerts

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// oneLine makes a text one line: control characters, line ends of every kind
// and marks that turn the direction of writing become spaces, spaces in a row
// one. ErrBadText when nothing is left, too much is, or it is not UTF-8.
func oneLine(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("%w: it is not UTF-8", ErrBadText)
	}
	line := strings.Join(strings.FieldsFunc(text, blank), " ")
	switch {
	case line == "":
		return "", fmt.Errorf("%w: it is empty", ErrBadText)
	case len(line) > MaxText:
		return "", fmt.Errorf("%w: it has %d octets, %d are the most", ErrBadText, len(line), MaxText)
	}
	return line, nil
}

// shorten makes a text fit: what is too much is cut off, what is no UTF-8 is
// replaced.
func shorten(text string) string {
	const cut = "..."
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), blank), " ")
	if len(text) <= MaxText {
		return text
	}
	n := MaxText - len(cut)
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + cut
}

func blank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}
