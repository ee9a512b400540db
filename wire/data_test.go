package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
)

// dataCases are mail data as sent, up to and with its end; what is wrong with
// it; and what it means if nothing is.
var dataCases = []struct {
	name, sent string
	want       string
	err        error
}{
	{"empty", ".\r\n", "", nil},
	{"one line", "hello\r\n.\r\n", "hello\r\n", nil},
	{"stuffed dot", "..\r\n.\r\n", ".\r\n", nil},
	{"stuffed line", "a\r\n..b\r\n.\r\n", "a\r\n.b\r\n", nil},
	{"first line begins with a dot", ".x\r\n.\r\n", "x\r\n", nil},
	{"dots within", "a.b\r\n. \r\n.\r\n", "a.b\r\n \r\n", nil},
	{"blank lines", "\r\n\r\n\r\n.\r\n", "\r\n\r\n\r\n", nil},
	{"LF . LF", "a\n.\nb\r\n.\r\n", "", ErrBareLF},
	{"LF . CRLF", "a\n.\r\nb\r\n.\r\n", "", ErrBareLF},
	{"CRLF . LF", "a\r\n.\nb\r\n.\r\n", "", ErrBareLF},
	{"CR . CR", "a\r.\rb\r\n.\r\n", "", ErrBareCR},
	{"CR . CRLF", "a\r.\r\nb\r\n.\r\n", "", ErrBareCR},
	{"CRLF . CR", "a\r\n.\rb\r\n.\r\n", "", ErrBareCR},
	{"CR . LF", "a\r.\nb\r\n.\r\n", "", ErrBareCR},
	{"CRLF . CR CRLF", "a\r\n.\r\r\nb\r\n.\r\n", "", ErrBareCR},
	{"CR CRLF . CRLF", "a\r\r\n.\r\n", "", ErrBareCR},
	{"NUL before the dot", "a\r\n\x00.\r\nb\r\n.\r\n", "", ErrNUL},
	{"NUL after the dot", "a\r\n.\x00\r\nb\r\n.\r\n", "", ErrNUL},
	{"NUL between CR and LF", "a\r\x00\n.\r\nb\r\n.\r\n", "", ErrBareCR},
	{"dot LF at the begin", ".\na\r\n.\r\n", "", ErrBareLF},
	{"bare LF at the begin", "\n.\r\na\r\n.\r\n", "", ErrBareLF},
	{"LF LF", "a\r\n\n.\r\nb\r\n.\r\n", "", ErrBareLF},
}

func TestData(t *testing.T) {
	t.Parallel()
	for _, tc := range dataCases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, cut := range []int{1, 2, 3, 1 << 20} {
				testDataCut(t, tc.sent, tc.want, tc.err, cut)
			}
		})
	}
}

// testDataCut sends data in pieces of cut octets, followed by a command.
func testDataCut(t *testing.T, sent, want string, wantErr error, cut int) {
	t.Helper()
	c := NewConn(&cutConn{scripted{input: []byte(sent + "NOOP\r\n")}, cut}, Config{})
	var got bytes.Buffer
	n, err := c.Data(1000).WriteTo(&got)
	if err != wantErr {
		t.Errorf("cut %d: error %v, want %v", cut, err, wantErr)
	}
	if err == nil && (got.String() != want || n != int64(len(want))) {
		t.Errorf("cut %d: got %q, %d octets", cut, got.String(), n)
	}
	if line, err := c.ReadLine(512); err != nil || string(line) != "NOOP" {
		t.Errorf("cut %d: next command %q, %v", cut, line, err)
	}
}

// cutConn delivers pieces of one size.
type cutConn struct {
	scripted
	size int
}

func (c *cutConn) Read(p []byte) (int, error) {
	if len(c.input) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.input)
	c.input = c.input[n:]
	return n, nil
}

func TestDataTooLong(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		for n, want := range map[int]error{98: nil, 99: ErrDataTooLong, 50_000: ErrDataTooLong} {
			send(peer, "."+strings.Repeat("x", n)+"\r\n.\r\nNOOP\r\n")
			got, err := io.ReadAll(c.Data(100))
			if err != want || err == nil && len(got) != n+2 {
				t.Errorf("%d octets and CRLF: %d, %v", n, len(got), err)
			}
			if line, err := c.ReadLine(512); err != nil || string(line) != "NOOP" {
				t.Fatalf("next command %q, %v", line, err)
			}
		}
	})
}

func TestDataCutShort(t *testing.T) {
	t.Parallel()
	c := NewConn(newScripted([]byte("hello\r\n."), 1), Config{})
	if _, err := io.ReadAll(c.Data(1000)); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v", err)
	}
	if _, err := c.ReadLine(512); err != io.ErrUnexpectedEOF {
		t.Errorf("then %v", err)
	}
}

func TestDataReadInSmallPieces(t *testing.T) {
	t.Parallel()
	c := NewConn(newScripted([]byte("a\r\n..b\r\n.\r\n"), 1), Config{})
	got, err := io.ReadAll(iotest.OneByteReader(c.Data(1000)))
	if err != nil || string(got) != "a\r\n.b\r\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A store that fails must not leave data on the wire to be read as commands.
func TestDataLeftUnread(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		send(peer, strings.Repeat("RSET\r\n", 20_000)+".\r\nNOOP\r\n")
		full := errors.New("disk full")
		d := c.Data(1 << 20)
		if _, err := d.WriteTo(writerFunc(func([]byte) (int, error) { return 0, full })); err != full {
			t.Fatalf("got %v", err)
		}
		if line, err := c.ReadLine(512); err != nil || string(line) != "NOOP" {
			t.Errorf("next command %.20q, %v", line, err)
		}
		if err := d.Drain(); err != nil {
			t.Errorf("drain at the end: %v", err)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestLiteral(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		body := strings.Repeat("\r\n.\r\n\x00", 20_000)
		send(peer, body+" rest\r\n", "123456 NOOP\r\n")
		got, err := io.ReadAll(c.Literal(int64(len(body))))
		if err != nil || string(got) != body {
			t.Errorf("%d octets, %v", len(got), err)
		}
		if line, err := c.ReadLine(512); err != nil || string(line) != " rest" {
			t.Errorf("rest of the line %.20q, %v", line, err)
		}
		lit := c.Literal(6)
		if n, err := io.ReadFull(lit, make([]byte, 2)); n != 2 || err != nil || lit.Left() != 4 {
			t.Errorf("read %d, %v, %d left", n, err, lit.Left())
		}
		if line, err := c.ReadLine(512); err != nil || string(line) != " NOOP" {
			t.Errorf("after a literal left unread: %.20q, %v", line, err)
		}
		if n, err := c.Literal(0).Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("empty literal: %d, %v", n, err)
		}
	})
}

func TestLiteralCutShort(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, inputSize} {
		c := NewConn(newScripted([]byte("12345"), 1), Config{})
		if _, err := io.ReadFull(c.Literal(int64(size)), make([]byte, size)); err != io.ErrUnexpectedEOF {
			t.Errorf("%d octets: %v", size, err)
		}
	}
}

// FuzzData compares with a plain implementation, however the network cuts the
// input up.
func FuzzData(f *testing.F) {
	for i, tc := range dataCases {
		f.Add([]byte(tc.sent), uint16(i), uint16(1000))
	}
	f.Add([]byte("12345\r\n.\r\n"), uint16(0), uint16(6))
	f.Fuzz(func(t *testing.T, input []byte, cut, max uint16) {
		c := NewConn(newScripted(input, int(cut)), Config{})
		want, rest, wantErr := plainData(input, int(max))
		var got bytes.Buffer
		_, err := c.Data(int64(max)).WriteTo(&got)
		if err != wantErr || err == nil && !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("got %q, %v; want %q, %v", got.Bytes(), err, want, wantErr)
		}
		if err != io.ErrUnexpectedEOF {
			if left, _ := io.ReadAll(c.Literal(1 << 30)); !bytes.Equal(left, rest) {
				t.Fatalf("left on the wire %q, want %q", left, rest)
			}
		}
	})
}

// plainData finds the end, then looks at what stands before it, each in the
// simplest way.
func plainData(input []byte, max int) (data, rest []byte, err error) {
	framed := append([]byte("\r\n"), input...)
	i := bytes.Index(framed, []byte("\r\n.\r\n"))
	if i < 0 {
		return nil, nil, io.ErrUnexpectedEOF
	}
	framed, rest = framed[:i+2], framed[i+5:]
	data = bytes.ReplaceAll(framed, []byte("\r\n."), []byte("\r\n"))[2:]
	plain := bytes.ReplaceAll(data, []byte("\r\n"), nil)
	switch {
	case bareIn(framed, '\r', '\n', 1):
		return nil, rest, ErrBareCR
	case bareIn(framed, '\n', '\r', -1):
		return nil, rest, ErrBareLF
	case bytes.IndexByte(plain, 0) >= 0:
		return nil, rest, ErrNUL
	case len(data) > max:
		return nil, rest, ErrDataTooLong
	}
	return data, rest, nil
}

// bareIn reports whether an octet lacks its neighbour at the given distance.
func bareIn(p []byte, octet, neighbour byte, distance int) bool {
	for i, b := range p {
		j := i + distance
		if b == octet && (j < 0 || j >= len(p) || p[j] != neighbour) {
			return true
		}
	}
	return false
}

// endless is a connection whose peer says the same again and again.
type endless struct {
	scripted
	text []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

func BenchmarkData(b *testing.B) {
	line := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 2)[:76]
	text := []byte(strings.Repeat(line+"\r\n", 10_000) + ".\r\n")
	c := NewConn(&endless{text: text}, Config{})
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Data(1 << 30).WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadLine(b *testing.B) {
	c := NewConn(&endless{text: []byte(strings.Repeat("a001 UID FETCH 1:* (FLAGS)\r\n", 500))}, Config{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.ReadLine(512); err != nil {
			b.Fatal(err)
		}
	}
}
