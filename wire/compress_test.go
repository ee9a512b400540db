package wire

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deflatePeer is the other end of a compressed connection, by the standard library.
type deflatePeer struct {
	*flate.Writer
	r *bufio.Reader
}

func newDeflatePeer(peer net.Conn) *deflatePeer {
	w, _ := flate.NewWriter(peer, 6)
	return &deflatePeer{w, bufio.NewReader(flate.NewReader(peer))}
}

// say sends a text in the background and flushes it.
func (p *deflatePeer) say(text string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := io.WriteString(p.Writer, text)
		done <- errors.Join(err, p.Writer.Flush())
	}()
	return done
}

// onSockets is onEach for what has buffers: the last octets of a flush need not be
// read before the next command.
func onSockets(t *testing.T, test func(t *testing.T, c *Conn, peer net.Conn)) {
	t.Helper()
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		if _, socket := c.below().(syscall.Conn); !socket && c.TLS() == nil {
			return
		}
		test(t, c, peer)
	})
}

// TestCompress talks over compressed connections of every kind.
func TestCompress(t *testing.T) {
	t.Parallel()
	onSockets(t, func(t *testing.T, c *Conn, peer net.Conn) {
		secure := c.TLS() != nil
		if err := c.Compress(); err != nil || !c.Compressed() || c.Compress() == nil {
			t.Fatalf("compress: %v", err)
		}
		if (c.TLS() != nil) != secure {
			t.Error("compression hides TLS")
		}
		p := newDeflatePeer(peer)
		r := rand.New(rand.NewPCG(1, 2))
		for range 15 {
			line := strings.Repeat("x", r.IntN(3000))
			body := strings.Repeat("yz", r.IntN(40_000))
			sent := p.say(line + "\r\n" + body)
			if got, err := c.ReadLine(64 << 10); err != nil || string(got) != line {
				t.Fatalf("a line of %d: got %d octets, %v", len(line), len(got), err)
			}
			var literal bytes.Buffer
			if _, err := c.Literal(int64(len(body))).WriteTo(&literal); err != nil || literal.String() != body {
				t.Fatalf("a literal of %d: got %d octets, %v", len(body), literal.Len(), err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			answered := make(chan error, 1)
			go func() {
				c.WriteString(body)
				c.WriteString("\r\n")
				answered <- c.Flush()
			}()
			if got, err := p.r.ReadString('\n'); err != nil || got != body+"\r\n" {
				t.Fatalf("an answer of %d: got %d octets, %v", len(body), len(got), err)
			}
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestCompressWoken: waiting goes on after a wake-up and after a timeout where it
// stopped, also in the middle of compressed data.
func TestCompressWoken(t *testing.T) {
	t.Parallel()
	onSockets(t, func(t *testing.T, c *Conn, peer net.Conn) {
		if err := c.Compress(); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, 6)
		for range 20 {
			io.WriteString(w, "a1 NOOP and more\r\n")
			w.Flush()
			sent := make(chan struct{})
			first, rest := bytes.Clone(b.Bytes()[:b.Len()/2]), bytes.Clone(b.Bytes()[b.Len()/2:])
			b.Reset()
			c.Wake()
			if err := c.WaitInput(t.Context(), nil); err != ErrWoken {
				t.Fatalf("woken: %v", err)
			}
			c.SetReadTimeout(time.Millisecond)
			if err := c.WaitInput(t.Context(), nil); err != ErrIdle {
				t.Fatalf("idle: %v", err)
			}
			c.SetReadTimeout(30 * time.Second)
			go func() {
				peer.Write(first)
				peer.Write(rest)
				close(sent)
			}()
			if line, err := c.ReadLine(100); err != nil || string(line) != "a1 NOOP and more" {
				t.Fatalf("line %q, %v", line, err)
			}
			<-sent
		}
	})
}

// TestCompressCorrupt: what is no compressed data ends the connection, as does the
// end of the stream.
func TestCompressCorrupt(t *testing.T) {
	t.Parallel()
	c, peer := tcpPair(t, timeouts())
	if err := c.Compress(); err != nil {
		t.Fatal(err)
	}
	send(peer, "a1 NOOP\r\na2 NOOP\r\n")
	if line, err := c.ReadLine(100); !errors.Is(err, errDeflate) {
		t.Errorf("plain text: %q, %v", line, err)
	}
	c, peer = tcpPair(t, timeouts())
	if err := c.Compress(); err != nil {
		t.Fatal(err)
	}
	send(peer, "\x03\x00")
	if line, err := c.ReadLine(100); err != io.EOF {
		t.Errorf("the end: %q, %v", line, err)
	}
}

// TestCompressBuffered: what came behind the command that begins compression is
// compressed already.
func TestCompressBuffered(t *testing.T) {
	t.Parallel()
	c, peer := tcpPair(t, timeouts())
	var b bytes.Buffer
	b.WriteString("a COMPRESS DEFLATE\r\n")
	w, _ := flate.NewWriter(&b, 6)
	io.WriteString(w, "b NOOP\r\n")
	w.Flush()
	send(peer, b.String())
	if line, err := c.ReadLine(100); err != nil || string(line) != "a COMPRESS DEFLATE" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := c.Compress(); err != nil {
		t.Fatal(err)
	}
	if line, err := c.ReadLine(100); err != nil || string(line) != "b NOOP" {
		t.Errorf("%q, %v", line, err)
	}
}

// TestCompressBomb: a thousandfold expansion costs no memory beyond the buffers, and
// a line stays as bounded as it is without.
func TestCompressBomb(t *testing.T) {
	t.Parallel()
	c, peer := tcpPair(t, timeouts())
	if err := c.Compress(); err != nil {
		t.Fatal(err)
	}
	p := newDeflatePeer(peer)
	go func() {
		zeros := make([]byte, 1<<20)
		for {
			if _, err := p.Writer.Write(zeros); err != nil {
				return
			}
		}
	}()
	if _, err := c.ReadLine(1000); !errors.Is(err, ErrEndless) {
		t.Errorf("an endless line: %v", err)
	}
	z := c.nc.(*deflated)
	if len(z.in.window) > maxWindow || len(z.raw) > inputSize || len(c.in) > inputSize {
		t.Errorf("a window of %d, %d octets of input, %d inflated", len(z.in.window), len(z.raw), len(c.in))
	}
}

// TestCompressTimeout: a peer that sends what gives no output is not waited for any
// longer than one that is silent.
func TestCompressTimeout(t *testing.T) {
	t.Parallel()
	config := timeouts()
	config.Read = 50 * time.Millisecond
	c, peer := tcpPair(t, config)
	if err := c.Compress(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for { // empty stored blocks
			select {
			case <-stop:
				return
			default:
			}
			if _, err := io.WriteString(peer, "\x00\x00\x00\xff\xff"); err != nil {
				return
			}
		}
	}()
	if line, err := c.ReadLine(100); err != ErrIdle && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q, %v", line, err)
	}
}
