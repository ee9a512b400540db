package pop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"tripost/message"
	"tripost/store"
	"tripost/store/engine"
)

// showIndividual limits a maildrop to the messages of one of the people who
// share a unified account: those whose recipients field lists the name. They
// are numbered without gaps, and the totals are theirs.
func (s *session) showIndividual(ctx context.Context, d *maildrop, name string) error {
	if err := d.load(ctx); err != nil {
		return err
	}
	d.all, d.octets = false, 0
	for seq := 1; seq <= d.view.Len(); seq++ {
		m := d.view.At(seq)
		header, err := s.header(ctx, m.Body)
		if errors.Is(err, engine.ErrNoBlob) {
			continue // expunged while we looked
		}
		if err != nil {
			return fmt.Errorf("read the header of message %d: %w", m.UID, err)
		}
		if listsIndividual(header, s.Individual, name) {
			d.shown = append(d.shown, uint32(seq))
			d.octets += m.SentSize()
		}
	}
	return nil
}

// header reads the header of a message, as much of it as the limit allows.
func (s *session) header(ctx context.Context, b store.Body) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	body, err := s.Store.OpenBody(ctx, b)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	header, _, err := readHeader(io.NewSectionReader(body, 0, body.Size()), s.Limits.Header)
	if errors.Is(err, errHeaderTooLong) {
		err = nil // what was read of it counts
	}
	return header, err
}

// listsIndividual reports whether some field of the given name in the header
// lists the individual: alone or with a domain, in any case, among others.
func listsIndividual(header []byte, field, name string) bool {
	for _, f := range message.Fields(header) {
		if f.Is(field) && listHas(f.Value(), name) {
			return true
		}
	}
	return false
}

func listHas(list, name string) bool {
	for item := range strings.SplitSeq(list, ",") {
		item = strings.Trim(item, " \t<>")
		if strings.EqualFold(item, name) {
			return true
		}
		if at := strings.LastIndexByte(item, '@'); at >= 0 && strings.EqualFold(item[:at], name) {
			return true
		}
	}
	return false
}

var errHeaderTooLong = errors.New("the header is too long")

// readHeader reads a header with the empty line after it, at most limit octets,
// and returns it with the octets of the body that were read too. A header that
// is longer gives errHeaderTooLong and what was read of it. A message without an
// empty line is all header.
func readHeader(r io.Reader, limit int) (header, rest []byte, err error) {
	b := make([]byte, 0, 4<<10)
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		from := max(0, len(b)-len("\r\n\r"))
		b = b[:len(b)+n]
		if end := headerEnd(b, from); end >= 0 {
			if end > limit {
				return b[:limit], nil, errHeaderTooLong
			}
			return b[:end:end], b[end:], nil
		}
		switch {
		case len(b) > limit:
			return b[:limit], nil, errHeaderTooLong
		case err == io.EOF:
			return b, nil, nil
		case err != nil:
			return b, nil, err
		}
	}
}

// headerEnd returns the place after the first empty line that ends at or after
// from, -1 when there is none.
func headerEnd(b []byte, from int) int {
	if from == 0 && bytes.HasPrefix(b, []byte("\r\n")) {
		return len("\r\n")
	}
	if from == 0 && bytes.HasPrefix(b, []byte("\n")) {
		return len("\n")
	}
	end := -1
	for _, empty := range []string{"\r\n\r\n", "\n\n", "\n\r\n"} {
		if i := bytes.Index(b[from:], []byte(empty)); i >= 0 && (end < 0 || from+i+len(empty) < end) {
			end = from + i + len(empty)
		}
	}
	return end
}
