package admin

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"tripost/store"
)

// readMbox takes an mbox file apart into its messages.
func readMbox(t *testing.T, text string, max int64) (mails []string, infos []mboxMessage, err error) {
	t.Helper()
	for r := newMboxReader(strings.NewReader(text), max); ; {
		var b bytes.Buffer
		info, err := r.Next(&b)
		if errors.Is(err, io.EOF) {
			return mails, infos, nil
		}
		if err != nil {
			return mails, infos, err
		}
		mails, infos = append(mails, b.String()), append(infos, info)
	}
}

func TestReadMbox(t *testing.T) {
	const from = "From ann@company.test Mon Jan  5 10:00:00 2026\n"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"one", from + "Subject: a\n\ntext\n\n", []string{"Subject: a\r\n\r\ntext\r\n"}},
		{"two", from + "Subject: a\n\ntext\n\n" + from + "Subject: b\n\n\n", []string{"Subject: a\r\n\r\ntext\r\n", "Subject: b\r\n\r\n"}},
		{"quoted From lines", from + "\n>From here\n>>From there\n>Frown\n\n", []string{"\r\nFrom here\r\n>From there\r\n>Frown\r\n"}},
		{"From inside a paragraph", from + "\na\nFrom here on\n\n", []string{"\r\na\r\nFrom here on\r\n"}},
		{"empty lines at the end", from + "\na\n\n\n\n" + from + "\nb\n", []string{"\r\na\r\n\r\n\r\n", "\r\nb\r\n"}},
		{"no final line end", from + "\nlast", []string{"\r\nlast\r\n"}},
		{"CRLF", strings.ReplaceAll(from+"Subject: a\n\ntext\n\n", "\n", "\r\n"), []string{"Subject: a\r\n\r\ntext\r\n"}},
		{"status fields", from + "Status: RO\nSubject: a\nX-Status: A\nX-Keywords: one\n two\n\nStatus: text\n\n", []string{"Subject: a\r\n\r\nStatus: text\r\n"}},
		{"unique-id", from + "X-UIDL: an-id\nX-UIDLE: a\nX-UIDL:\n folded\n\nX-UIDL: text\n\n", []string{"X-UIDLE: a\r\n\r\nX-UIDL: text\r\n"}},
		{"no header", from + "\n", []string{""}},
	} {
		mails, _, err := readMbox(t, c.text, 0)
		if err != nil || strings.Join(mails, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s: %q (%v), want %q", c.name, mails, err, c.want)
		}
	}
}

func TestReadMboxSaysWhatItFound(t *testing.T) {
	const text = "From ann@company.test Mon Jan  5 10:00:00 2026\nStatus: RO\nX-Status: AF\nX-Keywords: work later\nX-UIDL: not valid\nx-uidl:\t<a@b> \nX-UIDL: second\n\nx\n\nFrom -\n\ny\n"
	_, infos, err := readMbox(t, text, 0)
	if err != nil || len(infos) != 2 {
		t.Fatalf("%d messages (%v), want 2", len(infos), err)
	}
	first := infos[0]
	if want := time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC); !first.Date.Equal(want) {
		t.Errorf("the date is %v, want %v", first.Date, want)
	}
	if want := store.FlagSeen | store.FlagAnswered | store.FlagFlagged; first.Flags.System != want {
		t.Errorf("the flags are %b, want %b", first.Flags.System, want)
	}
	if got := strings.Join(first.Flags.Keywords, " "); got != "work later" {
		t.Errorf("the keywords are %q", got)
	}
	if first.UniqueID != "<a@b>" {
		t.Errorf("the unique-id is %q", first.UniqueID)
	}
	if !infos[1].Date.IsZero() || infos[1].Flags.System != 0 {
		t.Errorf("of a bare From line: %+v", infos[1])
	}
}

func TestReadMboxLimits(t *testing.T) {
	long := strings.Repeat("x", 3*maxLine)
	text := "From a\n\n" + long + "\n\nFrom b\n\nsmall\n"
	mails, infos, err := readMbox(t, text, 1000)
	if err != nil || len(mails) != 2 || !infos[0].TooLarge || infos[1].TooLarge || mails[1] != "\r\nsmall\r\n" {
		t.Errorf("%d messages, %+v, %v", len(mails), infos, err)
	}
	mails, _, err = readMbox(t, text, 0)
	if err != nil || mails[0] != "\r\n"+long+"\r\n" {
		t.Errorf("a long line did not come through whole (%v)", err)
	}
	if _, _, err := readMbox(t, "Subject: no mbox\n", 0); !errors.Is(err, errNotMbox) {
		t.Errorf("a file that is no mbox: %v", err)
	}
}

// FuzzMbox writes messages as an mbox file and reads them back: they must be
// the same, with one line end at the end.
func FuzzMbox(f *testing.F) {
	f.Add("Subject: a\r\n\r\ntext\r\n", "From x\r\n>From y\r\n")
	f.Add("", "\r\n\r\n\r\n")
	f.Add("a\nFrom b", "Subject: From\r\n\r\nFrom \r\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		want := []string{wireForm(a), wireForm(b)}
		var file bytes.Buffer
		w := mboxWriter{bufio.NewWriter(&file)}
		for _, mail := range want {
			if err := w.Message("a@b", time.Unix(0, 0), store.FlagSet{}, []byte("id"), strings.NewReader(mail)); err != nil {
				t.Fatal(err)
			}
		}
		w.w.Flush()
		mails, _, err := readMbox(t, file.String(), 0)
		if err != nil || len(mails) != 2 || mails[0] != want[0] || mails[1] != want[1] {
			t.Errorf("%q came back as %q (%v)", want, mails, err)
		}
	})
}

// wireForm makes a mail of any text: a header that is no status field, an empty
// line, and lines that end with CRLF.
func wireForm(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r", ""), "\n", "\r\n")
	s = "Subject: x\r\n\r\n" + s
	if !strings.HasSuffix(s, "\r\n") {
		s += "\r\n"
	}
	return s
}
