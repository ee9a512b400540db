package message

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func TestDecodeText(t *testing.T) {
	t.Parallel()
	tests := []struct{ encoding, charset, in, want string }{
		{"7bit", "us-ascii", "plain\r\n", "plain\r\n"},
		{"", "", "plain", "plain"},
		{"8bit", "utf-8", "grün", "grün"},
		{"8BIT", "UTF-8", "gr\xfcn", "gr\uFFFDn"},
		{"8bit", "us-ascii", "gr\xfcn", "grün"},
		{"8bit", "", "grün", "grün"},
		{"8bit", "iso-8859-1", "gr\xfcn \x80", "grün €"},
		{"8bit", `"ISO-8859-15"`, "\xa4", "€"},
		{"8bit", "koi8-r", "\xf0\xd2\xc9", "При"},
		{"8bit", "gb2312", "\xd6\xd0", "中"},
		{"8bit", "ks_c_5601-1987", "\xc7\xd1", "한"},
		{"8bit", "cp437", "\x81", "ü"},
		{"7bit", "iso-2022-jp", "\x1b$B%3\x1b(B", "コ"},
		{"7bit", "hz-gb-2312", "~{VP~}", "中"},
		{"8bit", "x-nobody-knows", "a\xfc\xfdb", "a\uFFFD\uFFFDb"},
		{"7bit", "utf-7", "a+AOQ-b", "a+AOQ-b"},
		{"quoted-printable", "iso-8859-1", "gr=FCn=\r\n und =e4ndern  \r\nweiter\r\n", "grün und ändern\r\nweiter\r\n"},
		{"quoted-printable", "utf-8", "a=\t \r\nb = =C3=B6 =4 =ZZ =", "ab = ö =4 =ZZ "},
		{"quoted-printable", "", "lf = \nonly =\nbare\n", "lf only bare\n"},
		{"Quoted-Printable", "", "a \t", "a"},
		{"quoted-printable", "", "a\rb \rc", "a\rb \rc"},
		{"base64", "utf-8", "Z3LD\r\nvG4=\r\n", "grün"},
		{"base64", "", "Z3!L*D\r\nvG4", "grün"},
		{"base64", "", "YQ==\r\nYg==\r\n", "ab"},
		{"base64", "", "YWJj=====ZA", "abcd"},
		{"base64", "", "", ""},
		{"x-uuencode", "", "begin 644 x\r\n", "begin 644 x\r\n"},
	}
	for _, test := range tests {
		for _, r := range []io.Reader{
			strings.NewReader(test.in), iotest.OneByteReader(strings.NewReader(test.in)),
			iotest.DataErrReader(strings.NewReader(test.in)),
		} {
			got, err := io.ReadAll(DecodeText(r, test.encoding, test.charset))
			if string(got) != test.want || err != nil {
				t.Errorf("%s %s %q gives %q, %v; want %q", test.encoding, test.charset, test.in, got, err, test.want)
			}
		}
	}
}

func TestDecodeTextPassesErrors(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"", "base64", "quoted-printable"} {
		r := io.MultiReader(strings.NewReader("YWJj"), iotest.ErrReader(io.ErrUnexpectedEOF))
		if _, err := io.ReadAll(DecodeText(r, encoding, "utf-8")); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: error %v", encoding, err)
		}
	}
}

func TestDecodeTransferUnknown(t *testing.T) {
	t.Parallel()
	if _, ok := DecodeTransfer(strings.NewReader(""), "x-uuencode"); ok {
		t.Error("x-uuencode is known")
	}
	if _, ok := DecodeTransfer(strings.NewReader(""), "BINARY"); !ok {
		t.Error("binary is unknown")
	}
}

func FuzzDecodeText(f *testing.F) {
	f.Add([]byte("gr=FCn= \r\n \t=C3"), "quoted-printable", "iso-8859-1")
	f.Add([]byte("Z3LDvG4=YQ"), "base64", "utf-8")
	f.Add([]byte("\x1b$B%3\x1b(B"), "7bit", "iso-2022-jp")
	f.Add([]byte("~{VP~}\xff"), "", "hz-gb-2312")
	f.Add([]byte("\xff\xfea\x00"), "", "utf-16")
	f.Add([]byte("\x81\x30\x81\x30\x81"), "", "gb18030")
	f.Fuzz(func(t *testing.T, text []byte, encoding, charset string) {
		whole, err := io.ReadAll(DecodeText(bytes.NewReader(text), encoding, charset))
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(whole) {
			t.Fatalf("%q is not UTF-8", whole)
		}
		cut, err := io.ReadAll(DecodeText(iotest.OneByteReader(bytes.NewReader(text)), encoding, charset))
		if err != nil || !bytes.Equal(whole, cut) {
			t.Fatalf("in pieces %q, %v; in one %q", cut, err, whole)
		}
	})
}
