package smtp

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/multipart"
	"net"
	"net/mail"
	"strings"
	"testing"

	"tripost/wire"
	"tripost/wire/wiretest"
)

// convert passes a message through the converter in pieces.
func convert(t testing.TB, msg string, piece int) string {
	t.Helper()
	var out bytes.Buffer
	b := newBinaryMIME(&out)
	for len(msg) > 0 {
		n := min(piece, len(msg))
		_, err := b.Write([]byte(msg[:n]))
		must(t, err)
		msg = msg[n:]
	}
	must(t, b.Close())
	return out.String()
}

func TestBinaryMIME(t *testing.T) {
	t.Parallel()
	octets := "a\rb\nc\x00\r\n\r\n--x\r\n--bound\r\n\xff\r"
	long := strings.Repeat(octets, 30)
	encoded := func(s string) string {
		s = base64.StdEncoding.EncodeToString([]byte(s))
		var b strings.Builder
		for len(s) > base64Line {
			b.WriteString(s[:base64Line] + "\r\n")
			s = s[base64Line:]
		}
		return b.String() + s
	}
	const multi = "Content-Type: multipart/mixed; boundary=\"boundary\"\r\n\r\n"
	for _, c := range []struct{ name, in, want string }{
		{"plain", "A: b\r\n\r\ntext\r\n", "A: b\r\n\r\ntext\r\n"},
		{"no end", "A: b\r\n\r\ntext", "A: b\r\n\r\ntext"},
		{"header only", "A: b\r\n", "A: b\r\n"},
		{"empty", "", ""},
		{"no header", "\r\ntext\r\n", "\r\ntext\r\n"},
		{"not marked", "A: b\r\n\r\na\rb\nc\x00", "A: b\r\n\r\na\rb\nc\x00"},
		{"whole", "Content-Transfer-Encoding: BINARY\r\nA: b\r\n\r\n" + octets, "Content-Transfer-Encoding: base64\r\nA: b\r\n\r\n" + encoded(octets) + "\r\n"},
		{"whole and long", "Content-Transfer-Encoding:\r\n binary\r\n\r\n" + long, "Content-Transfer-Encoding: base64\r\n\r\n" + encoded(long) + "\r\n"},
		{"empty body", "Content-Transfer-Encoding: binary\r\n\r\n", "Content-Transfer-Encoding: base64\r\n\r\n"},
		{"parts", "Content-Transfer-Encoding: binary\r\n" + multi + "preamble\r\n--boundary\r\n\r\ntext\r\n--boundary\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets +
			"\r\n--boundary \r\nContent-Transfer-Encoding: binary\r\n\r\nabc\r\n\r\n--boundary--\r\nepilogue\r\n",
			"Content-Transfer-Encoding: 8bit\r\n" + multi + "preamble\r\n--boundary\r\n\r\ntext\r\n--boundary\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(octets) +
				"\r\n--boundary \r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded("abc\r\n") + "\r\n--boundary--\r\nepilogue\r\n"},
		{"nested", multi + "--boundary\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\r\n--boundary\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\nSubject: x\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\r\n--boundary--",
			multi + "--boundary\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded("a\nb") + "\r\n--boundary\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded("a\nb") + "\r\n--boundary--\r\n"},
		{"a part without body", multi + "--boundary\r\nA: b\r\n--boundary--\r\n", multi + "--boundary\r\nA: b\r\n--boundary--\r\n"},
		{"an empty part", multi + "--boundary\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\n--boundary--\r\n", multi + "--boundary\r\nContent-Transfer-Encoding: base64\r\n\r\n\r\n--boundary--\r\n"},
	} {
		for piece := 1; piece <= len(c.in)+1; piece += 1 + piece/5 {
			if got := convert(t, c.in, piece); got != c.want {
				t.Errorf("%s in pieces of %d:\n%q, want\n%q", c.name, piece, got, c.want)
				break
			}
		}
	}
}

// What the standard library reads in a message does not change by the conversion.
func FuzzBinaryMIME(f *testing.F) {
	f.Add("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\na\x00\r\r\nb\r\n--b--\r\n", 7)
	f.Add("Content-Transfer-Encoding: binary\r\n\r\n\r", 1)
	f.Add("--\r\n\r\n\r\n", 2)
	f.Fuzz(func(t *testing.T, msg string, piece int) {
		whole := convert(t, msg, len(msg)+1)
		if got := convert(t, msg, 1+piece&0xff); got != whole {
			t.Errorf("in pieces %q, at once %q", got, whole)
		}
		before, after := firstPart(msg), firstPart(whole)
		if before != "" && before != after {
			t.Errorf("%q was %q", after, before)
		}
	})
}

// firstPart returns the binary content of the first part of a multipart of
// octets that is simple enough to be sure of.
func firstPart(msg string) string {
	const head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: "
	rest, ok := strings.CutPrefix(msg, head)
	if !ok || strings.Count(msg, "\n--b") != 2 || !strings.HasSuffix(msg, "\r\n--b--\r\n") {
		return ""
	}
	m, err := mail.ReadMessage(strings.NewReader(msg))
	if err != nil {
		return ""
	}
	p, err := multipart.NewReader(m.Body, "b").NextRawPart()
	if err != nil {
		return ""
	}
	content, err := io.ReadAll(p)
	switch {
	case err != nil:
		return ""
	case strings.HasPrefix(rest, "binary\r\n\r\n"):
		return string(content)
	case strings.HasPrefix(rest, "base64\r\n\r\n"):
		decoded, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(content)))
		if err == nil {
			return string(decoded)
		}
	}
	return ""
}

// Whoever cannot take a body from WriteTo reads the same.
func TestBinaryMIMERead(t *testing.T) {
	t.Parallel()
	msg := "Content-Transfer-Encoding: binary\r\n\r\n" + strings.Repeat("a\r\x00b\n", 30_000)
	client, server := net.Pipe()
	defer client.Close()
	s := &session{server: New(Config{})}
	s.conn = wire.NewConn(server, wire.Config{Read: wiretest.Patience})
	go io.WriteString(client, msg)
	c := &chunks{s: s, check: lineCheck{max: 1 << 20}}
	c.binary = newBinaryMIME(&c.check)
	c.begin(s.conn.Literal(int64(len(msg))), true)
	got, err := io.ReadAll(struct{ io.Reader }{c})
	if want := convert(t, msg, len(msg)); err != nil || string(got) != want {
		t.Errorf("%d octets and %v, want %d", len(got), err, len(want))
	}
}
