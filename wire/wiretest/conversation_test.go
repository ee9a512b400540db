package wiretest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// failed is a test that ends where it fails.
type failed struct {
	testing.TB
	text string
}

func (f *failed) Helper()                   {}
func (f *failed) Cleanup(func())            {}
func (f *failed) end(s string)              { f.text = s; panic(f) }
func (f *failed) Fatal(a ...any)            { f.end(fmt.Sprint(a...)) }
func (f *failed) Fatalf(s string, a ...any) { f.end(fmt.Sprintf(s, a...)) }

// repeats is a server that says "ready", repeats lines, and ends at "quit".
func repeats(t *testing.T) func() net.Conn {
	return func() net.Conn {
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer far.Close()
			io.WriteString(far, "ready <7@x>\r\n")
			for in := bufio.NewScanner(far); in.Scan() && in.Text() != "quit"; {
				if _, err := io.WriteString(far, in.Text()+"\r\n"); err != nil {
					return
				}
			}
		}()
		t.Cleanup(func() {
			near.Close()
			<-done
		})
		return near
	}
}

// What does not agree with the script fails the test and tells the line.
func TestConversations(t *testing.T) {
	t.Parallel()
	script := &Script{
		Dial: repeats(t),
		Verbs: map[string]func(*Conversation, int, string){
			"TWICE": func(c *Conversation, _ int, text string) { c.Each("C: "+text, "S: "+text, "C: "+text, "S: "+text) },
		},
		Forms: map[string]func(*Conversation, int, string) string{
			"greeting": func(c *Conversation, n int, end string) string { return c.Greeting(n) + end },
		},
	}
	tests := []struct{ name, text, want string }{
		{"all that there is", "# hello\n\nS: ready ...\nC: {base64:\\x00a} {3*ab}\nS: AGE= ababab\nC+ \"x\\r\\n{2*-}\\r\\n\"\nS: x\nS: --\n" +
			"TWICE a\nS2: ready <7@x>\nC2: b\nS2: b\nC: {greeting:!}\nS: ready <7@x>!\nC: {other:form}\nS: {other:form}\nC: quit\nEOF\nC2: quit\nEOF2", ""},
		{"other text", "S: ready ...\nC: a\nS: b", "line 3: got  a\nwant b"},
		{"more text", "S: ready", "line 1: got  ready <7@x>\nwant ready"},
		{"no end", "S: ready ...\nC: a\nEOF", `line 3: got "a" and <nil>, want the connection closed`},
		{"an early end", "S: ready ...\nC: quit\nS: a", `line 3: waiting for "a": got "" and EOF`},
		{"no such verb", "S: ready ...\nSHOUT a", `line 2: nothing known as "SHOUT a"`},
		{"no line", "S: ready ...\nhello", `line 2: not a line of a conversation: "hello"`},
		{"no string", "C+ a", `line 1: "a" is not a Go string`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &failed{TB: t}
			func() {
				defer func() {
					if r := recover(); r != nil && r != any(f) {
						panic(r)
					}
				}()
				script.Talk(f, "", test.text)
			}()
			if got := strings.TrimSpace(f.text); got != test.want {
				t.Errorf("failed with %q, want %q", got, test.want)
			}
		})
	}
}
