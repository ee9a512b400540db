package message

import (
	"strings"
	"testing"
)

func TestAppendString(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxQuoted+1)
	tests := []struct{ in, want string }{
		{"", `""`},
		{"plain", `"plain"`},
		{`a "b" \c`, `"a \"b\" \\c"`},
		{"tab\tbell\a", "\"tab\tbell\a\""},
		{"grün", "{5}\r\ngrün"},
		{"a\rb", "{3}\r\na\rb"},
		{"a\nb", "{3}\r\na\nb"},
		{"a\x00b", `"ab"`},
		{"\x00ü\x00", "{2}\r\nü"},
		{long, "{1001}\r\n" + long},
	}
	for _, test := range tests {
		if got := string(AppendString([]byte("x "), []byte(test.in))); got != "x "+test.want {
			t.Errorf("%.20q gives %.40q", test.in, got)
		}
	}
	if got := string(AppendNString(nil, nil)); got != "NIL" {
		t.Errorf("nil gives %s", got)
	}
	if got := string(AppendNString(nil, []byte{})); got != `""` {
		t.Errorf("empty gives %s", got)
	}
}
