package imap

import (
	"io"
	"strconv"

	"tripost/message"
	"tripost/store/engine"
)

// BINARY, RFC 3516: parts with their transfer encoding taken off.

// binarySection consumes what follows BINARY, BINARY.PEEK or BINARY.SIZE: part
// numbers in brackets and, but for the size, a range.
func (f *fetchParser) binarySection(name string) {
	s := section{kind: sectionBinary}
	f.expect('[')
	numbers, _ := f.partNumbers(&s)
	f.expect(']')
	answer := "BINARY"
	if name == "BINARY.SIZE" {
		s.kind, answer = sectionBinarySize, name
	}
	s.label = append(append([]byte(answer+"["), numbers...), ']')
	if s.kind == sectionBinary {
		f.partial(&s)
	}
	f.add(s, name == "BINARY")
}

// binary appends BINARY[...] or BINARY.SIZE[...]. What has an unknown encoding is
// told as if there were nothing, and the command ends NO [UNKNOWN-CTE].
func (w *lineWriter) binary(s *section, rec message.Record, body engine.Body) error {
	p, found := binaryPart(s, rec, body.Size())
	if _, known := message.DecodeTransfer(nil, p.Encoding); !known {
		w.unknown, found = true, false
	}
	switch {
	case !found && s.kind == sectionBinarySize:
		w.b = append(w.b, '0')
		return nil
	case !found:
		w.b = append(w.b, "NIL"...)
		return nil
	}
	decoded := func() io.Reader {
		r, _ := message.DecodeTransfer(io.NewSectionReader(body, p.Body, p.End-p.Body), p.Encoding)
		return r
	}
	var m measure
	if _, err := io.Copy(&m, decoded()); err != nil {
		return err
	}
	if s.kind == sectionBinarySize {
		w.b = strconv.AppendInt(w.b, m.octets, 10)
		return nil
	}
	from, to := s.clip(0, m.octets)
	if m.nul {
		w.b = append(w.b, '~')
	}
	w.literalHead(to - from)
	return w.copyOf(decoded(), from, to)
}

// binaryPart finds the part that is meant. A message, or a part that has parts, is
// told as it is.
func binaryPart(s *section, rec message.Record, size int64) (message.Part, bool) {
	if len(s.path) == 0 {
		return message.Part{End: size}, true
	}
	p, found := mimePart(rec, s.path)
	if p.Multipart || p.Type == "message/rfc822" || p.Type == "message/global" {
		p.Encoding = ""
	}
	return p, found
}

// measure counts octets, and notes a NUL among them.
type measure struct {
	octets int64
	nul    bool
}

func (m *measure) Write(p []byte) (int, error) {
	m.octets += int64(len(p))
	for _, c := range p {
		if c == 0 {
			m.nul = true
			break
		}
	}
	return len(p), nil
}

// copyOf writes the octets from..to of a text.
func (w *lineWriter) copyOf(r io.Reader, from, to int64) error {
	if _, err := io.CopyN(io.Discard, r, from); err != nil {
		return err
	}
	return w.stream(io.LimitReader(r, to-from))
}

// stream appends a text to the line, and gives it to the connection when there is
// much of it.
func (w *lineWriter) stream(r io.Reader) error {
	buf := make([]byte, pieceSize)
	for {
		n, err := r.Read(buf)
		w.b = append(w.b, buf[:n]...)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(w.b) >= pieceSize {
			w.s.c.Done(w.b)
			w.sent = true
			w.b = w.s.c.Out()
		}
	}
}
