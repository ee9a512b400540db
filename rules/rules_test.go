package rules

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestParse writes each rule out as it was read, in the one form that there is.
func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{`a: keep`, `a: keep`},
		{`a:KEEP,Stop`, `a: keep, stop`},
		{`a: if from is x@y.test then file INBOX`, `a: if from is "x@y.test" then file "INBOX"`},
		{`a: if not to contains "a b" and cc exists then mark seen; mark flagged`, `a: if to not contains "a b" and cc exists then mark seen, mark flagged`},
		{`a: if subject begins x or recipient ends y then discard`, `a: if subject begins "x" or recipient ends "y" then discard`},
		{`a: if header List-Id exists then file "lists/a \"b\" \\c"`, `a: if header List-Id exists then file "lists/a \"b\" \\c"`},
		{`a: until 2026-12-31 vacation "one\ntwo" days 30 subject "gone"`, `a: until 2026-12-31 vacation "one\ntwo" subject "gone" days 30`},
		{`a: from 2026-12-01 until 2026-12-31 if from is x then forward x@y.test`, `a: from 2026-12-01 until 2026-12-31 if from is "x" then forward x@y.test`},
		{`a: if not subject not is x then keep`, `a: if subject is "x" then keep`},
	} {
		r, err := ParseRule(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := r.String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
		if again, err := ParseRule(r.String()); err != nil || again.String() != c.want {
			t.Errorf("%s: read again %s, %v", c.text, again, err)
		}
		if err := Check([]Rule{r}, 1); err != nil {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

// TestRefusals says of each rule that cannot be taken what was expected.
func TestRefusals(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 9<<10)
	for _, c := range []struct{ text, want string }{
		{`keep`, `a colon is expected behind the name`},
		{`: keep`, `a name is expected`},
		{`a b: keep`, `a name has letters, digits`},
		{strings.Repeat("n", 65) + `: keep`, `longer than 64 octets`},
		{`a:`, `action: one of file, forward, keep, vacation, mark, discard, stop is expected, there is nothing more`},
		{`a: keep keep`, `behind the action: a comma is expected, not "keep"`},
		{`a: keep,`, `action: one of`},
		{`a: dance`, `not "dance"`},
		{`a: mark read`, `mark: seen or flagged is expected, not "read"`},
		{`a: file`, `file: the name of a mailbox is expected`},
		{`a: file "x`, `a quotation mark is open`},
		{`a: file "x\`, `a quotation mark is open`},
		{`a: file "~x/y"`, `not a valid mailbox name`},
		{`a: file "x/"`, `it ends in '/'`},
		{`a: forward x`, `forward: "x" is not an address`},
		{`a: forward "x@y.test>"`, `is not an address`},
		{`a: forward "x\n@y.test"`, `is not an address`},
		{`a: if then keep`, `condition: a field (sender, recipient, from, to, cc, subject, header) is expected, not "then"`},
		{`a: if size is 3 then keep`, `not "size"`},
		{`a: if subject like x then keep`, `subject: a test (is, contains, begins, ends, exists) is expected, not "like"`},
		{`a: if subject is then keep`, `"and", "or" or "then" is expected, not "keep"`},
		{`a: if subject is x and from is y or from is z then keep`, `"and" or "then" is expected, not "or"`},
		{`a: if subject is "" then keep`, `subject is: a text of 1 to 1024 octets is expected`},
		{`a: if header "X:" exists then keep`, `is not the name of a header field`},
		{`a: vacation ""`, `vacation: a text of 1 to 8192 octets is expected`},
		{`a: vacation ` + long, `vacation: a text of 1 to 8192`},
		{`a: vacation x days 0`, `vacation days: a number of 1 to 365 is expected, not "0"`},
		{`a: vacation x subject "a\nb"`, `vacation subject: a line of at most 200 octets`},
		{`a: from tomorrow keep`, `from: "tomorrow" is not a date such as 2026-12-31`},
		{`a: from 2026-12-31 until 2026-12-01 keep`, `until: 2026-12-01 is before 2026-12-31`},
		{`a: ` + strings.Repeat("keep, ", 10) + `keep`, `11 actions, a rule may have 10`},
		{`a: if ` + strings.Repeat("from exists or ", 20) + `from exists then keep`, `21 conditions, a rule may have 20`},
		{"a: keep\na: keep", `there are two of this name`},
		{"a: keep\nb: keep\nc: keep\nd: keep", `4 rules, an account may have 3`},
		{"a: keep\n\n# x\nb: dance", `line 4: rule "b"`},
	} {
		list, err := Parse(c.text)
		if err == nil {
			err = Check(list, 3)
		}
		if !errors.Is(err, ErrBadRule) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: %v, want %s", c.text, err, c.want)
		}
	}
}

// mail is the header that the rules below are held against.
const mail = "From: =?utf-8?q?J=C3=B6rg?= <Joerg@Client.test>\r\nTo: Ann <ann@company.test>,\r\n \"Bob, B.\" <bob@company.test>\r\n" +
	"Cc: team@company.test\r\nSubject: Re: =?iso-8859-1?q?Gr=FC=DFe?=\r\nX-Empty:\r\nX-Two: one\r\nX-Two: two\r\nList-Id: Go <go.lists.test>\r\n"

func TestDecide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rules, want string }{
		{``, `keep`},
		{`a: if from is joerg@client.test then discard`, `a: discard`},
		{`a: if from contains "jörg" then discard`, `a: discard`},
		{`a: if from ends "@client.test" then file x`, `a: file "x"`},
		{`a: if from is client.test then discard`, `keep`},
		{`a: if sender is "bounce@client.test" then discard`, `a: discard`},
		{`a: if recipient is "sales@company.test" then file sales`, `a: file "sales"`},
		{`a: if to is "bob@company.test" and to is "team@company.test" then mark seen`, `a: keep, mark seen`},
		{`a: if cc is "bob@company.test" then discard`, `keep`},
		{`a: if cc is "team@company.test" then discard`, `a: discard`},
		{`a: if subject ends "GRÜßE" then discard`, `a: discard`},
		{`a: if subject begins "re: grü" then discard`, `a: discard`},
		{`a: if subject not contains x then discard`, `a: discard`},
		{`a: if header X-Empty exists then discard`, `keep`},
		{`a: if header x-two is TWO then discard`, `a: discard`},
		{`a: if header X-Two not is two then discard`, `keep`},
		{`a: if header X-None not exists then discard`, `a: discard`},
		{`a: if header List-Id contains "<go.lists.test>" then file "lists/go", stop` + "\nb: discard", `a: file "lists/go"`},
		{`a: if subject is x or from exists then discard`, `a: discard`},
		{`a: if subject is x and from exists then discard`, `keep`},
		{"a: discard\nb: keep", `a, b: keep`},
		{"a: forward x@y.test\nb: file x\nc: file x", `a, b, c: file "x", forward x@y.test`},
		{"a: vacation one\nb: vacation two", `a, b: keep, vacation`},
		{"a: from 2026-03-02 discard", `keep`},
		{"a: from 2026-03-01 until 2026-03-01 discard", `a: discard`},
		{"a: until 2026-02-28 discard", `keep`},
	} {
		list, err := Parse(c.rules)
		if err != nil {
			t.Fatal(err)
		}
		v := Decide(list, &Message{
			From: "Bounce@client.test", Recipients: []string{"Sales@company.test"}, Header: []byte(mail),
			Now: time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC),
		})
		got := v.String()
		if len(v.Rules) > 0 {
			got = strings.Join(v.Rules, ", ") + ": " + got
		}
		if got != c.want {
			t.Errorf("%s\ngives %s, want %s", c.rules, got, c.want)
		}
	}
}

func TestAddressees(t *testing.T) {
	t.Parallel()
	m := &Message{Header: []byte("To: Ann <ann@a.test>, undisclosed-recipients:;\r\nResent-Cc: bob@b.test\r\nFrom: c@c.test\r\nBcc: local\r\n")}
	if got := m.Addressees(); !slices.Equal(got, []string{"ann@a.test", "bob@b.test"}) {
		t.Errorf("%q", got)
	}
	m = &Message{Header: []byte("To: " + strings.Repeat("a@b.test,", 1000) + "z@z.test\r\n")}
	if n := len(m.Addressees()); n != maxAddressees {
		t.Errorf("%d addresses", n)
	}
}

// TestNoReply asks of messages whether a program may answer them: RFC 3834 section 2.
func TestNoReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, header string
		may          bool
	}{
		{"x@y.test", "Subject: hello\r\n", true},
		{"x@y.test", "Auto-Submitted: no\r\nPrecedence: first-class\r\n", true},
		{"x@y.test", "Auto-Submitted: No (a person)\r\n", true},
		{"x@y.test", "X-Auto-Response-Suppress: DR, RN\r\n", true},
		{"", "Subject: a report\r\n", false},
		{"MAILER-DAEMON@y.test", "", false},
		{"no-reply@y.test", "", false},
		{"list-bounces+ann=a.test@y.test", "", false},
		{"owner-list@y.test", "", false},
		{"x@y.test", "auto-submitted: auto-generated; type=cron\r\n", false},
		{"x@y.test", "Auto-Submitted: auto-replied\r\n", false},
		{"x@y.test", "List-Id: <list.y.test>\r\n", false},
		{"x@y.test", "List-Unsubscribe: <mailto:x@y.test>\r\n", false},
		{"x@y.test", "Precedence: bulk\r\n", false},
		{"x@y.test", "Precedence: LIST (of people)\r\n", false},
		{"x@y.test", "X-Auto-Response-Suppress: OOF, DR\r\n", false},
	} {
		m := &Message{From: c.from, Header: []byte(c.header)}
		if why := m.NoReply(); (why == "") != c.may {
			t.Errorf("from %q with %q: %q, want it to be answered: %v", c.from, c.header, why, c.may)
		}
	}
}

// TestReply looks at the fields that come from the message: nothing in it breaks
// out of its field, and no line is too long.
func TestReply(t *testing.T) {
	t.Parallel()
	refs := "References:"
	for range 100 {
		refs += "\r\n <" + strings.Repeat("r", 50) + "@x.test>"
	}
	for _, c := range []struct{ header, want string }{
		{"Subject: hello\r\n", "Subject: Auto: hello\r\n"},
		{"Subject: a\r\n b\r\n", "Subject: Auto: a b\r\n"},
		{"", "Subject: Auto:\r\n"},
		{"Subject: =?utf-8?q?a=0D=0ABcc:_x@y.test?=\r\n", "Subject: Auto: a  Bcc: x@y.test\r\n"},
		{"Message-ID: <a@b>\r\nReferences: <x@y> junk <z@y>\r\n", "References: <x@y>\r\n <z@y>\r\n <a@b>\r\n"},
		{"Message-ID: <a@b>\r\nIn-Reply-To: <x@y>\r\n", "References: <x@y>\r\n <a@b>\r\n"},
		{"Message-ID: a@b\r\n", "Auto-Submitted: auto-replied\r\nMIME-Version"},
		{"Message-ID: <a b@c>\r\n", "Auto-Submitted: auto-replied\r\nMIME-Version"},
		{"Message-ID: <" + strings.Repeat("x", 300) + "@b>\r\n", "Auto-Submitted: auto-replied\r\nMIME-Version"},
		{"Message-ID: <a@b>\r\n" + refs + "\r\n", "@x.test>\r\n <a@b>\r\n"},
		{"Subject: " + strings.Repeat("ü", 5000) + "\r\n", "?=\r\n =?utf-8?q?"},
	} {
		m := &Message{From: "x@y.test", Header: []byte(c.header)}
		got := string((&Action{Do: Vacation, Text: "I'm away = gone."}).Reply(m, "ann@company.test", "Ann"))
		if !strings.Contains(got, c.want) {
			t.Errorf("%.80q gives\n%s\nwant %q", c.header, got, c.want)
		}
		for line := range strings.Lines(got) {
			if len(line) > 400 || !strings.HasSuffix(line, "\r\n") {
				t.Errorf("%.80q gives the line %q", c.header, line)
			}
		}
		if len(got) > 3000 {
			t.Errorf("%.80q gives %d octets", c.header, len(got))
		}
	}
}

// FuzzRule reads any text and any message: what is taken is written as it is read,
// and decided without harm.
func FuzzRule(f *testing.F) {
	f.Add(`a: from 2026-01-01 if subject contains "x" or header Y exists then file "z", vacation "t" days 3`, mail)
	f.Add(`a: forward x@y.test, keep, mark seen, stop`, "To: a\n")
	f.Add(`a: if not sender is "\\\"" then discard`, "\r\n")
	f.Fuzz(func(t *testing.T, text, header string) {
		list, err := Parse(text)
		if err != nil || Check(list, 100) != nil {
			return
		}
		var b strings.Builder
		for _, r := range list {
			b.WriteString(r.String() + "\n")
		}
		again, err := Parse(b.String())
		if err != nil || len(again) != len(list) {
			t.Fatalf("%q is read as %d rules, %v", b.String(), len(again), err)
		}
		m := &Message{From: "x@y.test", Header: []byte(header)}
		if v, w := Decide(list, m), Decide(again, m); v.String() != w.String() {
			t.Fatalf("%q decides %s, read again %s", text, &v, &w)
		}
		m.NoReply()
		reply := string((&Action{Text: "x"}).Reply(m, "a@b.test", ""))
		if head, _, _ := strings.Cut(reply, "\r\n\r\n"); strings.Count("\r\n"+head, "\r\nTo: ") != 1 || !strings.Contains(head, "MIME-Version: 1.0") {
			t.Fatalf("%q is answered with %q", header, head)
		}
	})
}
