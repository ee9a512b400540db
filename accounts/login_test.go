package accounts

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseLogin(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, mailbox, account string }{
		{"jsmith", "", "jsmith"},
		{"private#jsmith", "private", "jsmith"},
		{"lists/info#jsmith@client1.com", "lists/info", "jsmith@client1.com"},
		{"~public/announces#jsmith", "~public/announces", "jsmith"},
		{"~boss/INBOX#jsmith", "~boss/INBOX", "jsmith"},
		{"~boss@client1.com/INBOX#jsmith@company.com", "~boss@client1.com/INBOX", "jsmith@company.com"},
		{"~boss@client1.com/INBOX#jsmith", "~boss@client1.com/INBOX", "jsmith"},
		{"info%client2.com", "", "info@client2.com"},
		{"private#info%client2.com", "private", "info@client2.com"},
		{"50%#jsmith", "50%", "jsmith"},
		{"50%#jsmith%client1.com", "50%", "jsmith@client1.com"},
		{"a%b%c", "", "a%b@c"},
		{"a%b@c", "", "a%b@c"},
		{"#jsmith", "", "jsmith"},
		{"C#/sharp#jsmith", "C#/sharp", "jsmith"},
		{"##jsmith", "#", "jsmith"},
		{"Büro#jsmith", "Büro", "jsmith"},
		{"two words#jsmith", "two words", "jsmith"},
	}
	for _, tt := range tests {
		got, err := ParseLogin(tt.in)
		if err != nil || got.Mailbox != tt.mailbox || got.Account != tt.account {
			t.Errorf("ParseLogin(%q) = %+v, %v", tt.in, got, err)
		}
	}
	bad := []string{
		"", "#", "private#", "##", "a\x00b", "jsmith\r\n", "a\tb", "\x7f", "\u0085x", "\xffjsmith",
		strings.Repeat("x", 10_000), strings.Repeat("#", 2_000) + "jsmith",
	}
	for _, in := range bad {
		_, err := ParseLogin(in)
		wantError(t, err, ErrBadName)
	}
}

func FuzzParseLogin(f *testing.F) {
	for _, s := range []string{
		"jsmith", "private#jsmith", "~boss@client1.com/INBOX#jsmith%company.com", "#", "##", "%", "a%", "%a", "a#%", "@", "x#@",
		"\x00", "\xff#a", "a%b%c#d%e@f",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		login, err := ParseLogin(s)
		if err != nil {
			return
		}
		if login.Account == "" || strings.Contains(login.Account, "#") || !utf8.ValidString(s) {
			t.Errorf("ParseLogin(%q) = %+v", s, login)
		}
		if !strings.Contains(login.Account, "@") && strings.Contains(login.Account, "%") {
			t.Errorf("ParseLogin(%q) leaves a %% for no @: %+v", s, login)
		}
		again, err := ParseLogin(login.Mailbox + "#" + login.Account)
		if err != nil && len(s) < maxLogin || err == nil && again != login {
			t.Errorf("%+v comes back as %+v, %v", login, again, err)
		}
	})
}
