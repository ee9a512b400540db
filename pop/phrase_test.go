package pop

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Every text is there in every language: one line of UTF-8 that takes the same
// arguments, leaves room for them, and is not the English one.
func TestPhrases(t *testing.T) {
	t.Parallel()
	alike := []phrase{sayAlert, sayOctets, sayMaildrop} // French has the words of two
	const longest = 200
	for _, l := range languages() {
		for p := range phraseCount {
			text := l.texts[p]
			switch {
			case text == "" || len(text) > longest || !utf8.ValidString(text):
				t.Errorf("%s, phrase %d: %q", l.tag, p, text)
			case strings.ContainsFunc(text, unicode.IsControl), strings.HasPrefix(text, "["):
				t.Errorf("%s, phrase %d breaks a reply: %q", l.tag, p, text)
			case !slices.Equal(verbs(text), verbs(english[p])):
				t.Errorf("%s: %q takes other arguments than %q", l.tag, text, english[p])
			case l.texts == &english && !isASCII(text):
				t.Errorf("not in ASCII: %q", text)
			case l.texts != &english && text == english[p] && !slices.Contains(alike, p):
				t.Errorf("%s: %q is not translated", l.tag, text)
			}
		}
	}
}

var verb = regexp.MustCompile(`%(?:\[(\d)\])?([a-z%])`)

// verbs returns the verbs of a text in the order of their arguments.
func verbs(text string) []string {
	found := verb.FindAllStringSubmatch(text, -1)
	list := make([]string, len(found))
	for i, m := range found {
		if m[1] != "" {
			i = int(m[1][0] - '1')
		}
		list[i] = m[2]
	}
	return list
}

func TestFindLanguage(t *testing.T) {
	t.Parallel()
	for wanted, tag := range map[string]string{
		"en": "en", "EN": "en", "de": "de", "de-AT": "de", "de-Latn-CH-1996": "de", "fr-x-y": "fr", "ja-JP": "ja",
		"i-default": "i-default", "I-Default": "i-default", "es-419": "es", "ru": "ru",
		"": "", "-": "", "d": "", "deu": "", "sv": "", "x-de": "", "*-de": "", "de ": "", strings.Repeat("de-", 12): "",
	} {
		if l, ok := findLanguage(wanted); l.tag != tag || ok != (tag != "") {
			t.Errorf("%q finds %q", wanted, l.tag)
		}
	}
}

// The same commands get the same status and response code in every language,
// and what programs read is the same.
func TestCodesStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.config.Submit = nil
	w.deliver("ann/INBOX", "Subject: x\r\n\r\nbody\r\n")
	script := []string{
		"NOOP", "FOO", "STAT", "USER", "PASS x", "USER ann", "PASS wrong", "AUTH PLAIN AAA=", "AUTH FOO", "UTF8 x", "LANG xx",
		"USER nothing#ann", "PASS " + annPassword, "USER ann", "PASS " + annPassword,
		"STAT", "LIST 1", "LIST 2", "LAST", "RETR x", "DELE 1", "DELE 1", "RSET", "TOP 1 x", "XTND", "XTND FOO", "XTND XMIT", "QUIT",
	}
	codes := regexp.MustCompile(`^(?:\+OK|-ERR)(?: \[[A-Z/]+\]| \d+ \d+| \d+$)?`)
	var want []string
	for _, l := range languages() {
		c := w.client()
		if got := c.do("LANG " + l.tag); got != l.tag+" "+l.texts[sayLanguage] {
			t.Errorf("LANG %s: %q", l.tag, got)
		}
		var got []string
		for _, command := range script {
			got = append(got, command+": "+codes.FindString(c.ask(command)))
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%q\nwant\n%q", l.tag, got, want)
		}
	}
}
