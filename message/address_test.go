package message

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseAddressList(t *testing.T) {
	t.Parallel()
	tests := []struct {
		list string
		want []Address
		bad  bool
	}{
		// RFC 5322 appendix A
		{`John Doe <jdoe@machine.example>`, []Address{{"John Doe", "jdoe", "machine.example", ""}}, false},
		{`"Joe Q. Public" <john.q.public@example.com>`, []Address{{"Joe Q. Public", "john.q.public", "example.com", ""}}, false},
		{`Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>`, []Address{
			{"Mary Smith", "mary", "x.test", ""}, {"", "jdoe", "example.org", ""}, {"Who?", "one", "y.test", ""}}, false},
		{`<boss@nil.test>, "Giant; \"Big\" Box" <sysservices@example.net>`, []Address{
			{"", "boss", "nil.test", ""}, {`Giant; "Big" Box`, "sysservices", "example.net", ""}}, false},
		{`A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;`, []Address{
			{"Ed Jones", "c", "a.test", "A Group"}, {"", "joe", "where.test", "A Group"}, {"John", "jdoe", "one.test", "A Group"}}, false},
		{`Undisclosed recipients:;`, nil, false},
		{`Pete(A nice \) chap) <pete(his account)@silly.test(his host)>`, []Address{{"Pete", "pete", "silly.test", ""}}, false},
		{"A Group(Some people)\r\n  :Chris Jones <c@(Chris's host.)public.example>,\r\n   joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the group)", []Address{
			{"Chris Jones", "c", "public.example", "A Group"}, {"", "joe", "example.org", "A Group"}, {"John", "jdoe", "one.test", "A Group"}}, false},
		{`(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;`, nil, false},
		{`Joe Q. Public <john.q.public@example.com>`, []Address{{"Joe Q. Public", "john.q.public", "example.com", ""}}, false},
		{`Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example`, []Address{
			{"Mary Smith", "mary", "example.net", ""}, {"", "jdoe", "test.example", ""}}, false},
		{`Route <@a.test,@b.test:c@d.test>`, []Address{{"Route", "c", "d.test", ""}}, false},
		{`John Doe <jdoe@machine(comment).  example>`, []Address{{"John Doe", "jdoe", "machine.example", ""}}, false},

		// quoting
		{`"john doe"@x.test`, []Address{{"", "john doe", "x.test", ""}}, false},
		{`"a\"b"@x.test`, []Address{{"", `a"b`, "x.test", ""}}, false},
		{`"a@b"@x.test`, []Address{{"", "a@b", "x.test", ""}}, false},
		{`"john".doe@x.test`, []Address{{"", "john.doe", "x.test", ""}}, false},
		{`joe@[192.0.2.1], "v6" <joe@[IPv6:2001:db8::1]>`, []Address{{"", "joe", "[192.0.2.1]", ""}, {"v6", "joe", "[IPv6:2001:db8::1]", ""}}, false},

		// names
		{`joe@x.test (Joe Q. Public)`, []Address{{"Joe Q. Public", "joe", "x.test", ""}}, false},
		{`=?utf-8?q?J=C3=B6hn?= <j@x.test>`, []Address{{"Jöhn", "j", "x.test", ""}}, false},
		{`"=?utf-8?q?J=C3=B6hn?=" <j@x.test>`, []Address{{"Jöhn", "j", "x.test", ""}}, false},
		{`"Jöhn" <jöhn@exämple.test>`, []Address{{"Jöhn", "jöhn", "exämple.test", ""}}, false},
		{"J\xf6hn <j@x.test>", []Address{{"Jöhn", "j", "x.test", ""}}, false},
		{`joe@x.test <joe@x.test>`, []Address{{"joe@x.test", "joe", "x.test", ""}}, false},

		// without a domain, for names that the router completes
		{`root, postmaster <postmaster>`, []Address{{"", "root", "", ""}, {"postmaster", "postmaster", "", ""}}, false},
		{``, nil, false},
		{` , ,`, nil, false},

		// broken, and still told
		{`Joe Smith joe@x.test`, []Address{{"Joe Smith", "joe", "x.test", ""}}, true},
		{`joe@x.test Joe`, []Address{{"Joe", "joe", "x.test", ""}}, true},
		{`<joe@x.test> Joe`, []Address{{"Joe", "joe", "x.test", ""}}, true},
		{`Joe <joe@x.test`, []Address{{"Joe", "joe", "x.test", ""}}, true},
		{`Joe <joe@x.test, ann@y.test`, []Address{{"Joe", "joe", "x.test", ""}, {"", "ann", "y.test", ""}}, true},
		{`Bob <bob@x.test> Ann <ann@y.test>`, []Address{{"Bob", "bob", "x.test", ""}, {"Ann", "ann", "y.test", ""}}, true},
		{`<<joe@x.test>>`, []Address{{"", "joe", "x.test", ""}}, true},
		{`joe@home@x.test`, []Address{{"", "joe@home", "x.test", ""}}, true},
		{`"Joe <joe@x.test>`, []Address{{`"Joe`, "joe", "x.test", ""}}, true},
		{`Joe (x <joe@x.test>`, []Address{{"Joe (x", "joe", "x.test", ""}}, true},
		{`Group: a@x.test, b@x.test`, []Address{{"", "a", "x.test", "Group"}, {"", "b", "x.test", "Group"}}, true},
		{`a@x.test; b@x.test`, []Address{{"", "a", "x.test", ""}, {"", "b", "x.test", ""}}, false},
		{`<>`, nil, true},
		{`a@x..test`, []Address{{"", "a", "x..test", ""}}, true},
		{"a\x01b@x.test", []Address{{"", "a\x01b", "x.test", ""}}, true},
		{`two words`, []Address{{"", "two words", "", ""}}, true},
		{`@x.test`, []Address{{"", "", "x.test", ""}}, true},
	}
	for _, test := range tests {
		got, err := ParseAddressList(test.list)
		if !slices.Equal(got, test.want) {
			t.Errorf("%q\n got %+q\nwant %+q", test.list, got, test.want)
		}
		if bad := errors.Is(err, ErrAddressSyntax); bad != test.bad {
			t.Errorf("%q: error %v, want one: %v", test.list, err, test.bad)
		}
	}
}

func TestParseAddressListBound(t *testing.T) {
	t.Parallel()
	list, err := ParseAddressList(strings.Repeat("a@x.test,", maxRecipients+1))
	if len(list) != maxRecipients || !errors.Is(err, ErrAddressSyntax) {
		t.Errorf("%d addresses, error %v", len(list), err)
	}
}

func TestAddr(t *testing.T) {
	t.Parallel()
	tests := []struct {
		address Address
		want    string
	}{
		{Address{Local: "joe", Domain: "x.test"}, "joe@x.test"},
		{Address{Local: "john.q", Domain: "x.test"}, "john.q@x.test"},
		{Address{Local: "john doe", Domain: "x.test"}, `"john doe"@x.test`},
		{Address{Local: `a"b\c`, Domain: "x.test"}, `"a\"b\\c"@x.test`},
		{Address{Local: ".joe", Domain: "x.test"}, `".joe"@x.test`},
		{Address{Local: "", Domain: "x.test"}, `""@x.test`},
		{Address{Local: "jöe", Domain: "exämple.test"}, "jöe@exämple.test"},
		{Address{Local: "a+b=c/d", Domain: "[192.0.2.1]"}, "a+b=c/d@[192.0.2.1]"},
		{Address{Local: "root"}, "root"},
	}
	for _, test := range tests {
		if got := test.address.Addr(); got != test.want {
			t.Errorf("%+v gives %q, want %q", test.address, got, test.want)
		}
	}
}

func FuzzAddressList(f *testing.F) {
	for _, seed := range []string{
		`Mary Smith <@a.test,@b:mary@x.test>, "J \"x" <j@[1.2.3.4]> (c(d)e), grp: a@b, c;`,
		`"unclosed <a@b>, (x <c@d`, "<<a@b> c@d <e", "a@[b, :;@:,", "a\\\"b@c", "=?utf-8?q?=C3=B6?= <x@y>",
		"a . b @ c . d", "grp:;x@y;z", "<@:>", "(((", "a@b@c@d",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := ParseAddressList(s)
		if len(list) > maxRecipients {
			t.Fatalf("%d addresses", len(list))
		}
		if v, e := parseValue(new(envelopeWriter).appendAddresses(nil, maxRecipients, nil, []byte(s))); e != nil {
			t.Fatalf("IMAP form of %q: %v", s, e)
		} else if e := checkAddresses(v); e != nil {
			t.Fatalf("IMAP form of %q: %v", s, e)
		}
		if err != nil {
			return
		}
		for _, a := range list { // what passes for an address must be read back the same
			again, err := ParseAddressList(a.Addr())
			if err != nil || len(again) != 1 || again[0].Local != a.Local || again[0].Domain != a.Domain {
				t.Fatalf("%q gives %+q, whose %q gives %+q, %v", s, a, a.Addr(), again, err)
			}
		}
	})
}
