package message

import (
	"bytes"
	"strings"
	"testing"
)

func TestFields(t *testing.T) {
	t.Parallel()
	header := "From ann@x.test Mon Jan  1 10:00:00 2024\r\nSubject: a\r\n\tb\r\n c \r\nX-Empty:\r\nobsolete \t: y\r\n" +
		"no colon here\r\n: no name\r\nbad name: z\r\nbare: lf\nTo: joe\r\n\r\nBody: not a field\r\n"
	tests := []struct{ name, raw, value string }{
		{"", "From ann@x.test Mon Jan  1 10:00:00 2024\r\n", "From ann@x.test Mon Jan  1 10:00:00 2024"},
		{"Subject", "Subject: a\r\n\tb\r\n c \r\n", "a\tb c"},
		{"X-Empty", "X-Empty:\r\n", ""},
		{"obsolete", "obsolete \t: y\r\n", "y"},
		{"", "no colon here\r\n", "no colon here"},
		{"", ": no name\r\n", ": no name"},
		{"", "bad name: z\r\n", "bad name: z"},
		{"bare", "bare: lf\n", "lf"},
		{"To", "To: joe\r\n", "joe"},
	}
	fields := Fields([]byte(header))
	if len(fields) != len(tests) {
		t.Fatalf("%d fields, want %d", len(fields), len(tests))
	}
	for i, want := range tests {
		f := fields[i]
		if string(f.Name) != want.name || string(f.Raw) != want.raw || f.Value() != want.value {
			t.Errorf("field %d is %q %q %q, want %q", i, f.Name, f.Raw, f.Value(), want)
		}
	}
	if !fields[1].Is("SUBJECT") || fields[1].Is("Subjects") || fields[0].Is("") != true {
		t.Error("Is compares names wrongly")
	}
}

func TestNeedsUTF8(t *testing.T) {
	t.Parallel()
	tests := []struct {
		header string
		want   bool
	}{
		{"Subject: plain\r\n\r\n", false},
		{"Subject: plain\r\n\r\nbödy\r\n", false},
		{"Subject: bödy\r\n\r\n", true},
		{"From: jöhn@x.test", true},
		{"", false},
	}
	for _, test := range tests {
		if got := NeedsUTF8([]byte(test.header)); got != test.want {
			t.Errorf("%q: %v", test.header, got)
		}
	}
}

func TestDecodeHeader(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"plain", "plain"},
		{"", ""},
		{" folded\r\n here\r\n\tand there ", "folded here\tand there"},
		// RFC 2047 section 8
		{"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"},
		{"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>", "Keld Jørn Simonsen <keld@dkuug.dk>"},
		{"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"},
		{"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=", "If you can read this you understand the example."},
		{"(=?ISO-8859-1?Q?a?=)", "(a)"},
		{"(=?ISO-8859-1?Q?a?= b)", "(a b)"},
		{"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"},
		{"(=?ISO-8859-1?Q?a?=  \r\n  =?ISO-8859-1?Q?b?=)", "(ab)"},
		{"(=?ISO-8859-1?Q?a_b?=)", "(a b)"},
		{"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"},
		{"=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=", "םולש ןב ילטפנ"},
		// RFC 2231 section 5
		{"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"},
		// a character cut in two
		{"=?utf-8?B?w7bD?= =?utf-8?B?pA==?=", "öä"},
		{"=?UTF-8?Q?=C3?= =?utf-8?Q?=B6?=", "ö"},
		{"=?iso-2022-jp?B?GyRCJTMlcyVLJUElTxsoQg==?=", "コンニチハ"},
		// broken and common
		{"=?utf-8?Q?two words?=", "two words"},
		{"x=?utf-8?Q?=C3=B6?=y", "xöy"},
		{"=?utf-8?Q?a?==?utf-8?Q?b?=", "ab"},
		{"=?utf-8?Q?a?", "=?utf-8?Q?a?"},
		{"=?utf-8?X?a?=", "=?utf-8?X?a?="},
		{"=?utf-8?Q?=C?=", "=C"},
		{"=?utf-8?Q??=", ""},
		{"=??Q?a?=", "=??Q?a?="},
		{"=? =?utf-8?Q?=C3=B6?=", "=? ö"},
		{"=?nobody-knows?Q?a=E4?=", "a\uFFFD"},
		{"=?us-ascii?Q?a=E4?=", "aä"},
		{"raw bödy", "raw bödy"},
		{"raw b\xf6dy", "raw bödy"},
		{"\x93quoted\x94", "“quoted”"},
		// nothing that ends a line gets through
		{"=?utf-8?Q?a=0D=0ABcc:_b?=", "a  Bcc: b"},
		{"a\rb\x00c", "a b c"},
	}
	for _, test := range tests {
		if got := DecodeHeader(test.in); got != test.want {
			t.Errorf("%q gives %q, want %q", test.in, got, test.want)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, seed := range []string{
		"Subject: =?utf-8?B?w7bD?= =?utf-8?B?pA==?=\r\nTo: a\r\n b\r\n\r\n",
		"=?utf-8?Q?a?==?iso-2022-jp?B?GyRCJTM=?=", "=?hz?Q?~{VP?=", "=?utf-16?B?//4=?=", "a: b\n\tc\r\n\r\nd",
		"=?utf-8?Q?=?=?=?=", ": \r\n \r\n x", "=?gb18030?B?gTCBMA==?=",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		var all []byte
		for _, field := range Fields(header) {
			all = append(all, field.Raw...)
			if v := field.Value(); strings.Contains(v, "\n") {
				t.Fatalf("value %q of %q", v, field.Raw)
			}
			if len(field.Name) > 0 && !bytes.HasPrefix(field.Raw, field.Name) {
				t.Fatalf("name %q of %q", field.Name, field.Raw)
			}
		}
		if !bytes.HasPrefix(header, all) {
			t.Fatalf("fields %q of %q", all, header)
		}
		if rest := header[len(all):]; len(rest) > 0 && rest[0] != '\n' && !bytes.HasPrefix(rest, []byte("\r\n")) {
			t.Fatalf("fields of %q end before %q", header, rest)
		}
		decoded := DecodeHeader(string(header))
		if strings.ToValidUTF8(decoded, "") != decoded || strings.ContainsAny(decoded, "\r\n\x00") {
			t.Fatalf("%q gives %q", header, decoded)
		}
		m, _ := parseMediaType(header)
		if !validMediaToken(m.typ) && len(bytes.TrimSpace(header)) > 0 && len(skipSpace(header)) > 0 {
			t.Fatalf("%q gives type %q", header, m.typ)
		}
		parseDate(header)
		BaseSubject(decoded)
	})
}
