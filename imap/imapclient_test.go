package imap

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// corpus returns the test mails by file name.
func corpusBytes(t testing.TB) (names []string, mails [][]byte) {
	t.Helper()
	const root = "../message/testdata/mail"
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "README.md") {
			return err
		}
		mail, err := os.ReadFile(path)
		if len(mail) > 0 {
			names, mails = append(names, path), append(mails, mail)
		}
		return err
	})
	must(t, err)
	if len(names) < 1000 {
		t.Fatalf("only %d test mails in %s", len(names), root)
	}
	return names, mails
}

// client signs an imapclient in.
func (w *world) imapClient(name string) *imapclient.Client {
	w.t.Helper()
	c := imapclient.New(w.dial(), nil)
	w.t.Cleanup(func() { c.Close() })
	must(w.t, c.Login(name, password).Wait())
	return c
}

// TestCorpus appends every test mail and reads it back: the octets must be the
// same, and everything said about it must be legal for another implementation.
func TestImapclientCorpus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	c := w.imapClient("ann")
	names, mails := corpusBytes(t)
	for _, mail := range mails {
		cmd := c.Append("INBOX", int64(len(mail)), nil)
		_, err := cmd.Write(mail)
		must(t, err)
		must(t, cmd.Close())
		_, err = cmd.Wait()
		must(t, err)
	}
	_, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	options := &imap.FetchOptions{
		UID: true, Flags: true, InternalDate: true, RFC822Size: true, Envelope: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection: []*imap.FetchItemBodySection{
			{Peek: true},
			{Peek: true, Specifier: imap.PartSpecifierHeader},
			{Peek: true, Specifier: imap.PartSpecifierText},
			{Peek: true, Part: []int{1}},
			{Peek: true, Part: []int{1}, Specifier: imap.PartSpecifierMIME},
			{Peek: true, Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"Subject", "Received"}},
		},
	}
	var fetched []*imapclient.FetchMessageBuffer
	for i := range mails {
		m, err := c.Fetch(imap.SeqSetNum(uint32(i+1)), options).Collect()
		if err != nil {
			t.Errorf("%s: %v", names[i], err)
			c = w.imapClient("ann")
			_, err = c.Select("INBOX", nil).Wait()
			must(t, err)
			m = []*imapclient.FetchMessageBuffer{nil}
		}
		fetched = append(fetched, m...)
	}
	if len(fetched) != len(mails) {
		t.Fatalf("%d of %d mails fetched", len(fetched), len(mails))
	}
	for i, m := range fetched {
		if m == nil {
			continue
		}
		compareMail(t, names[i], mails[i], m)
	}
}

func compareMail(t *testing.T, name string, mail []byte, m *imapclient.FetchMessageBuffer) {
	t.Helper()
	section := func(i int) []byte { return m.BodySection[i].Bytes }
	switch {
	case !bytes.Equal(section(0), mail):
		t.Errorf("%s: BODY[] differs", name)
	case m.RFC822Size != int64(len(mail)):
		t.Errorf("%s: RFC822.SIZE %d, want %d", name, m.RFC822Size, len(mail))
	case !bytes.Equal(append(bytes.Clone(section(1)), section(2)...), mail):
		t.Errorf("%s: header and text are not the whole", name)
	case m.Envelope == nil || m.BodyStructure == nil:
		t.Errorf("%s: no ENVELOPE or BODYSTRUCTURE", name)
	case !bytes.Contains(mail, section(3)):
		t.Errorf("%s: part 1 is no part of it", name)
	case !bytes.Contains(mail, section(4)):
		t.Errorf("%s: the header of part 1 is no part of it", name)
	case !bytes.HasSuffix(section(5), []byte("\r\n")):
		t.Errorf("%s: the header fields do not end with an empty line", name)
	}
	// The sizes that the structure tells are those of the parts.
	m.BodyStructure.Walk(func(path []int, part imap.BodyStructure) bool {
		single, ok := part.(*imap.BodyStructureSinglePart)
		if ok && len(path) == 1 && path[0] == 1 && int(single.Size) != len(section(3)) {
			t.Errorf("%s: BODYSTRUCTURE gives part 1 %d octets, it has %d", name, single.Size, len(section(3)))
		}
		return true
	})
}
