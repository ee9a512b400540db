package imap

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// exampleSections are those sections of the RFCs that show a conversation.
var exampleSections = map[string]string{
	"RFC 9051: IMAP4rev2": "6.1.1 6.1.2 6.1.3 6.2.1 6.2.2 6.2.3 6.3.1 6.3.2 6.3.3 6.3.4 6.3.5 6.3.6 6.3.7 6.3.8 6.3.9.3 6.3.9.7 6.3.9.8 6.3.10 6.3.11 6.3.12 6.3.13" +
		" 6.4.1 6.4.2 6.4.3 6.4.4 6.4.4.4 6.4.5 6.4.5.1 6.4.6 6.4.7 6.4.8 6.4.9 6.5 7.1 7.1.1 7.1.2 7.1.3 7.1.4 7.1.5 7.2.1 7.2.2 7.3.1 7.3.2 7.3.3 7.3.4 7.3.5 7.4.1 7.5.1 7.5.2 7.6 8",
	"RFC 7162: CONDSTORE and QRESYNC": "3.1.2.1 3.1.2.2 3.1.3 3.1.4.1 3.1.4.2 3.1.5 3.1.7 3.1.8 3.1.10 3.1.12 3.2.5 3.2.5.1 3.2.5.2 3.2.6 3.2.7 3.2.8 3.2.9 3.2.10.2 6",
	"RFC 4314: ACL":                   "2.1.1 3.1 3.2 3.3 3.4 3.5 4 5.1.1 5.2",
	"RFC 9208: QUOTA":                 "4.1.1 4.1.2 4.1.3 4.1.4 4.2.1 4.2.2 4.3.1",
	"RFC 5256: SORT and THREAD":       "3 4",
	"RFC 6203: fuzzy search":          "3 4 6",
	"RFC 9394: PARTIAL":               "3.1 3.2 3.3 3.4",
	"RFC 9738: MESSAGELIMIT":          "3.1 3.2 3.4",
}

// example is a row of docs/protocols/imap-examples.md.
type example struct{ rfc, sections, what, where string }

func examples(t *testing.T) (rows []example) {
	t.Helper()
	page, err := os.ReadFile("../docs/protocols/imap-examples.md")
	must(t, err)
	rfc := ""
	for line := range strings.Lines(string(page)) {
		if title, found := strings.CutPrefix(line, "## "); found {
			rfc = strings.TrimSpace(title)
		}
		cells := strings.Split(line, "|")
		if len(cells) < 5 || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| section") {
			continue
		}
		rows = append(rows, example{rfc, cells[1], cells[2], cells[3]})
	}
	return rows
}

var (
	dialogueName = regexp.MustCompile("`([a-z0-9]+(?:-[a-z0-9]+)*)`")
	keyword      = regexp.MustCompile(`\b[A-Z][A-Z0-9-]{2,}\b`)
)

// TestExamples holds docs/protocols/imap-examples.md against the dialogues: each that it
// names is there and has the commands and the other keywords of the example in it, and
// every section with examples has its row.
func TestExamples(t *testing.T) {
	rows := examples(t)
	for rfc, sections := range exampleSections {
		for _, section := range strings.Fields(sections) {
			if !slices.ContainsFunc(rows, func(e example) bool {
				return e.rfc == rfc && slices.Contains(strings.FieldsFunc(e.sections, func(r rune) bool { return r == ' ' || r == ',' }), section)
			}) {
				t.Errorf("%s: no row for section %s", rfc, section)
			}
		}
	}
	for _, e := range rows {
		if _, found := exampleSections[e.rfc]; !found {
			t.Errorf("%s is not known here", e.rfc)
		}
		e.check(t)
	}
}

// check looks for the words of an example in its dialogues, and for the commands among
// them in what the client says there.
func (e *example) check(t *testing.T) {
	said, all := "", ""
	for _, name := range dialogueName.FindAllStringSubmatch(e.where, -1) {
		archive, err := txtar.ParseFile("testdata/" + name[1] + ".txtar")
		if os.IsNotExist(err) {
			t.Errorf("%s, section%s names the dialogue %s, which is not there", e.rfc, e.sections, name[1])
			continue
		}
		must(t, err)
		for _, f := range archive.Files {
			all += string(f.Data)
			for line := range strings.Lines(string(f.Data)) {
				if strings.HasPrefix(line, "C") || strings.HasPrefix(line, "OPEN") || strings.HasPrefix(line, "IN") {
					said += line
				}
			}
		}
	}
	if all == "" || strings.HasPrefix(e.where, " none") {
		return // the row says why there is none
	}
	said = strings.ReplaceAll(said, "OPEN ", "OPEN SELECT ")
	said = strings.ReplaceAll(said, "IN ", "IN LOGIN ")
	names := slices.Collect(maps.Keys(commands()))
	for _, word := range keyword.FindAllString(e.what, -1) {
		text := all
		if slices.Contains(names, word) && !strings.Contains(all, "S: * "+word+" ") {
			text = said
		}
		if !strings.Contains(strings.ToUpper(text), word) {
			t.Errorf("%s, section%s: %s is in none of%s", e.rfc, e.sections, word, e.where)
		}
	}
}
