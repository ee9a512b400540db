package pop

import (
	"mime"
	"strings"
	"testing"
	"unicode/utf8"

	"tripost/message"
)

func TestDowngrade(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want string }{
		{"nothing to do", "Subject: x\r\nX: =?utf-8?q?=C3=BC?=\r\n\r\n", "Subject: x\r\nX: =?utf-8?q?=C3=BC?=\r\n\r\n"},
		{"not UTF-8", "Subject: gr\xfc\xdfe\r\n\r\n", "Subject: gr\xfc\xdfe\r\n\r\n"},
		{"words", "Subject: the naïve café is open\r\n\r\n", "Subject: the =?utf-8?b?bmHDr3ZlIGNhZsOp?= is open\r\n\r\n"},
		{"next to an encoded word", "Subject: =?utf-8?q?a?= ü =?utf-8?q?b?= c\n", "Subject: =?utf-8?q?a?= =?utf-8?b?IMO8IGI=?= c\n"},
		{"no line end", "Subject: ü", "Subject: =?utf-8?b?w7w=?="},
		{"a name", "From: Jürgen <j@x.test>, k@y.test\r\n\r\n", "From: =?utf-8?b?SsO8cmdlbg==?= <j@x.test>, k@y.test\r\n\r\n"},
		{"an address", "To: J <jürgen@x.test>, a@exämple.test\r\n\r\n",
			"To: \"J\" =?utf-8?b?asO8cmdlbkB4LnRlc3Q=?= :;,\r\n =?utf-8?b?YUBleMOkbXBsZS50ZXN0?= :;\r\n\r\n"},
		{"a group", "Cc: Büro: a@x.test, B <b@x.test>;\r\n\r\n", "Cc: =?utf-8?b?QsO8cm8=?=: a@x.test, \"B\" <b@x.test>;\r\n\r\n"},
		{"a group with an address", "Cc: Us: ä@x.test, b@x.test;\r\n\r\n", "Cc: \"Us\" =?utf-8?b?w6RAeC50ZXN0LCBiQHgudGVzdA==?= :;\r\n\r\n"},
		{"no address", "Reply-To: <ü\r\n\r\n", "Reply-To: =?utf-8?b?PMO8?= :;\r\n\r\n"},
		{"identifiers", "References: <ü@x> <b@x>\r\n\r\n", "Downgraded-References: =?utf-8?b?PMO8QHg+?= <b@x>\r\n\r\n"},
		{"received", "Received: from a (café) by b for <ü@x>; Mon, 5 Jan 2026 10:00:00 +0000\r\n\r\n",
			"Received: from a (=?utf-8?b?Y2Fmw6k=?=) by b; Mon, 5 Jan 2026 10:00:00 +0000\r\n\r\n"},
		{"parameters", "Content-Disposition: attachment; filename=\"naïve \\\"x\\\".txt\"; size=3\r\n\r\n",
			"Content-Disposition: attachment; filename*=utf-8''na%C3%AFve%20%22x%22.txt;\r\n size=3\r\n\r\n"},
		{"a comment", "Date: Mon, 5 Jan 2026 10:00:00 +0000 (März)\r\n\r\n", "Date: Mon, 5 Jan 2026 10:00:00 +0000 (=?utf-8?b?TcOkcno=?=)\r\n\r\n"},
	} {
		if got := string(downgrade([]byte(test.in))); got != test.want {
			t.Errorf("%s:\n%q becomes\n%q, want\n%q", test.name, test.in, got, test.want)
		}
	}
}

// A long text is cut into encoded words of the length that RFC 2047 allows, and
// can be read again.
func TestDowngradeLong(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		strings.Repeat("очень длинная тема ", 30) + "конец", strings.Repeat("件名", 300), strings.Repeat("a ü b ", 100) + "end",
	} {
		got := string(downgrade([]byte("Subject: " + text + "\r\n\r\n")))
		for line := range strings.Lines(got) {
			if len(line) > 78 {
				t.Errorf("a line of %d octets: %q", len(line), line)
			}
		}
		f := message.Fields([]byte(got))
		if len(f) != 1 || message.DecodeHeader(f[0].Value()) != text {
			t.Errorf("%q reads back as %q", text, got)
		}
		if decoded, err := new(mime.WordDecoder).DecodeHeader(f[0].Value()); err != nil || decoded != text {
			t.Errorf("others read %q, %v", decoded, err)
		}
	}
}

// FuzzDowngrade: whatever the header, it ends in linear size, fields in ASCII
// stay, and no line of a field in UTF-8 becomes a field or a message's body.
func FuzzDowngrade(f *testing.F) {
	for _, seed := range []string{
		"From: ü <a@b>\r\nTo: g: ü@x, b;\r\nSubject: ü =?utf-8?q?x?= ü\r\n\r\n",
		"Content-Type: text/plain; name=\"ü;\\\"\"; x*=ü; charset=utf-8 (ü)\n\n", "Received: from ü (ü(ü)) for ü; x\r\n", "\xc3\xbc: x\r\nReferences:\r\n ü",
		"Subject: \r\n \xe2\x80\xa8\r\n\r\n", "Date: )ü(\r\n\r\n", "From: \"\r\n=?utf-8?b?DQpYOiB5?=\" <ü@x>\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		got := downgrade(header)
		if len(got) > 40*len(header)+100 {
			t.Errorf("%d octets become %d", len(header), len(got))
		}
		was, is := message.Fields(header), message.Fields(got)
		if len(was) != len(is) {
			t.Fatalf("%d fields become %d: %q", len(was), len(is), got)
		}
		for i := range was {
			raw := was[i].Raw
			switch {
			case isASCIIBytes(raw) || !utf8.Valid(raw) || len(was[i].Name) == 0:
				if string(is[i].Raw) != string(raw) {
					t.Errorf("%q becomes %q", raw, is[i].Raw)
				}
			case !isASCIIBytes(is[i].Raw):
				t.Errorf("%q becomes %q", raw, is[i].Raw)
			}
		}
	})
}
