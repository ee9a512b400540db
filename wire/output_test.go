package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func TestOutputWaitsForARead(t *testing.T) {
	t.Parallel()
	s := newScripted([]byte("A\r\nB\r\n"), 1<<20)
	c := NewConn(s, Config{})
	c.WriteString("one ")
	c.Write([]byte("two "))
	c.Append(func(b []byte) []byte { return append(b, "three "...) })
	c.Done(append(c.Out(), "four"...))
	if s.out.Len() != 0 {
		t.Errorf("sent too early: %q", s.out.String())
	}
	if _, err := c.ReadLine(512); err != nil {
		t.Fatal(err)
	}
	if got := s.out.String(); got != "one two three four" {
		t.Errorf("sent %q", got)
	}
}

func TestOutputIsSentWhenLarge(t *testing.T) {
	t.Parallel()
	s := newScripted(nil, 1)
	c := NewConn(s, Config{})
	small, large := strings.Repeat("s", 1000), strings.Repeat("L", directWrite)
	var want strings.Builder
	for i := range 300 {
		piece := small
		if i%50 == 1 {
			piece = large
		}
		c.WriteString(piece[:len(piece)/2])
		c.Write([]byte(piece))
		want.WriteString(piece[:len(piece)/2] + piece)
		if len(c.out) > flushAt {
			t.Fatalf("%d octets wait", len(c.out))
		}
	}
	if err := c.Close(); err != nil || s.out.String() != want.String() {
		t.Errorf("%d octets sent, want %d; %v", s.out.Len(), want.Len(), err)
	}
}

func TestWriteErrorSticks(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		c.Abort()
		c.WriteString("lost")
		err := c.Flush()
		if !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("flush: %v", err)
		}
		if _, again := c.WriteString("more"); again != err {
			t.Errorf("write: %v", again)
		}
		if _, again := c.Write(make([]byte, directWrite)); again != err {
			t.Errorf("large write: %v", again)
		}
		if _, again := c.ReadLine(512); again != err {
			t.Errorf("read: %v", again)
		}
	})
}

func TestWriteTimeout(t *testing.T) {
	t.Parallel()
	c, _ := pipePair(t, Config{Write: 10 * time.Millisecond})
	c.WriteString("nobody reads")
	if err := c.Flush(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestDotWriter(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want string }{
		{"", ".\r\n"},
		{"a\r\n", "a\r\n.\r\n"},
		{"a", "a\r\n.\r\n"},
		{"a\n", "a\n\r\n.\r\n"},
		{"a\r", "a\r\r\n.\r\n"},
		{".", "..\r\n.\r\n"},
		{".a\r\n..\r\n", "..a\r\n...\r\n.\r\n"},
		{"a\n.b\r\n", "a\n..b\r\n.\r\n"},
		{"a\r.b\r\n", "a\r.b\r\n.\r\n"},
		{"\n.\n", "\n..\n\r\n.\r\n"},
		{"a.\r\n. .\r\n", "a.\r\n.. .\r\n.\r\n"},
	} {
		for _, size := range []int{1, 2, 1000} {
			s := newScripted(nil, 1)
			c := NewConn(s, Config{})
			w := c.DotWriter()
			for text := []byte(tc.text); len(text) > 0; {
				n, err := w.Write(text[:min(size, len(text))])
				if err != nil {
					t.Fatal(err)
				}
				text = text[n:]
			}
			w.Close()
			if c.Close(); s.out.String() != tc.want {
				t.Errorf("%q by %d: %q, want %q", tc.text, size, s.out.String(), tc.want)
			}
		}
	}
}

func TestDotCopy(t *testing.T) {
	t.Parallel()
	for _, stuff := range []bool{false, true} {
		s := newScripted(nil, 1)
		c := NewConn(s, Config{})
		text := strings.Repeat("no dots here\r\n", 10_000)
		reply := func() { c.WriteString("+OK\r\n") }
		if begun, err := c.DotCopy(reply, strings.NewReader(text), stuff); err != nil || !begun {
			t.Fatal(begun, err)
		}
		if c.Close(); s.out.String() != "+OK\r\n"+text+".\r\n" {
			t.Errorf("stuff %v: %d octets", stuff, s.out.Len())
		}
	}
	lost := errors.New("disk error")
	for _, after := range []string{"", "x"} {
		s := newScripted(nil, 1)
		c := NewConn(s, Config{})
		reply := func() { c.WriteString("+OK\r\n") }
		begun, err := c.DotCopy(reply, failing{after, lost}, true)
		if err != lost || begun != (after != "") {
			t.Errorf("failed after %q: begun %v, %v", after, begun, err)
		}
		if c.Close(); (s.out.Len() > 0) != begun {
			t.Errorf("failed after %q: wrote %q", after, s.out.String())
		}
	}
}

// failing writes some text and fails.
type failing struct {
	text string
	err  error
}

func (f failing) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, f.text)
	if err == nil {
		err = f.err
	}
	return int64(n), err
}

// FuzzDots sends anything and reads it back.
func FuzzDots(f *testing.F) {
	f.Add([]byte(".a\r\n..\r\n\n."), uint8(3))
	f.Add([]byte("\r\n.\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		s := newScripted(nil, 1)
		c := NewConn(s, Config{})
		w := c.DotWriter()
		for rest := text; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			w.Write(rest[:n])
			rest = rest[n:]
		}
		w.Close()
		c.Flush()
		sent := append([]byte("\r\n"), s.out.Bytes()...)
		if end := bytes.Index(sent, []byte("\r\n.\r\n")); end+5 != len(sent) {
			t.Fatalf("%q sent as %q ends at %d", text, sent, end)
		}
		body := bytes.ReplaceAll(sent[1:len(sent)-3], []byte("\n."), []byte("\n"))[1:]
		if !bytes.HasPrefix(body, text) || len(body)-len(text) > 2 {
			t.Fatalf("%q came back as %q", text, body)
		}
	})
}

func TestWritingAllocatesNothing(t *testing.T) {
	s := newScripted(nil, 1)
	c := NewConn(s, Config{Write: time.Minute})
	text := bytes.Repeat([]byte("a line\r\n.dot\r\n"), 1000)
	r := bytes.NewReader(text)
	n := testing.AllocsPerRun(100, func() {
		s.out.Reset()
		c.WriteString("* 1 FETCH (FLAGS ())\r\n")
		c.Done(append(c.Out(), "* 2 FETCH (FLAGS ())\r\n"...))
		r.Reset(text)
		c.DotCopy(func() {}, r, true)
		c.Flush()
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDotCopy(b *testing.B) {
	line := strings.Repeat("x", 76) + "\r\n"
	text := strings.Repeat(strings.Repeat(line, 50)+".dot\r\n", 20)
	for _, stuff := range []bool{true, false} {
		name := "stuffed"
		if !stuff {
			name = "plain"
		}
		b.Run(name, func(b *testing.B) {
			c := NewConn(&sink{}, Config{})
			r := strings.NewReader(text)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r.Reset(text)
				c.DotCopy(func() {}, r, stuff)
			}
		})
	}
}

// sink is a connection that takes everything.
type sink struct{ scripted }

func (*sink) Write(p []byte) (int, error) { return len(p), nil }
