package pop

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"tripost/accounts"
	"tripost/message"
)

// ann is a composer for the account ann@example.test.
func annComposer() *composer {
	return &composer{
		account:    accounts.Account{Local: "ann", Domain: "example.test"},
		recipients: 10,
		own: func(local, domain string) (bool, error) {
			return strings.EqualFold(local, "ann") && (domain == "" || strings.EqualFold(domain, "example.test")), nil
		},
	}
}

func TestCompose(t *testing.T) {
	const from = "From: ann@example.test\r\n"
	tests := []struct {
		name, header, want, to string
	}{
		{"nothing to change", from + "To: x@y.test\r\n\r\n", from + "To: x@y.test\r\n\r\n", "x@y.test"},
		{"no empty line", from + "To: x@y.test\r\n", from + "To: x@y.test\r\n", "x@y.test"},
		{"several of a kind", from + "To: a@y.test\r\nTo: b@y.test\r\ncc: c@y.test\r\n\r\n",
			from + "To: a@y.test\r\nTo: b@y.test\r\ncc: c@y.test\r\n\r\n", "a@y.test b@y.test c@y.test"},
		{"folded bcc in the middle", "Bcc:\r\n a@y.test,\r\n\tb@y.test\r\n" + from + "Bcc : c@y.test\r\n\r\n", from + "\r\n", "a@y.test b@y.test c@y.test"},
		{"what is no field stays", from + "To: a@y.test\r\nno colon\r\n more\r\n\r\n", from + "To: a@y.test\r\nno colon\r\n more\r\n\r\n", "a@y.test"},
		{"names that only begin so", from + "Bcc-Notes: x\r\nTo: a@y.test\r\n\r\n", from + "Bcc-Notes: x\r\nTo: a@y.test\r\n\r\n", "a@y.test"},
		{"resent to nobody new", "Resent-From: ann@example.test\r\nResent-Date: x\r\n" + from + "To: a@y.test\r\n\r\n",
			"Resent-From: ann@example.test\r\nResent-Date: x\r\n" + from + "To: a@y.test\r\n\r\n", "a@y.test"},
		{"resent by somebody else", "Resent-From: b@y.test\r\nResent-To: c@y.test\r\nFrom: d@y.test\r\nTo: e@y.test\r\n\r\n",
			"Resent-Sender: ann@example.test\r\nResent-From: b@y.test\r\nResent-To: c@y.test\r\nFrom: d@y.test\r\nTo: e@y.test\r\n\r\n", "c@y.test"},
		{"an older resending", "Resent-To: c@y.test\r\nResent-From: ann@example.test\r\nReceived: x\r\nResent-Cc: old@y.test\r\nFrom: d@y.test\r\n\r\n",
			"Resent-To: c@y.test\r\nResent-From: ann@example.test\r\nReceived: x\r\nResent-Cc: old@y.test\r\nFrom: d@y.test\r\n\r\n", "c@y.test"},
		{"resent without a from", "Resent-To: c@y.test\r\nFrom: d@y.test\r\n\r\n",
			"Resent-From: ann@example.test\r\nResent-To: c@y.test\r\nFrom: d@y.test\r\n\r\n", "c@y.test"},
		{"two From fields", from + from + "To: a@y.test\r\n\r\n", "Sender: ann@example.test\r\n" + from + from + "To: a@y.test\r\n\r\n", "a@y.test"},
		{"a From nobody can read", "From: <<>>@@\r\nTo: a@y.test\r\n\r\n", "Sender: ann@example.test\r\nFrom: <<>>@@\r\nTo: a@y.test\r\n\r\n", "a@y.test"},
		{"an empty From", "From:\r\nTo: a@y.test\r\n\r\n", "Sender: ann@example.test\r\nFrom:\r\nTo: a@y.test\r\n\r\n", "a@y.test"},
		{"own From, foreign Sender", from + "Sender: b@y.test\r\nTo: a@y.test\r\n\r\n", from + "To: a@y.test\r\n\r\n", "a@y.test"},
		{"foreign From, own Sender", "From: b@y.test\r\nSender: ann@example.test\r\nTo: a@y.test\r\n\r\n",
			"From: b@y.test\r\nSender: ann@example.test\r\nTo: a@y.test\r\n\r\n", "a@y.test"},
		{"foreign From, two Senders", "From: b@y.test\r\nSender: ann@example.test\r\nSender: b@y.test\r\nTo: a@y.test\r\n\r\n",
			"Sender: ann@example.test\r\nFrom: b@y.test\r\nTo: a@y.test\r\n\r\n", "a@y.test"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := annComposer()
			got, err := c.compose([]byte(test.header))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("header\n%s\nwant\n%s", got, test.want)
			}
			if to := strings.Join(c.list, " "); to != test.to {
				t.Errorf("recipients %s, want %s", to, test.to)
			}
		})
	}
}

func TestComposeRefusals(t *testing.T) {
	down := errors.New("the directory is down")
	tests := []struct {
		header string
		want   error
	}{
		{"", errNoRecipient},
		{" Bcc: b@y.test\r\nTo: a@y.test\r\n\r\n", errFoldedFirst},
		{"\r\n", errNoRecipient},
		{"From: ann@example.test\r\n\r\n", errNoRecipient},
		{"To:\r\n\r\n", errNoRecipient},
		{"To: nobody:;\r\n\r\n", errNoRecipient},
		{"Resent-To: nobody:;\r\nTo: a@y.test\r\n\r\n", errNoRecipient},
		{"To: a b c\r\n\r\n", refuse(sayUnreadable, "To")},
		{"to: a@y.test\r\nBCC: <\r\n\r\n", refuse(sayUnreadable, "BCC")},
		{"To: " + strings.Repeat("x@y.test,", 9) + "a@y,b@y,c@y,d@y,e@y,f@y,g@y,h@y,i@y,j@y\r\n\r\n", errManyTargets},
		{"From: who@y.test\r\nTo: a@y.test\r\n\r\n", down},
	}
	for _, test := range tests {
		c := annComposer()
		c.own = func(local, domain string) (bool, error) { return false, down }
		if _, err := c.compose([]byte(test.header)); err == nil || !errors.Is(err, test.want) && err.Error() != test.want.Error() {
			t.Errorf("%q: %v, want %v", test.header, err, test.want)
		}
	}
}

// FuzzCompose: whatever the header, no hidden recipient shows in what goes out,
// every other field stays as it was and in its order, and the recipients are
// ones that fit into a command of SMTP.
func FuzzCompose(f *testing.F) {
	for _, seed := range []string{
		"From: ann@example.test\r\nTo: a@y.test\r\nBcc: b@y.test\r\n\r\n",
		"Resent-To: a@y.test\r\nResent-Bcc: x\r\nSender: q\r\n\r\n",
		"Bcc\r\n : x@y.test\r\nTo: \"a b\"@[1.2.3.4], g: c@d.test;\r\n\r\n",
		" Bcc: folded@y.test\r\nTO\t: =?utf-8?q?x?= <x@y.test>\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		header = bytes.ReplaceAll(header, []byte("\r"), nil)
		header = bytes.ReplaceAll(header, []byte("\n"), []byte("\r\n")) // what wire lets pass
		header, _, err := readHeader(bytes.NewReader(header), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		c := annComposer()
		out, err := c.compose(header)
		if err != nil {
			return
		}
		kept := message.Fields(out)
		for _, g := range message.Fields(header) {
			if g.Is("Bcc") || g.Is("Resent-Bcc") {
				continue
			}
			for len(kept) > 0 && !bytes.Equal(kept[0].Raw, g.Raw) {
				if !kept[0].Is("Sender") && !kept[0].Is("Resent-Sender") && !kept[0].Is("From") && !kept[0].Is("Resent-From") {
					t.Fatalf("%q is new", kept[0].Raw)
				}
				kept = kept[1:]
			}
			if len(kept) == 0 {
				if g.Is("Sender") || g.Is("Resent-Sender") {
					return
				}
				t.Fatalf("%q is lost", g.Raw)
			}
			kept = kept[1:]
		}
		for _, g := range message.Fields(out) {
			if g.Is("Bcc") || g.Is("Resent-Bcc") {
				t.Fatalf("%q goes out", g.Raw)
			}
		}
		for _, addr := range c.list {
			if strings.ContainsAny(addr, "\r\n\x00") || !strings.Contains(addr, "@") {
				t.Fatalf("recipient %q", addr)
			}
		}
	})
}

func TestReadHeader(t *testing.T) {
	tests := []struct{ in, header, rest string }{
		{"", "", ""},
		{"\r\n", "\r\n", ""},
		{"\r\nbody\r\n", "\r\n", "body\r\n"},
		{"a: b\r\n", "a: b\r\n", ""},
		{"a: b\r\n\r\nbody\r\n\r\n", "a: b\r\n\r\n", "body\r\n\r\n"},
		{"a: b\n\nbody", "a: b\n\n", "body"},
		{"a: b\n\r\nbody\r\n\r\n", "a: b\n\r\n", "body\r\n\r\n"},
		{"\nbody", "\n", "body"},
		{"a: b\r\n\r", "a: b\r\n\r", ""},
		{strings.Repeat("a: b\r\n", 5000) + "\r\n.", strings.Repeat("a: b\r\n", 5000) + "\r\n", "."},
	}
	for _, test := range tests {
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(test.in), "octets": iotest.OneByteReader(strings.NewReader(test.in)), "halves": iotest.HalfReader(strings.NewReader(test.in)),
			"with its end": iotest.DataErrReader(strings.NewReader(test.in)),
		} {
			header, rest, err := readHeader(r, 1<<20)
			more, _ := io.ReadAll(r)
			if err != nil || string(header) != test.header || string(rest)+string(more) != test.rest {
				t.Errorf("%.20q %s: %.20q and %.20q, %v", test.in, name, header, string(rest)+string(more), err)
			}
		}
	}
	for _, in := range []string{"a: b\r\n\r\n", strings.Repeat("a: b\r\n", 5000)} {
		if header, _, err := readHeader(strings.NewReader(in), 7); !errors.Is(err, errHeaderTooLong) || len(header) != 7 {
			t.Errorf("%.20q over the limit: %q, %v", in, header, err)
		}
	}
	broken := errors.New("broken")
	if _, _, err := readHeader(io.MultiReader(strings.NewReader("a: b\r\n"), iotest.ErrReader(broken)), 100); !errors.Is(err, broken) {
		t.Errorf("broken input: %v", err)
	}
}
