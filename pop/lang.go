package pop

import (
	"context"
	"strings"
)

// language is one that replies can be in.
type language struct {
	tag   string // RFC 5646
	name  string // in the language itself
	texts *phrases
}

// languages returns all languages, the one that a session begins with first:
// English that every client can show.
func languages() []language {
	return []language{
		{"i-default", "English", &english},
		{"en", "English", &english},
		{"de", "Deutsch", &german},
		{"fr", "Français", &french},
		{"es", "Español", &spanish},
		{"ru", "Русский", &russian},
		{"ja", "日本語", &japanese},
	}
}

// Languages returns the tags of the languages that replies can be in (RFC 5646),
// for Config.Language.
func Languages() []string {
	var tags []string
	for _, l := range languages() {
		tags = append(tags, l.tag)
	}
	return tags
}

// longestRange bounds the language range of LANG (RFC 5646 section 4.4.1).
const longestRange = 35

// findLanguage returns the language that fits a language range best, by lookup:
// "de-AT" finds "de" where there is no closer one (RFC 4647 section 3.4).
func findLanguage(wanted string) (language, bool) {
	if len(wanted) > longestRange {
		return language{}, false
	}
	for wanted != "" {
		for _, l := range languages() {
			if strings.EqualFold(l.tag, wanted) {
				return l, true
			}
		}
		wanted = wanted[:max(0, strings.LastIndexByte(wanted, '-'))]
		if n := len(wanted); n > 2 && wanted[n-2] == '-' { // a singleton means nothing by itself
			wanted = wanted[:n-2]
		}
	}
	return language{}, false
}

// lang changes the language of the replies, to the one that the administrator
// prefers for "*", or lists the languages. It is legal always; STLS forgets it.
//
// RFC 6856 section 3, LANG.
func (s *session) lang(_ context.Context, arg string) error {
	switch arg {
	case "":
		return s.listLanguages()
	case "*":
		arg = s.Language
	}
	l, ok := findLanguage(arg)
	if !ok {
		return s.no("", sayNoLanguage)
	}
	s.texts = l.texts
	return s.reply("+OK "+l.tag+" ", s.texts[sayLanguage], nil)
}

func (s *session) listLanguages() error {
	s.ok(sayLanguages)
	b := s.conn.Out()
	for _, l := range languages() {
		b = append(b, l.tag...)
		b = append(b, ' ')
		b = append(b, l.name...)
		b = append(b, "\r\n"...)
	}
	s.conn.Done(append(b, ".\r\n"...))
	return nil
}
