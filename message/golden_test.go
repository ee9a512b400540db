package message

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/structures.txt anew; read the difference before you keep it")

// goldenMails are mails whose IMAP values stand in testdata/structures.txt, where
// they were read and compared with the mails by hand.
var goldenMails = []string{
	"python-email/msg_01.txt", "python-email/msg_02.txt", "python-email/msg_04.txt",
	"python-email/msg_05.txt", "python-email/msg_07.txt", "python-email/msg_11.txt",
	"python-email/msg_28.txt", "python-email/msg_29.txt", "python-email/msg_32.txt",
	"python-email/msg_35.txt",
	"mime4j/testmsgs/multipartnopart.msg", "mime4j/testmsgs/multipartdigestnestedemptyparts.msg",
	"mime4j/testmsgs/missing-inner-boundary.msg", "mime4j/testmsgs/missing-boundary.msg",
	"mime4j/testmsgs/base64encoded-rfc822message.msg", "mime4j/testmsgs/obsolete.msg",
	"mime4j/testmsgs/misplaced-boundary.msg", "mime4j/testmsgs/russian-headers.msg",
	"mime4j/mimetools/multi-digest.msg", "mime4j/mimetools/attachment-filename-encoding-Latin1.msg",
	"enmime/mail/multipart-wo-boundary.raw", "enmime/mail/mime-bad-8bit-filename.raw",
	"enmime/mail/malformed-multiple-address-header-values.raw", "enmime/dsn/multi_recipient_dsn.raw",
	"ruby-mail/error_emails_empty_group_lists.eml", "ruby-mail/rfc2822_example03.eml",
	"ruby-mail/rfc2822_example12.eml", "ruby-mail/plain_emails_raw_email_with_at_display_name.eml",
	"ruby-mail/attachment_emails_attachment_message_rfc822_inline_image.eml",
	"ruby-mail/rfc6532_utf8_headers.eml", "ruby-mail/plain_emails_raw_email_double_at_in_header.eml",
	"spamassassin-ham/00003.860e3c3cee1b42ead714c5c874fe25f7.txt",
}

func TestStructures(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, name := range goldenMails {
		s := scan(Limits{}, mail(t, name))
		fmt.Fprintf(&out, "-- %s\nENVELOPE %s\nBODYSTRUCTURE %s\nBODY %s\n", name, s.Envelope, s.BodyStructure, s.Body)
		for _, p := range s.Parts {
			fmt.Fprintf(&out, "%s %d-%d-%d\n", partName(p), p.Header, p.Body, p.End)
		}
	}
	got := strings.ReplaceAll(out.String(), "\r\n", "^M\n")
	path := filepath.Join("testdata", "structures.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("line %d\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
	t.Fatalf("%d lines, want %d", len(g), len(w))
}

// partName writes a part's number as IMAP does, with M for the message inside.
func partName(p Part) string {
	name := "part"
	for i, n := range p.Path {
		name += fmt.Sprintf("%c%d", " ."[min(i, 1)], n)
	}
	if p.Message {
		name += " M"
	}
	return name
}
