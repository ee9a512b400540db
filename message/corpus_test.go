package message

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpusFile is a mail of testdata/mail with its line ends made CRLF.
type corpusFile struct {
	name string
	text []byte
}

// corpus reads all of testdata/mail.
func corpus(tb testing.TB) []corpusFile {
	tb.Helper()
	var files []corpusFile
	root := filepath.Join("testdata", "mail")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "README.md" {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files = append(files, corpusFile{name, mail(tb, name)})
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	if len(files) < 1500 {
		tb.Fatalf("the corpus has %d files, want all of it", len(files))
	}
	return files
}

// mail reads one file of testdata/mail, without the mbox line that some begin
// with.
func mail(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "mail", name))
	if err != nil {
		tb.Fatal(err)
	}
	if strings.HasPrefix(name, "spamassassin-ham") && bytes.HasPrefix(b, []byte("From ")) {
		_, b, _ = bytes.Cut(b, []byte{'\n'})
	}
	return crlf(b)
}

// crlf makes all line ends CRLF.
func crlf(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}

// scan gives a whole message to a new scanner in one write.
func scan(l Limits, text []byte) *Summary {
	s := NewScanner(l)
	s.Write(text)
	return s.Finish()
}
