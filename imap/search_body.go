package imap

import (
	"context"
	"errors"
	"io"
	"slices"

	"tripost/message"
	"tripost/store"
	"tripost/store/engine"
)

// byOctets decides about a message by reading it: its header, and if that does
// not do, its text parts, decoded, until all is found or the message has ended.
func (e *searcher) byOctets(ctx context.Context, i int) error {
	if err := e.alive(ctx); err != nil {
		return err
	}
	c := &e.window[i]
	body, err := e.s.view.OpenBody(ctx, c.seq)
	switch {
	case errors.Is(err, store.ErrNoMessage), errors.Is(err, engine.ErrNoBlob):
		e.verdicts[i] = fails
		return nil
	case err != nil:
		return err
	}
	defer body.Close()
	clear(e.finder.found)
	if err := e.readHeader(c, body); err != nil {
		return err
	}
	if e.wanted(keyBody) || e.wanted(keyText) {
		if err := e.readParts(ctx, c, body); err != nil {
			return err
		}
	}
	c.found = e.finder.found
	e.verdicts[i] = e.eval(e.root, c)
	c.found = nil
	return nil
}

// wanted says whether a needle of a kind is still to be found.
func (e *searcher) wanted(kind keyKind) bool {
	for i, k := range e.needles {
		if k.kind == kind && !e.finder.found[i] {
			return true
		}
	}
	return false
}

// readHeader looks through the message's header.
func (e *searcher) readHeader(c *candidate, body engine.Body) error {
	if !e.wanted(keyField) && !e.wanted(keyText) {
		return nil
	}
	header, err := e.readRange(body, 0, c.record.HeaderSize())
	if err != nil {
		return err
	}
	for _, f := range message.Fields(header) {
		e.finder.begin(func(i int) bool { return e.needles[i].kind == keyField && f.Is(e.needles[i].field) })
		if e.finder.left > 0 {
			e.finder.WriteString(message.DecodeHeader(f.Value()))
		}
	}
	e.finder.begin(func(i int) bool { return e.needles[i].kind == keyText })
	e.findInHeader(header)
	return nil
}

// findInHeader looks through a header block, decoded, as one text.
func (e *searcher) findInHeader(header []byte) {
	if e.finder.left == 0 {
		return
	}
	for _, f := range message.Fields(header) {
		e.finder.Write(f.Name)
		e.finder.WriteString(": ")
		e.finder.WriteString(message.DecodeHeader(f.Value()))
		e.finder.WriteString("\r\n")
	}
}

// readRange reads a header block, as far as the limit allows. It is valid until the
// next call.
func (e *searcher) readRange(body engine.Body, from, to int64) ([]byte, error) {
	size := int(min(to-from, int64(e.s.srv.cfg.Limits.Header)))
	e.header = slices.Grow(e.header[:0], size)[:size]
	n, err := body.ReadAt(e.header, from)
	if n < size {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return e.header, nil
}

// readParts looks through the headers of the parts and the text of those that are
// text.
func (e *searcher) readParts(ctx context.Context, c *candidate, body engine.Body) error {
	inText := func(i int) bool { return e.needles[i].kind >= keyBody }
	parts := c.record.Parts()
	for i, p := range parts {
		if i > 0 && p.Body > p.Header {
			header, err := e.readRange(body, p.Header, p.Body)
			if err != nil {
				return err
			}
			e.finder.begin(inText)
			e.findInHeader(header)
		}
		if !isText(p, parts) {
			continue
		}
		e.finder.begin(inText)
		if e.finder.left == 0 {
			return nil
		}
		e.raw.Reset(io.NewSectionReader(body, p.Body, p.End-p.Body))
		if err := e.findIn(ctx, message.DecodeText(e.raw, p.Encoding, p.Charset)); err != nil {
			return err
		}
	}
	return nil
}

// findIn looks through a decoded text. What cannot be decoded ends it.
func (e *searcher) findIn(ctx context.Context, text io.Reader) error {
	for e.finder.left > 0 {
		if err := e.alive(ctx); err != nil {
			return err
		}
		n, err := text.Read(e.text)
		e.finder.Write(e.text[:n])
		if err != nil {
			if errors.Is(err, engine.ErrDamaged) {
				return err
			}
			return nil
		}
	}
	return nil
}

// isText says whether a part is a leaf with text in it. A message whose only
// content is its body is one, unless its MIME part is listed too.
func isText(p message.Part, parts []message.Part) bool {
	if p.Multipart || len(p.Type) < 5 || p.Type[:5] != "text/" {
		return false
	}
	if !p.Message {
		return true
	}
	return !slices.ContainsFunc(parts, func(q message.Part) bool {
		return !q.Message && q.Body == p.Body && q.End == p.End && !q.Multipart && len(q.Path) == len(p.Path)+1
	})
}
