package message

import (
	"fmt"
	"strings"
	"testing"
)

// mime makes a message of lines, with CRLF.
func mime(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n")) }

// outline writes the structure without details: types, and what each part's body
// says.
func outline(text []byte, s *Summary) string {
	var b strings.Builder
	for _, p := range s.Parts {
		fmt.Fprintf(&b, "%s %s", partName(p)[4:], p.Type)
		if !p.Multipart && p.Type != "message/rfc822" {
			fmt.Fprintf(&b, " %q", text[p.Body:p.End])
		}
		b.WriteByte('\n')
	}
	return strings.TrimSpace(b.String())
}

func TestBoundaries(t *testing.T) {
	t.Parallel()
	multi := func(lines ...string) []byte {
		return mime(append([]string{"Content-Type: multipart/mixed; boundary=b", ""}, lines...)...)
	}
	tests := []struct {
		name string
		text []byte
		want string
	}{
		{"plain", multi("preamble", "--b", "", "one", "--b", "", "two", "--b--", "epilogue", ""),
			" M multipart/mixed\n 1 text/plain \"one\"\n 2 text/plain \"two\""},
		{"white space behind", multi("--b \t ", "", "one", "--b-- ", "--b", "", "no"),
			" M multipart/mixed\n 1 text/plain \"one\""},
		{"only exact lines count", multi("--b", "", "one", "--bb", "-- b", "--b-", " --b", "--b--x", "--B"),
			` M multipart/mixed` + "\n" + ` 1 text/plain "one\r\n--bb\r\n-- b\r\n--b-\r\n --b\r\n--b--x\r\n--B"`},
		{"never closed", multi("--b", "", "one"), " M multipart/mixed\n 1 text/plain \"one\""},
		{"closed at the end without a line end", multi("--b", "", "one", "--b--"),
			" M multipart/mixed\n 1 text/plain \"one\""},
		{"header without a body", multi("--b", "X: y", "--b", "", "two"),
			" M multipart/mixed\n 1 text/plain \"\"\n 2 text/plain \"two\""},
		{"nothing in a part", multi("--b", "", "--b", "", "", "--b", "--b--"),
			" M multipart/mixed\n 1 text/plain \"\"\n 2 text/plain \"\"\n 3 text/plain \"\""},
		{"a boundary written twice", multi("--b", "--b", "--b ", "", "one", "--b--"),
			" M multipart/mixed\n 1 text/plain \"one\""},
		{"the line end before a boundary is not the part's", multi("--b", "", "one", "", "--b--"),
			" M multipart/mixed\n 1 text/plain \"one\\r\\n\""},
		{"bare LF", []byte("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n"),
			" M multipart/mixed\n 1 text/plain \"one\""},
		{"no part at all", multi("text only", ""), " M multipart/mixed\n 1 text/plain \"text only\\r\\n\""},
		{"no boundary named", mime("Content-Type: multipart/mixed", "", "--b", "", "one"),
			` M text/plain "--b\r\n\r\none"`},
		{"inner multipart left open", multi("--b", "Content-Type: multipart/alternative; boundary=i", "", "--i", "", "one", "--b", "", "two", "--b--"),
			" M multipart/mixed\n 1 multipart/alternative\n 1.1 text/plain \"one\"\n 2 text/plain \"two\""},
		{"inner boundary begins like the outer one", multi("--b", "Content-Type: multipart/alternative; boundary=bb", "", "--bb", "", "one", "--bb--", "--b", "", "two", "--b--"),
			" M multipart/mixed\n 1 multipart/alternative\n 1.1 text/plain \"one\"\n 2 text/plain \"two\""},
		{"the inner of two equal boundaries counts", multi("--b", "Content-Type: multipart/alternative; boundary=b", "", "--b", "", "one", "--b--", "--b", "", "two", "--b--"),
			" M multipart/mixed\n 1 multipart/alternative\n 1.1 text/plain \"one\"\n 2 text/plain \"two\""},
		{"digest", mime("Content-Type: multipart/digest; boundary=b", "", "--b", "", "Subject: s", "", "one", "--b", "Content-Type: text/plain", "", "two", "--b--"),
			" M multipart/digest\n 1 message/rfc822\n 1 M text/plain \"one\"\n 2 text/plain \"two\""},
		{"message in a message in a message", mime("Content-Type: message/rfc822", "", "Content-Type: message/rfc822", "", "Subject: s", "", "deep"),
			" M message/rfc822\n 1 M message/rfc822\n 1.1 M text/plain \"deep\""},
		{"multipart in a message in a part", multi("--b", "Content-Type: message/rfc822", "", "Content-Type: multipart/mixed; boundary=i", "", "--i", "", "one", "--i", "", "two", "--i--", "--b--"),
			" M multipart/mixed\n 1 message/rfc822\n 1 M multipart/mixed\n 1.1 text/plain \"one\"\n 1.2 text/plain \"two\""},
		{"a boundary ends the header of a message inside", multi("--b", "Content-Type: message/rfc822", "", "Subject: s", "--b--"),
			" M multipart/mixed\n 1 message/rfc822\n 1 M text/plain \"\""},
	}
	for _, test := range tests {
		s := scan(Limits{}, test.text)
		if err := check(test.text, s); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := outline(test.text, s); got != strings.TrimSpace(test.want) {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

// TestLongBoundaryLine sends a boundary line longer than what is kept of a
// line, whole and in pieces.
func TestLongBoundaryLine(t *testing.T) {
	t.Parallel()
	text := mime("Content-Type: multipart/mixed; boundary=b", "", "--b"+strings.Repeat(" ", 2*maxHead), "", "one")
	whole := scan(Limits{}, text)
	s := NewScanner(Limits{})
	for i := range text {
		s.Write(text[i : i+1])
	}
	if cut := s.Finish(); !sameSummary(whole, cut) || len(whole.Parts) != 2 || whole.Parts[1].Body != whole.HeaderSize {
		t.Errorf("in pieces %+v\nwhole %+v", cut.Parts, whole.Parts)
	}
}

func TestPartNumbers(t *testing.T) {
	t.Parallel()
	// The example of RFC 9051 section 6.4.5.1.
	text := mime("Content-Type: multipart/mixed; boundary=a", "",
		"--a", "", "1", "--a", "Content-Type: application/octet-stream", "", "2",
		"--a", "Content-Type: message/rfc822", "", "Subject: three", "Content-Type: multipart/mixed; boundary=c", "",
		"--c", "", "3.1", "--c", "Content-Type: application/octet-stream", "", "3.2", "--c--",
		"--a", "Content-Type: multipart/mixed; boundary=d", "", "--d", "Content-Type: image/gif", "", "4.1",
		"--d", "Content-Type: message/rfc822", "", "Subject: four two", "Content-Type: multipart/mixed; boundary=e", "",
		"--e", "", "4.2.1", "--e", "Content-Type: multipart/alternative; boundary=f", "",
		"--f", "", "4.2.2.1", "--f", "Content-Type: text/richtext", "", "4.2.2.2", "--f--", "--e--", "--d--", "--a--")
	s := scan(Limits{}, text)
	if err := check(text, s); err != nil {
		t.Fatal(err)
	}
	r := Record(s.Append(nil))
	for _, path := range [][]uint16{{1}, {2}, {3, 1}, {3, 2}, {4, 1}, {4, 2, 1}, {4, 2, 2, 1}, {4, 2, 2, 2}} {
		p, ok := r.Part(path, false)
		want := strings.Trim(strings.ReplaceAll(fmt.Sprint(path), " ", "."), "[]")
		if got := string(text[p.Body:p.End]); !ok || got != want {
			t.Errorf("part %s is %q, %v", want, got, ok)
		}
	}
	for _, test := range []struct {
		path []uint16
		want string
	}{{[]uint16{3}, "Subject: three\r\n"}, {[]uint16{4, 2}, "Subject: four two\r\n"}} {
		p, ok := r.Part(test.path, true)
		if !ok || !strings.HasPrefix(string(text[p.Header:p.Body]), test.want) {
			t.Errorf("header of %v is %q", test.path, text[p.Header:p.Body])
		}
	}
	for _, path := range [][]uint16{{5}, {1, 1}, {3, 3}, {4, 2, 3}, {2, 1}, {0}, {1, 1, 1}} {
		if p, ok := r.Part(path, false); ok {
			t.Errorf("part %v is %+v", path, p)
		}
	}
	if _, ok := r.Part([]uint16{1}, true); ok {
		t.Error("part 1 has a message inside")
	}
}

// TestPartOne: a message without parts has a part 1.
func TestPartOne(t *testing.T) {
	t.Parallel()
	text := mime("Subject: s", "", "text")
	r := Record(scan(Limits{}, text).Append(nil))
	p, ok := r.Part([]uint16{1}, false)
	if !ok || string(text[p.Body:p.End]) != "text" || p.Header != 0 || p.Message {
		t.Errorf("part 1 is %+v, %v", p, ok)
	}
	text = mime("Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: message/rfc822", "", "Subject: s", "", "text", "--b--")
	r = Record(scan(Limits{}, text).Append(nil))
	if p, ok = r.Part([]uint16{1, 1}, false); !ok || string(text[p.Body:p.End]) != "text" {
		t.Errorf("part 1.1 is %+v, %v", p, ok)
	}
	if _, ok = r.Part([]uint16{1, 2}, false); ok {
		t.Error("there is a part 1.2")
	}
}

func TestStructureFields(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		header []string
		want   string
	}{
		{"none", nil, `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 2 1 NIL NIL NIL NIL)`},
		{"all", []string{
			"Content-Type: application/octet-stream; name=x", "Content-Transfer-Encoding: BASE64",
			"Content-ID: <id@x.test>", "Content-Description: what\r\n it is", "Content-MD5: Q2hlY2s=",
			`Content-Disposition: ATTACHMENT; filename="a b"; size=2`, "Content-Language: en, de-CH",
			"Content-Location: http://x.test/",
		}, `("application" "octet-stream" ("name" "x") "<id@x.test>" "what it is" "base64" 2 "Q2hlY2s=" ("attachment" ("filename" "a b" "size" "2")) ("en" "de-ch") "http://x.test/")`},
		{"one language", []string{"Content-Language: (English) en", "Content-Disposition: inline"},
			`("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 2 1 NIL ("inline" NIL) "en" NIL)`},
		{"empty fields", []string{"Content-Type:", "Content-Transfer-Encoding:", "Content-ID:", "Content-Disposition:", "Content-Language: ,"},
			`("text" "plain" ("charset" "us-ascii") "" NIL "7bit" 2 1 NIL NIL NIL NIL)`},
		{"the first of a field counts", []string{"Content-Type: text/html", "Content-Type: text/plain"},
			`("text" "html" NIL NIL NIL "7bit" 2 1 NIL NIL NIL NIL)`},
		{"encoding with rubbish", []string{`Content-Transfer-Encoding: "quoted-printable"; x`},
			`("text" "plain" ("charset" "us-ascii") NIL NIL "quoted-printable" 2 1 NIL NIL NIL NIL)`},
		{"octets outside ASCII", []string{"Content-Type: text/plain; name=\"gr\xfcn\""},
			"(\"text\" \"plain\" (\"name\" {4}\r\ngr\xfcn) NIL NIL \"7bit\" 2 1 NIL NIL NIL NIL)"},
		{"other message types", []string{"Content-Type: message/partial; id=x; number=1"},
			`("message" "partial" ("id" "x" "number" "1") NIL NIL "7bit" 2 NIL NIL NIL NIL)`},
	}
	for _, test := range tests {
		text := mime(append(test.header, "", "hi")...)
		s := scan(Limits{}, text)
		if err := check(text, s); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := string(s.BodyStructure); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

// TestBodyExample is the example of BODYSTRUCTURE in RFC 9051 section 7.5.2: a
// text with the difference of two files.
func TestBodyExample(t *testing.T) {
	t.Parallel()
	text := mime("Content-Type: MULTIPART/MIXED; BOUNDARY=b", "",
		"--b", "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII", "", strings.Repeat(strings.Repeat("x", 48)+"\r\n", 22)+strings.Repeat("x", 52),
		"--b", `Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME="cc.diff"`, "Content-ID: <960723163407.20117h@cac.washington.edu>",
		"Content-Description: Compiler diff", "Content-Transfer-Encoding: BASE64", "",
		strings.Repeat(strings.Repeat("x", 60)+"\r\n", 72)+strings.Repeat("x", 90), "--b--", "")
	s := scan(Limits{}, text)
	want := `(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 4554 73) "MIXED")`
	if !strings.EqualFold(string(s.Body), want) {
		t.Errorf("got %s", s.Body)
	}
}

func TestEnvelopeFields(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		header []string
		want   string
	}{
		{"none", nil, nilEnvelope},
		{"empty", []string{"Date:", "Subject: ", "From:", "Sender:", "To:", "In-Reply-To:", "Message-ID:"},
			`("" "" NIL NIL NIL NIL NIL NIL "" "")`},
		{"RFC 9051 section 7.5.2 FETCH example", []string{
			"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)", "From: Terry Gray <gray@cac.washington.example>",
			"Subject: IMAP4rev2 WG mtg summary and minutes", "To: imap@cac.washington.example",
			"cc: minutes@CNRI.Reston.example, John Klensin <KLENSIN@MIT.example>",
			"Message-Id: <B27397-0100000@cac.washington.example>"},
			`("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" (("Terry Gray" NIL "gray" "cac.washington.example")) (("Terry Gray" NIL "gray" "cac.washington.example")) (("Terry Gray" NIL "gray" "cac.washington.example")) ((NIL NIL "imap" "cac.washington.example")) ((NIL NIL "minutes" "CNRI.Reston.example")("John Klensin" NIL "KLENSIN" "MIT.example")) NIL NIL "<B27397-0100000@cac.washington.example>")`},
		{"encoded words stay", []string{"From: =?utf-8?q?J=C3=B6hn?= =?utf-8?q?_D?= <j@x.test>", "Subject: =?utf-8?q?=C3=B6?="},
			`(NIL "=?utf-8?q?=C3=B6?=" (("=?utf-8?q?J=C3=B6hn?= =?utf-8?q?_D?=" NIL "j" "x.test")) (("=?utf-8?q?J=C3=B6hn?= =?utf-8?q?_D?=" NIL "j" "x.test")) (("=?utf-8?q?J=C3=B6hn?= =?utf-8?q?_D?=" NIL "j" "x.test")) NIL NIL NIL NIL NIL)`},
		{"groups and routes", []string{"To: Friends: Ann <ann@x.test>, bob@x.test;, <@a.test,@b.test:c@d.test>, nobody:;"},
			`(NIL NIL NIL NIL NIL ((NIL NIL "Friends" NIL)("Ann" NIL "ann" "x.test")(NIL NIL "bob" "x.test")(NIL NIL NIL NIL)(NIL "@a.test,@b.test" "c" "d.test")(NIL NIL "nobody" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)`},
		{"fields that come twice", []string{"To: a@x.test", "To: b@x.test", "Subject: one", "Subject: two", "From: a@x.test", "From: b@x.test"},
			`(NIL "one" ((NIL NIL "a" "x.test")) ((NIL NIL "a" "x.test")) ((NIL NIL "a" "x.test")) ((NIL NIL "a" "x.test")(NIL NIL "b" "x.test")) NIL NIL NIL NIL)`},
		{"quoted local part, no domain", []string{`From: "a b"@x.test, root`, "Sender: s@x.test", "Reply-To: ,"},
			`(NIL NIL ((NIL NIL "a b" "x.test")(NIL NIL "root" "")) ((NIL NIL "s" "x.test")) ((NIL NIL "a b" "x.test")(NIL NIL "root" "")) NIL NIL NIL NIL NIL)`},
		{"folding", []string{"Subject: one\r\n two", "In-Reply-To:\r\n <a@x.test>\r\n <b@x.test>"},
			`(NIL "one two" NIL NIL NIL NIL NIL NIL "<a@x.test> <b@x.test>" NIL)`},
	}
	for _, test := range tests {
		text := mime(append(test.header, "", "hi")...)
		s := scan(Limits{}, text)
		if err := check(text, s); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := string(s.Envelope); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

func TestDecodedFields(t *testing.T) {
	t.Parallel()
	text := mime("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", "From: =?utf-8?q?J=C3=B6hn?= <j@x.test>",
		"To: list: ann@x.test, bob@y.test;", "To: Cy <cy@z.test>", "Cc: \"D, E\" <d@x.test>", "Bcc: f@x.test",
		"Date: Tue, 1 Jul 2003 10:52:37 +0200", "Message-ID: < a@x.test >", "In-Reply-To: your mail of <p@x.test>",
		"References: <a@x.test> junk\r\n <b@x.test><c@x.test>", "", "")
	s := scan(Limits{}, text)
	got := fmt.Sprintf("%q", []string{s.Subject, s.From, s.To, s.Cc, s.Bcc, s.FromMailbox, s.ToMailbox, s.CcMailbox, s.FromDisplay, s.ToDisplay, s.MessageID, s.InReplyTo})
	want := `["Grüße" "Jöhn <j@x.test>" "list: ann@x.test, bob@y.test;, Cy <cy@z.test>" "\"D, E\" <d@x.test>" "f@x.test" "j" "ann" "d" "Jöhn" "ann@x.test" "<a@x.test>" "<p@x.test>"]`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if fmt.Sprint(s.References) != "[<a@x.test> <b@x.test> <c@x.test>]" || s.Date != 1057049557 || s.Zone != 120 {
		t.Errorf("references %q, date %d, zone %d", s.References, s.Date, s.Zone)
	}
}
