package wire

import (
	"errors"
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	for _, test := range []struct{ name, line, tail string }{
		{"within the buffer", strings.Repeat("x", 600) + " {19+}\r\n", "xxxxxxxxxxxx {19+}"},
		{"beyond the buffer", strings.Repeat("x", 100_000) + " {19+}\r\n", "xxxxxxxxxxxx {19+}"},
		{"bare LF", strings.Repeat("x", 100_000) + "{1}\n", "xxxxxxxxxxxx{1}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, peer := tcpPair(t, Config{})
			go peer.Write([]byte(test.line + "next\r\n"))
			if _, err := c.ReadLine(512); !errors.Is(err, ErrLineTooLong) {
				t.Fatal(err)
			}
			if got := string(c.Tail()); !strings.HasSuffix(got, test.tail) || len(got) > tailSize {
				t.Errorf("the tail is %q, want ...%q", got, test.tail)
			}
			if line, err := c.ReadLine(512); err != nil || string(line) != "next" {
				t.Errorf("next line %q, %v", line, err)
			}
			if len(c.Tail()) != 0 {
				t.Errorf("the tail is still %q", c.Tail())
			}
		})
	}
}
