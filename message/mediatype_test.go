package message

import (
	"fmt"
	"strings"
	"testing"
)

// showMedia writes a media type in one line.
func showMedia(m mediaType) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s", m.typ, m.sub)
	for _, p := range m.params {
		fmt.Fprintf(&b, "|%s=%s", p.name, p.value)
	}
	return b.String()
}

func TestParseMediaType(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"text/plain", "text/plain"},
		{" TEXT/Plain; Charset=US-ASCII (Plain text)", "text/plain|charset=US-ASCII"},
		{`text/plain; charset="us-ascii"`, "text/plain|charset=us-ascii"},
		{"(comment) text (x) / (y) plain (z) ; a (b) = (c) d", "text/plain|a=d"},
		{`a/b; x="q\"\\;r"; y=2`, `a/b|x=q"\;r|y=2`},
		{"a/b; x=\"fold\r\n ed\"", "a/b|x=fold ed"},
		// RFC 2231 section 3 and 4
		{"message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
			"message/external-body|access-type=URL|url=ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"},
		{"application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
			"application/x-stuff|title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"},
		{"application/x-stuff\r\n ;title*0*=us-ascii'en'This%20is%20even%20more%20\r\n ;title*1*=%2A%2A%2Afun%2A%2A%2A%20\r\n ;title*2=\"isn't it!\"",
			"application/x-stuff|title*=us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!"},
		{"a/b; n*1=b; n*0=a", "a/b|n=ab"},
		{"a/b; n*0=a; n*2=c", "a/b|n=a"},
		{"a/b; n*1=b", "a/b"},
		{"a/b; n*0=a; n*1*=%62", "a/b|n*=''a%62"},
		// broken and common
		{"text", "text/plain"},
		{"text/", "text/plain"},
		{"text; charset=utf-8", "text/plain|charset=utf-8"},
		{"multipart", "text/plain"},
		{"text/html charset=utf-8", "text/html|charset=utf-8"},
		{"text/html;;charset=utf-8;", "text/html|charset=utf-8"},
		{"text/html; charset", "text/html"},
		{"text/html; =x; charset=utf-8", "text/html|charset=utf-8"},
		{"application/pdf; name=my file (1).pdf; x=y", "application/pdf|name=my file|x=y"},
		{"application/pdf; name=my file.pdf", "application/pdf|name=my file.pdf"},
		{`application/pdf; name="unclosed.pdf`, "application/pdf|name=unclosed.pdf"},
		{`application/pdf; name="unclosed.pdf; x=y`, "application/pdf|name=unclosed.pdf|x=y"},
		{"image/png; name=b\u00f6se.png", "image/png|name=b\u00f6se.png"},
		{"text/plain; boundary==_x=y", "text/plain|boundary==_x=y"},
		{"<text/plain>", "text/plain"},
	}
	for _, test := range tests {
		m, ok := parseMediaType([]byte(test.in))
		if got := showMedia(m); !ok || got != test.want {
			t.Errorf("%q gives %s, want %s", test.in, got, test.want)
		}
	}
	for _, empty := range []string{"", " ", "(nothing)"} {
		if _, ok := parseMediaType([]byte(empty)); ok {
			t.Errorf("%q is a type", empty)
		}
	}
}

func TestExtendedParam(t *testing.T) {
	t.Parallel()
	m, _ := parseMediaType([]byte("multipart/mixed; boundary*0*=us-ascii''a%20; boundary*1=b; charset*=''utf-8"))
	if b, c := m.param("boundary"), m.param("charset"); string(b) != "a b" || string(c) != "utf-8" {
		t.Errorf("boundary %q, charset %q", b, c)
	}
}
