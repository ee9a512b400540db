package pop

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"tripost/store"
)

const mailDir = "../message/testdata/mail"

// testMail returns every mail of the collection with CRLF line ends.
func testMail(t testing.TB) map[string]string {
	t.Helper()
	mails := make(map[string]string)
	err := filepath.WalkDir(mailDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "README.md" {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(path, "spamassassin") && bytes.HasPrefix(b, []byte("From ")) {
			_, b, _ = bytes.Cut(b, []byte("\n"))
		}
		b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
		mails[path] = crlf(string(b))
		return err
	})
	must(t, err)
	if len(mails) < 100 {
		t.Fatalf("only %d mails in %s", len(mails), mailDir)
	}
	return mails
}

// Every mail comes back octet for octet to a client that takes UTF-8, with the
// size that LIST told, and TOP with more lines than there are is the same. A
// client that does not gets the same, but for headers in UTF-8.
func TestTestMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	mails := testMail(t)
	names := w.deliverAll(mails)
	c := w.client()
	c.do("UTF8")
	c.do("USER ann")
	c.do("PASS " + annPassword)
	sizes := c.list("LIST")
	if len(sizes) != len(mails) {
		t.Fatalf("LIST has %d messages, want %d", len(sizes), len(mails))
	}
	var total int64
	for n, name := range names {
		number := strconv.Itoa(n)
		c.do("RETR " + number)
		got := c.rest()
		want := mails[name]
		if !strings.HasSuffix(want, "\r\n") && want != "" {
			want += "\r\n" // the last line is sent like the others
		}
		if sizes[n] != strconv.Itoa(len(want)) {
			t.Errorf("%s: LIST tells %s octets of %d", name, sizes[n], len(want))
		}
		total += int64(len(want))
		if got != want {
			t.Errorf("%s: RETR differs at octet %d of %d", name, difference(got, want), len(want))
		}
		c.do("TOP " + number + " 100000000")
		if top := c.rest(); top != got {
			t.Errorf("%s: TOP of all lines differs at octet %d", name, difference(top, got))
		}
	}
	if stat, want := c.do("STAT"), strconv.Itoa(len(mails))+" "+strconv.FormatInt(total, 10); stat != want {
		t.Errorf("STAT tells %s, want %s", stat, want)
	}
	w.checkConverted(mails, names)
}

// checkConverted retrieves all mails as a client that has not asked for UTF-8.
func (w *world) checkConverted(mails map[string]string, names map[int]string) {
	w.t.Helper()
	c := w.signedIn("ann", annPassword)
	sizes := c.list("LIST")
	var total, converted int
	for n, name := range names {
		number := strconv.Itoa(n)
		c.do("RETR " + number)
		got, was := c.rest(), mails[name]
		if !strings.HasSuffix(was, "\r\n") && was != "" {
			was += "\r\n"
		}
		total += len(got)
		if sizes[n] != strconv.Itoa(len(got)) {
			w.t.Errorf("%s: LIST tells %s octets of %d", name, sizes[n], len(got))
		}
		c.do("TOP " + number + " 100000000")
		if top := c.rest(); top != got {
			w.t.Errorf("%s: TOP of all lines differs at octet %d", name, difference(top, got))
		}
		if got == was {
			continue
		}
		converted++
		header, body, _ := strings.Cut(got, "\r\n\r\n")
		wasHeader, wasBody, _ := strings.Cut(was, "\r\n\r\n")
		if !isASCII(header) && utf8.ValidString(wasHeader) {
			w.t.Errorf("%s: the header is not in ASCII: %q", name, header)
		}
		if isASCII(wasHeader) && header != wasHeader || header != wasHeader && body != wasBody && !strings.Contains(wasBody, "\r\n\r\n") {
			w.t.Errorf("%s: more than headers in UTF-8 has changed", name)
		}
	}
	if converted < 5 {
		w.t.Errorf("only %d mails were converted", converted)
	}
	if stat, want := c.do("STAT"), strconv.Itoa(len(mails))+" "+strconv.Itoa(total); stat != want {
		w.t.Errorf("STAT tells %s, want %s", stat, want)
	}
}

// deliverAll appends mails to ann's INBOX and returns their names by number.
func (w *world) deliverAll(mails map[string]string) map[int]string {
	w.t.Helper()
	names := make(map[int]string)
	type appended struct {
		name string
		uid  store.UID
	}
	const parallel = 16 // share a commit
	todo, done := make(chan string), make(chan appended)
	ref := w.mailbox("ann/INBOX")
	for range parallel {
		go func() {
			for name := range todo {
				uid, err := w.append(ref, strings.NewReader(mails[name]))
				if err != nil {
					w.t.Errorf("append %s: %v", name, err)
				}
				done <- appended{name, uid}
			}
		}()
	}
	go func() {
		defer close(todo)
		for name := range mails {
			todo <- name
		}
	}()
	for range mails {
		a := <-done
		names[int(a.uid)] = a.name // nothing was ever expunged: UIDs are numbers
	}
	return names
}

func difference(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
