package convert

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"tripost/message"
)

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func convert(t *testing.T, msg string) string {
	t.Helper()
	var b bytes.Buffer
	if err := SevenBit(&b, strings.NewReader(msg), int64(len(msg)), message.Limits{}); err != nil {
		t.Fatalf("%q: %v", msg, err)
	}
	return b.String()
}

func TestSevenBit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, msg, want string }{
		{"nothing to do", "Subject: a\nContent-Transfer-Encoding: 8bit\n\ntext\n", "Subject: a\nContent-Transfer-Encoding: 8bit\n\ntext\n"},
		{"text", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\ngrüße = \n.\n",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BC=C3=9Fe =3D=20\n.\n"},
		{"text that does not say so", "Subject: a\n\nü\n",
			"Subject: a\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC\n"},
		{"binary", "MIME-Version: 1.0\nContent-Type: application/x\nContent-Transfer-Encoding: binary\n\n\x00\x01\xff",
			"MIME-Version: 1.0\nContent-Type: application/x\nContent-Transfer-Encoding: base64\n\nAAH/\n"},
		{"a long line", "MIME-Version: 1.0\n\n" + strings.Repeat("x", 999) + "\n",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n" +
				strings.Repeat(strings.Repeat("x", 75)+"=\n", 13) + strings.Repeat("x", 24) + "\n"},
		{"parts", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\nprü\n--b\n\nplain\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nX: y\n\nü\n--b\nContent-Type: image/x\n\n\xff\n--b\nContent-Transfer-Encoding: base64\n\n\xffAA=\n--b--\nepü\n",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\npr??\n--b\n\nplain\n--b\nContent-Type: text/plain; charset=utf-8\nX: y\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC\n--b\nContent-Type: image/x\nContent-Transfer-Encoding: base64\n\n/w==\n--b\nContent-Transfer-Encoding: base64\n\n?AA=\n--b--\nep??\n"},
		{"a message inside", "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: b\nContent-Type: text/html\nContent-Transfer-Encoding: 8bit\n\n<ü>\n",
			"MIME-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: b\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<=C3=BC>\n"},
		{"empty", "", ""},
		{"header alone", "Subject: x\n", "Subject: x\n"},
	} {
		if got := convert(t, crlf(c.msg)); got != crlf(c.want) {
			t.Errorf("%s:\n%q\nwant\n%q", c.name, got, crlf(c.want))
		}
	}
}

func TestTooManyParts(t *testing.T) {
	t.Parallel()
	msg := crlf("Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nü\n", 2000) + "--b--\n")
	err := SevenBit(io.Discard, strings.NewReader(msg), int64(len(msg)), message.Limits{})
	if err != ErrStructure {
		t.Errorf("%v, want %v", err, ErrStructure)
	}
}

// Whatever the message, no body has an octet above 127 or a long line afterwards,
// and converting once more changes nothing.
func FuzzSevenBit(f *testing.F) {
	f.Add("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\xff\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\n\xfe\r\n--b--\r\n")
	f.Add("\r\n\xff")
	f.Add("A: b\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00")
	f.Fuzz(func(t *testing.T, msg string) {
		var once, twice bytes.Buffer
		if err := SevenBit(&once, strings.NewReader(msg), int64(len(msg)), message.Limits{}); err != nil {
			return
		}
		if err := SevenBit(&twice, bytes.NewReader(once.Bytes()), int64(once.Len()), message.Limits{}); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Errorf("%q became %q, and then %q (%v)", msg, once.String(), twice.String(), err)
		}
	})
}
