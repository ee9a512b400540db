package imap

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"

	"tripost/message"
	"tripost/store/engine"
	"tripost/syslog"
)

// lineWriter writes one FETCH line. As long as nothing of the line has left the
// buffer it can still be taken back.
type lineWriter struct {
	*fetcher
	b     []byte // borrowed from the connection
	start int    // where the line begins in b
	sent  bool   // the beginning of the line has been given to the connection
	items bool   // the line has an item already
}

// Write appends to the line, so that a body can be written into it.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

func (w *lineWriter) end() { w.s.c.Done(append(w.b, ")\r\n"...)) }

// abandon gives up a line whose section cannot be written. Within a literal there
// is no other way out than to end the session.
func (w *lineWriter) abandon(seq int, err error) error {
	w.s.log.Logf(syslog.Failure, "reading message %d of %q: %v", w.s.view.At(seq).UID, w.s.view.Mailbox().Name, err)
	if w.sent {
		w.s.c.Done(w.b)
		return broken(err)
	}
	w.s.c.Done(w.b[:w.start])
	w.damaged = true
	return nil
}

// section appends one section: its label and the octets, or NIL when the message
// has no such part.
func (w *lineWriter) section(s *section, rec message.Record, body engine.Body) error {
	if w.items {
		w.b = append(w.b, ' ')
	}
	w.items = true
	w.b = append(append(w.b, s.label...), ' ')
	switch s.kind {
	case sectionBinary, sectionBinarySize:
		return w.binary(s, rec, body)
	case sectionPreview:
		return w.preview(rec, body)
	}
	from, to, found := s.locate(rec, body.Size())
	if !found {
		w.b = append(w.b, "NIL"...)
		return nil
	}
	if s.text == sectionFields || s.text == sectionFieldsNot {
		return w.fields(s, body, from, to)
	}
	from, to = s.clip(from, to)
	w.literalHead(to - from)
	if from == 0 && to == body.Size() {
		return w.whole(body)
	}
	return w.piece(body, from, to)
}

func (w *lineWriter) literalHead(n int64) {
	w.b = append(w.b, '{')
	w.b = strconv.AppendInt(w.b, n, 10)
	w.b = append(w.b, "}\r\n"...)
}

// bufferedBody is the largest body that is put together with its line before any
// of it is sent, so that a damaged one is noticed in time.
const bufferedBody = 64 << 10

// whole writes all of a body, whose checksum is verified on the way.
func (w *lineWriter) whole(body engine.Body) error {
	if body.Size() <= bufferedBody {
		_, err := body.WriteTo(w)
		return err
	}
	w.s.c.Done(w.b)
	w.sent = true
	n, err := body.WriteTo(w.s.c)
	w.b = w.s.c.Out()
	if errors.Is(err, engine.ErrDamaged) && n == body.Size() {
		w.damaged = true // the literal is complete, and its reader is told
		return nil
	}
	return err
}

// pieceSize is how much of a body is read at a time.
const pieceSize = 32 << 10

// piece writes the octets from..to of a body.
func (w *lineWriter) piece(body engine.Body, from, to int64) error {
	for from < to {
		n := int(min(to-from, pieceSize))
		w.b = slices.Grow(w.b, n)
		got, err := body.ReadAt(w.b[len(w.b):len(w.b)+n], from)
		if got < n {
			return errors.Join(err, io.ErrUnexpectedEOF)
		}
		w.b = w.b[:len(w.b)+n]
		from += int64(n)
		if from < to && len(w.b) >= pieceSize {
			w.s.c.Done(w.b)
			w.sent = true
			w.b = w.s.c.Out()
		}
	}
	return nil
}

// fields writes the header fields that the section names.
func (w *lineWriter) fields(s *section, body engine.Body, from, to int64) error {
	n := int(min(to-from, int64(w.s.srv.cfg.Limits.Header)))
	w.header = slices.Grow(w.header[:0], n)[:n]
	if got, err := body.ReadAt(w.header, from); got < n {
		return errors.Join(err, io.ErrUnexpectedEOF)
	}
	kept := pickFields(w.header, s.fields, s.text == sectionFieldsNot)
	lo, hi := s.clip(0, int64(len(kept)))
	w.literalHead(hi - lo)
	w.b = append(w.b, kept[lo:hi]...)
	return nil
}

// clip narrows a range to the section's <origin.size>.
func (s *section) clip(from, to int64) (int64, int64) {
	if !s.partial {
		return from, to
	}
	from = min(from+int64(s.offset), to)
	return from, min(from+int64(s.length), to)
}

// pickFields keeps of a header block the fields that are named, or that are not,
// in place, and ends them with an empty line.
func pickFields(header []byte, names [][]byte, not bool) []byte {
	kept := header[:0]
	for rest := header; len(rest) > 0; {
		n := fieldEnd(rest)
		field := rest[:n]
		rest = rest[n:]
		if field[0] == '\n' || field[0] == '\r' && (len(field) == 1 || field[1] == '\n') {
			break
		}
		if named(field, names) != not {
			kept = append(kept, field...)
		}
	}
	if n := len(kept); n > 0 && kept[n-1] != '\n' {
		kept = append(kept, "\r\n"...)
	}
	return append(kept, "\r\n"...)
}

// fieldEnd returns where the first field of a header ends: before the first line
// that does not begin with white space.
func fieldEnd(header []byte) int {
	for end := 0; ; {
		i := bytes.IndexByte(header[end:], '\n')
		if i < 0 {
			return len(header)
		}
		end += i + 1
		if end == i+1 && i <= 1 && (i == 0 || header[0] == '\r') {
			return end // the empty line
		}
		if end == len(header) || header[end] != ' ' && header[end] != '\t' {
			return end
		}
	}
}

// named says whether a field has one of the names.
func named(field []byte, names [][]byte) bool {
	colon := bytes.IndexByte(field, ':')
	if colon < 0 {
		return false
	}
	name := bytes.TrimRight(field[:colon], " \t")
	return slices.ContainsFunc(names, func(n []byte) bool { return bytes.EqualFold(n, name) })
}

// locate finds the octets of the message that a section means; those of a header
// are what its fields are picked from. r is nil only for the whole message.
// RFC 3501 section 6.4.5.
func (s *section) locate(r message.Record, size int64) (from, to int64, found bool) {
	if len(s.path) == 0 {
		return s.ofMessage(r, size)
	}
	var p message.Part
	switch s.text {
	case sectionAll, sectionMIME:
		p, found = mimePart(r, s.path)
	default: // of the message inside a message/rfc822 part
		p, found = r.Part(s.path, true)
	}
	if !found {
		return 0, 0, false
	}
	if s.text == sectionAll || s.text == sectionBodyText {
		return p.Body, p.End, true
	}
	return p.Header, p.Body, true
}

// ofMessage finds the octets of a section of the message itself.
func (s *section) ofMessage(r message.Record, size int64) (from, to int64, found bool) {
	switch s.text {
	case sectionAll:
		return 0, size, true
	case sectionBodyText:
		return r.HeaderSize(), size, true
	}
	return 0, r.HeaderSize(), true
}

// mimePart finds a part by its number. The text of a message without parts has
// the number 1.
func mimePart(r message.Record, path []uint16) (message.Part, bool) {
	if p, found := r.Part(path, false); found {
		return p, true
	}
	last := len(path) - 1
	if path[last] != 1 {
		return message.Part{}, false
	}
	p, found := r.Part(path[:last], last > 0)
	return p, found && !p.Multipart
}
