package wire

import (
	"bytes"
	"io"
	"net"
	"time"
)

// scripted is a connection whose peer says everything at once, and whose
// network delivers it in pieces.
type scripted struct {
	net.Conn
	input []byte
	sizes uint32 // state of a small generator of piece sizes
	out   bytes.Buffer
}

func newScripted(input []byte, cut int) *scripted {
	return &scripted{input: input, sizes: uint32(cut)*2654435761 + 1}
}

// Read gives 1 to 16 octets, now and then up to 20,000.
func (s *scripted) Read(p []byte) (int, error) {
	if len(s.input) == 0 {
		return 0, io.EOF
	}
	s.sizes = s.sizes*1664525 + 1013904223
	n := int(s.sizes>>16)%16 + 1
	if s.sizes>>28 == 0 {
		n = int(s.sizes>>8) % 20_000
	}
	n = copy(p[:min(len(p), max(n, 1))], s.input)
	s.input = s.input[n:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *scripted) Close() error                     { return nil }
func (s *scripted) RemoteAddr() net.Addr             { return nil }
func (s *scripted) LocalAddr() net.Addr              { return nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }
