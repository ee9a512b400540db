package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

func TestReadLine(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		long := strings.Repeat("x", 40_000)
		send(peer, "NOOP\r\nbare\nnul \x00 and \r in\r\n\r\n\n", "in ", "two", "\r", "\n", long+"\r\n", "last\r\n")
		for i, want := range []string{"NOOP", "bare", "nul \x00 and \r in", "", "", "in two", long, "last"} {
			got, err := c.ReadLine(64 << 10)
			if err != nil || string(got) != want {
				t.Fatalf("got %.40q, %v; want %.40q", got, err, want)
			}
			if bare := i == 1 || i == 4; c.BareLF() != bare {
				t.Errorf("%.40q: ended with an LF alone: %v", want, c.BareLF())
			}
		}
		go peer.Close()
		if _, err := c.ReadLine(512); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestReadLineTooLong(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		for _, n := range []int{511, 600, 16 << 10, 100_000} {
			send(peer, strings.Repeat("x", n)+"\r\nNOOP\r\n")
			if line, err := c.ReadLine(512); err != ErrLineTooLong || line != nil {
				t.Fatalf("%d octets: %.20q, %v", n, line, err)
			}
			if line, err := c.ReadLine(512); err != nil || string(line) != "NOOP" {
				t.Fatalf("after %d octets: %.20q, %v", n, line, err)
			}
		}
		send(peer, strings.Repeat("x", 510)+"\r\n")
		if line, err := c.ReadLine(512); err != nil || len(line) != 510 {
			t.Errorf("a line of 512 octets: %d, %v", len(line), err)
		}
	})
}

func TestReadLineEndless(t *testing.T) {
	t.Parallel()
	c, peer := tcpPair(t, timeouts())
	send(peer, strings.Repeat("x", maxDrain+inputSize+512))
	if _, err := c.ReadLine(512); err != ErrEndless {
		t.Errorf("got %v", err)
	}
}

func TestReadLineCutShort(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		go func() {
			io.WriteString(peer, "QUI")
			peer.Close()
		}()
		if _, err := c.ReadLine(512); err != io.ErrUnexpectedEOF {
			t.Errorf("got %v", err)
		}
	})
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	c, peer := tcpPair(t, timeouts())
	send(peer, "A\r\nB\r\nC\r\n")
	if _, err := c.ReadLine(512); err != nil {
		t.Fatal(err)
	}
	if n := c.Buffered(); n != 6 {
		t.Errorf("%d octets buffered", n)
	}
	if p, err := c.Peek(1); err != nil || string(p) != "B" {
		t.Errorf("peek %q, %v", p, err)
	}
	c.WriteString("+OK\r\n")
	c.ReadLine(512)
	c.ReadLine(512)
	if len(c.out) == 0 {
		t.Error("flushed although input was buffered")
	}
}

// FuzzLines compares with a plain implementation, however the network cuts the
// input up.
func FuzzLines(f *testing.F) {
	f.Add([]byte("A\r\nB\nC\r\r\n\r\n"), uint16(1), uint8(8))
	f.Add([]byte("too long a line\r\nNOOP\r\n"), uint16(3), uint8(10))
	f.Add(bytes.Repeat([]byte("x"), 300), uint16(7), uint8(255))
	f.Add([]byte("exactly\r\nexactly8\r\n"), uint16(100), uint8(9))
	f.Fuzz(func(t *testing.T, input []byte, cut uint16, max uint8) {
		most := int(max) + 2
		c := NewConn(newScripted(input, int(cut)), Config{})
		for _, want := range plainLines(input, most) {
			got, err := c.ReadLine(most)
			if !errors.Is(err, want.err) || !bytes.Equal(got, want.line) {
				t.Fatalf("got %q, %v; want %q, %v", got, err, want.line, want.err)
			}
		}
	})
}

type plainLine struct {
	line []byte
	err  error
}

// plainLines splits input the simple way.
func plainLines(input []byte, max int) []plainLine {
	var lines []plainLine
	for {
		line, rest, ok := bytes.Cut(input, []byte("\n"))
		switch {
		case !ok && len(line) > 0:
			return append(lines, plainLine{err: io.ErrUnexpectedEOF})
		case !ok:
			return append(lines, plainLine{err: io.EOF})
		case len(line)+1 > max:
			lines = append(lines, plainLine{err: ErrLineTooLong})
		default:
			lines = append(lines, plainLine{line: bytes.TrimSuffix(line, []byte("\r"))})
		}
		input = rest
	}
}
