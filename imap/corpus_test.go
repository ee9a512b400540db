package imap

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// corpus returns the test mails by file name.
func corpus(t testing.TB) (names, mails []string) {
	t.Helper()
	const root = "../message/testdata/mail"
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "README.md") {
			return err
		}
		mail, err := os.ReadFile(path)
		if len(mail) > 0 {
			names, mails = append(names, path), append(mails, string(mail))
		}
		return err
	})
	must(t, err)
	if len(names) < 1000 {
		t.Fatalf("only %d test mails in %s", len(names), root)
	}
	return names, mails
}

// TestCorpus appends every test mail and reads it back: the octets must be the
// same, and what is said about it must follow the grammar and fit the octets.
func TestCorpus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	c := w.connect("ann")
	names, mails := corpus(t)
	for _, mail := range mails {
		c.do(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(mail), mail))
	}
	c.do("SELECT INBOX")
	responses := c.do("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[]" +
		" BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[HEADER.FIELDS (SUBJECT RECEIVED)])")
	if len(responses) != len(mails) {
		t.Fatalf("%d of %d mails fetched", len(responses), len(mails))
	}
	for i, r := range responses {
		check := mailCheck{T: t, name: names[i], mail: mails[i], items: fetched(t, r)}
		check.octets()
		check.envelope(check.items["ENVELOPE"])
		check.structure(check.items["BODY"], false)
		check.structure(check.items["BODYSTRUCTURE"], true)
		check.parts(c, i+1)
	}
}

// mailCheck holds what was told about one mail against its octets.
type mailCheck struct {
	*testing.T
	name, mail string
	items      map[string]value
	partSizes  map[string]string // what the structure says, by part number
}

func (m *mailCheck) fail(format string, args ...any) {
	m.Helper()
	m.Errorf("%s: %s", m.name, fmt.Sprintf(format, args...))
}

func (m *mailCheck) octets() {
	m.Helper()
	header, text := m.items["BODY[HEADER]"].text, m.items["BODY[TEXT]"].text
	fields := m.items["BODY[HEADER.FIELDS (SUBJECT RECEIVED)]"].text
	switch {
	case m.items["BODY[]"].text != m.mail:
		m.fail("BODY[] differs")
	case m.items["RFC822.SIZE"].text != strconv.Itoa(len(m.mail)):
		m.fail("RFC822.SIZE %s, want %d", m.items["RFC822.SIZE"], len(m.mail))
	case header+text != m.mail:
		m.fail("header and text are not the whole")
	case !strings.HasSuffix(fields, "\r\n"):
		m.fail("the header fields %q do not end with an empty line", fields)
	}
}

// parts fetches every part that the structure tells of, and compares its size.
func (m *mailCheck) parts(c *rawClient, seq int) {
	m.Helper()
	if len(m.partSizes) == 0 || len(m.partSizes) > 100 {
		return
	}
	var items []string
	for number := range m.partSizes {
		items = append(items, "BODY.PEEK["+number+"]")
	}
	got := fetched(m.T, c.do(fmt.Sprintf("FETCH %d (%s)", seq, strings.Join(items, " ")))[0])
	for number, size := range m.partSizes {
		part := got["BODY["+number+"]"]
		if part.kind != 's' || strconv.Itoa(len(part.text)) != size || !strings.Contains(m.mail, part.text) {
			m.fail("part %s has %d octets, its structure says %s", number, len(part.text), size)
		}
	}
}

// envelope checks the grammar of an envelope.
func (m *mailCheck) envelope(v value) {
	m.Helper()
	if v.kind != 'l' || len(v.list) != 10 {
		m.fail("ENVELOPE %v", v)
		return
	}
	for i, field := range v.list {
		if i < 2 || i > 7 {
			m.nstring("ENVELOPE field", field)
			continue
		}
		if field.kind == 'n' {
			continue
		}
		if field.kind != 'l' || len(field.list) == 0 {
			m.fail("addresses %v", field)
		}
		for _, address := range field.list {
			if address.kind != 'l' || len(address.list) != 4 {
				m.fail("address %v", address)
			}
			for _, part := range address.list {
				m.nstring("address field", part)
			}
		}
	}
}

func (m *mailCheck) nstring(what string, v value) {
	m.Helper()
	if v.kind != 's' && v.kind != 'n' {
		m.fail("%s is no nstring: %v", what, v)
	}
}

func (m *mailCheck) isString(what string, v value) {
	m.Helper()
	if v.kind != 's' {
		m.fail("%s is no string: %v", what, v)
	}
}

// structure checks the grammar of a body structure: RFC 3501 section 9, body.
func (m *mailCheck) structure(v value, extended bool) {
	m.Helper()
	m.partSizes = make(map[string]string)
	m.body(v, "", extended, true)
}

// body checks one body; number is that of the part it is the content of, and top
// says that it is the body of a message.
func (m *mailCheck) body(v value, number string, extended, top bool) {
	m.Helper()
	if v.kind != 'l' || len(v.list) == 0 {
		m.fail("body %v", v)
		return
	}
	if v.list[0].kind == 'l' {
		m.multipart(v.list, number, extended)
		return
	}
	if top {
		number = below(number, 1)
	}
	m.single(v.list, number, extended)
}

func below(number string, n int) string {
	if number == "" {
		return strconv.Itoa(n)
	}
	return number + "." + strconv.Itoa(n)
}

func (m *mailCheck) multipart(list []value, number string, extended bool) {
	m.Helper()
	n := 0
	for n < len(list) && list[n].kind == 'l' {
		m.body(list[n], below(number, n+1), extended, false)
		n++
	}
	rest := list[n:]
	switch {
	case len(rest) == 0:
		m.fail("multipart without subtype")
	case !extended && len(rest) != 1, extended && len(rest) != 5:
		m.fail("multipart with %d fields after its parts", len(rest))
	default:
		m.isString("subtype", rest[0])
		if extended {
			m.parameters(rest[1])
			m.extensions(rest[2:])
		}
	}
}

func (m *mailCheck) single(list []value, number string, extended bool) {
	m.Helper()
	if len(list) < 7 {
		m.fail("part %s has %d fields", number, len(list))
		return
	}
	m.isString("type", list[0])
	m.isString("subtype", list[1])
	m.parameters(list[2])
	m.nstring("id", list[3])
	m.nstring("description", list[4])
	m.isString("encoding", list[5])
	m.number("octets", list[6])
	m.partSizes[number] = list[6].text
	rest := list[7:]
	switch kind := strings.ToLower(list[0].text + "/" + list[1].text); {
	case kind == "message/rfc822" && len(rest) >= 3:
		m.envelope(rest[0])
		m.body(rest[1], number, extended, true)
		m.number("lines", rest[2])
		rest = rest[3:]
	case strings.HasPrefix(kind, "text/") && len(rest) >= 1:
		m.number("lines", rest[0])
		rest = rest[1:]
	}
	if extended {
		if len(rest) != 4 {
			m.fail("part %s has %d extension fields", number, len(rest))
			return
		}
		m.nstring("md5", rest[0])
		m.extensions(rest[1:])
	} else if len(rest) != 0 {
		m.fail("part %s has extension fields %v", number, rest)
	}
}

func (m *mailCheck) number(what string, v value) {
	m.Helper()
	if _, err := strconv.ParseUint(v.text, 10, 32); v.kind != 'a' || err != nil {
		m.fail("%s is no number: %v", what, v)
	}
}

func (m *mailCheck) parameters(v value) {
	m.Helper()
	if v.kind == 'n' {
		return
	}
	if v.kind != 'l' || len(v.list) == 0 || len(v.list)%2 != 0 {
		m.fail("parameters %v", v)
	}
	for _, p := range v.list {
		m.isString("parameter", p)
	}
}

// extensions checks disposition, language and location.
func (m *mailCheck) extensions(list []value) {
	m.Helper()
	if d := list[0]; d.kind == 'l' && len(d.list) == 2 {
		m.isString("disposition", d.list[0])
		m.parameters(d.list[1])
	} else if d.kind != 'n' {
		m.fail("disposition %v", d)
	}
	if l := list[1]; l.kind == 'l' {
		for _, tag := range l.list {
			m.isString("language", tag)
		}
	} else {
		m.nstring("language", l)
	}
	m.nstring("location", list[2])
}
