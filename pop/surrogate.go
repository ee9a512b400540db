package pop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"tripost/message"
	"tripost/store"
	"tripost/store/engine"
)

// surrogate is how a message differs from the one in ASCII that is sent in its
// place to a client that has not asked for UTF-8: the headers, of the message and
// of its parts, that downgrade has changed. Bodies stay as they are.
type surrogate []replacement

// replacement is a header that takes the place of the octets from one offset to
// another.
type replacement struct {
	from, to int64
	text     []byte
}

// convertedHeaders bounds how many times the limit of one header is looked at in
// all headers of a message. Further ones are sent as they are.
const convertedHeaders = 4

// surrogateOf finds out what is to be replaced in a message. It needs the
// headers alone, whose places are in the stored summary.
func (s *session) surrogateOf(ctx context.Context, b store.Body, text io.ReaderAt) (surrogate, error) {
	var parts []message.Part
	_, err := s.Store.Records(ctx, []store.Body{b}, func(_ int, r message.Record) bool {
		if r.Valid() {
			parts = r.Parts()
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("find the headers: %w", err)
	}
	var out surrogate
	left := int64(convertedHeaders * s.Limits.Header)
	end := int64(0)
	for _, p := range parts {
		n := p.Body - p.Header
		if n > int64(s.Limits.Header) || n > left || p.Header < end {
			continue
		}
		left -= n
		end = p.Body
		header := make([]byte, n)
		if _, err := text.ReadAt(header, p.Header); err != nil && err != io.EOF {
			return nil, fmt.Errorf("read a header: %w", err)
		}
		if converted := downgrade(header); !bytes.Equal(converted, header) {
			out = append(out, replacement{p.Header, p.Body, converted})
		}
	}
	return out, nil
}

// growth is how many octets longer the message gets.
func (c surrogate) growth() int64 {
	var n int64
	for _, r := range c {
		n += int64(len(r.text)) - (r.to - r.from)
	}
	return n
}

// reader reads the message of so many octets with its replacements.
func (c surrogate) reader(text io.ReaderAt, size int64) io.Reader {
	pieces := make([]io.Reader, 0, 2*len(c)+1)
	at := int64(0)
	for _, r := range c {
		pieces = append(pieces, io.NewSectionReader(text, at, r.from-at), bytes.NewReader(r.text))
		at = r.to
	}
	return io.MultiReader(append(pieces, io.NewSectionReader(text, at, size-at))...)
}

// growthsMost bounds how many messages' growth the server remembers.
const growthsMost = 200_000

// convertSizes makes the maildrop tell the sizes of what will be sent to a
// client that has not asked for UTF-8 (RFC 6856 section 2). Only messages that
// the store knows to be internationalized are looked at, and each once while the
// server remembers it: in most mailboxes there is none, and nothing to do.
func (s *session) convertSizes(ctx context.Context, d *maildrop) error {
	if s.unicode || d.view.State().UTF8Headers == 0 {
		return nil
	}
	if err := d.load(ctx); err != nil {
		return err
	}
	for n := 1; n <= d.size(); n++ {
		m := d.message(n)
		if !m.UTF8Header {
			continue
		}
		growth, err := s.growth(ctx, m.Body)
		if errors.Is(err, engine.ErrNoBlob) || errors.Is(err, engine.ErrDamaged) {
			continue // expunged while we looked, or not to be had: it is never sent
		}
		if err != nil {
			return fmt.Errorf("convert message %d: %w", m.UID, err)
		}
		if growth != nil {
			d.convert(n, *growth)
		}
	}
	return nil
}

// growth returns by how much a message grows, nil when it is sent as it is.
func (s *session) growth(ctx context.Context, b store.Body) (*int64, error) {
	if known, ok := s.growths.get(b); ok {
		return known, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	body, err := s.Store.OpenBody(ctx, b)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	c, err := s.surrogateOf(ctx, b, body)
	if err != nil {
		return nil, err
	}
	var growth *int64
	if len(c) > 0 {
		n := c.growth()
		growth = &n
	}
	s.growths.put(b, growth)
	return growth, nil
}
