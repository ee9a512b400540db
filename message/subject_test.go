package message

import (
	"strings"
	"testing"
)

func TestBaseSubject(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, want string
		reply    bool
	}{
		{"hello", "hello", false},
		{"  hello \t world ", "hello world", false},
		{"Re: hello", "hello", true},
		{"RE : hello", "hello", true},
		{"re:re: Fwd: FW: hello", "hello", true},
		{"Re[2]: hello", "hello", true},
		{"Re [2] : hello", "hello", true},
		{"[list] hello", "hello", false},
		{"[list] Re: [list] hello", "hello", true},
		{"Re: [list] [more] hello", "hello", true},
		{"[list]", "[list]", false},
		{"[a][b]", "[b]", false},
		{"Re: [list]", "[list]", true},
		{"hello (fwd)", "hello", true},
		{"hello (FWD) (fwd) ", "hello", true},
		{"[fwd: hello]", "hello", true},
		{"[Fwd: Re: [fwd: hello] (fwd)]", "hello", true},
		{"Re:", "", true},
		{"", "", false},
		{"regarding: x", "regarding: x", false},
		{"forward: x", "forward: x", false},
		{"[a[b] x", "[a[b] x", false},
		{"Re: [ grün ] Grüße", "Grüße", true},
	}
	for _, test := range tests {
		got, reply := BaseSubject(test.in)
		if got != test.want || reply != test.reply {
			t.Errorf("%q gives %q, %v; want %q, %v", test.in, got, reply, test.want, test.reply)
		}
	}
	for _, long := range []string{"[a]", "Re:", "[fwd:", "Re[a]", " ", "(fwd)"} {
		BaseSubject(strings.Repeat(long, 1<<17))
	}
}
