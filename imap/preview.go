package imap

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"

	"tripost/message"
	"tripost/store/engine"
)

// PREVIEW, RFC 8970: the beginning of a message's text, made when it is asked for.

// Bounds of a preview.
const (
	maxPreview  = 200      // characters; RFC 8970 section 3.1 allows 256
	previewRead = 32 << 10 // octets of a part that are looked at, before it is decoded
)

// previewItem consumes the modifiers of PREVIEW. LAZY allows to tell nothing where
// it would take time; here it never takes long.
func (f *fetchParser) previewItem() {
	f.add(section{kind: sectionPreview, label: []byte("PREVIEW")}, false)
	if !f.accept(' ') {
		return
	}
	if f.peek() != '(' { // the next item
		f.i--
		return
	}
	f.list(false, func() {
		if f.word() != "LAZY" {
			f.fail("Unknown modifier of PREVIEW")
		}
	})
}

// preview appends the text, "" where the message has none.
func (w *lineWriter) preview(rec message.Record, body engine.Body) error {
	text, err := preview(rec.Parts(), body)
	if err == nil {
		w.b = message.AppendString(w.b, []byte(text))
	}
	return err
}

// preview reads the first plain text of a message, or where there is none its first
// HTML.
func preview(parts []message.Part, body io.ReaderAt) (string, error) {
	for _, kind := range []string{"text/plain", "text/html"} {
		for _, p := range parts {
			if !strings.EqualFold(p.Type, kind) || p.Multipart {
				continue
			}
			raw := io.NewSectionReader(body, p.Body, min(p.End-p.Body, previewRead))
			t := textBeginning{}
			var err error
			if r := message.DecodeText(raw, p.Encoding, p.Charset); kind == "text/html" {
				err = t.readHTML(r)
			} else {
				err = t.readPlain(r)
			}
			if err != nil || t.n > 0 {
				return t.b.String(), err
			}
		}
	}
	return "", nil
}

// textBeginning collects characters with single spaces between words.
type textBeginning struct {
	b     strings.Builder
	n     int  // characters
	space bool // one is due before the next word
}

// add takes text until there is enough.
func (t *textBeginning) add(text string) (enough bool) {
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			t.space = t.n > 0
			continue
		case !unicode.IsGraphic(r) || r == utf8.RuneError:
			continue
		}
		if t.space && t.n+2 > maxPreview || t.n == maxPreview {
			return true
		}
		if t.space {
			t.b.WriteByte(' ')
			t.n++
			t.space = false
		}
		t.b.WriteRune(r)
		t.n++
	}
	return false
}

// readPlain takes plain text without quoted lines, up to a signature.
func (t *textBeginning) readPlain(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, 4*previewRead))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, ">") {
			continue
		}
		if strings.TrimRight(line, "\r\n") == "-- " || t.add(line) {
			break
		}
	}
	return nil
}

// readHTML takes what a reader of the page would see.
func (t *textBeginning) readHTML(r io.Reader) error {
	z := html.NewTokenizer(io.LimitReader(r, 4*previewRead))
	hidden := ""
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			if err := z.Err(); err != io.EOF {
				return err
			}
			return nil
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			tag := string(name)
			switch {
			case hidden != "" && kind == html.EndTagToken && tag == hidden:
				hidden = ""
			case hidden == "" && kind == html.StartTagToken && isHidden(tag):
				hidden = tag
			}
			if !inline(tag) {
				t.space = t.n > 0
			}
		case html.TextToken:
			if hidden == "" && t.add(html.UnescapeString(string(z.Raw()))) {
				return nil
			}
		}
	}
}

// isHidden says of an element whether its text is not shown.
func isHidden(tag string) bool {
	switch tag {
	case "head", "style", "script", "title", "template", "noscript":
		return true
	}
	return false
}

// inline says of an element whether it can stand within a word.
func inline(tag string) bool {
	switch tag {
	case "a", "abbr", "b", "bdo", "big", "code", "em", "font", "i", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "tt", "u":
		return true
	}
	return false
}
