package search

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"tripost/message"
	"tripost/store"
	"tripost/store/engine"
)

// job is a message whose octets are to be looked through.
type job struct {
	*candidate
	body    engine.Body
	damaged error // why it cannot be looked through
}

// A batch of messages is opened by the search and looked through by the scanners.
const (
	batchMessages = 64
	batchOctets   = 16 << 20
)

// byOctets decides about the messages that are open though their records have been
// read, by reading them: the header, and if that does not do, the text parts,
// decoded, until all is found or the message has ended.
func (e *Search) byOctets(ctx context.Context) error {
	for i := 0; i < len(e.window); {
		if c := &e.window[i]; c.verdict != unknown || c.record == nil {
			i++
			continue
		}
		if err := e.alive(ctx); err != nil {
			return err
		}
		next, err := e.openBatch(ctx, i)
		if err == nil {
			err = e.scanBatch(ctx)
		}
		for _, j := range e.jobs {
			j.body.Close()
		}
		if err != nil {
			return err
		}
		i = next
	}
	return nil
}

// openBatch opens the messages to be read, from one in the window on, and says
// where the next batch begins.
func (e *Search) openBatch(ctx context.Context, i int) (next int, err error) {
	e.jobs = e.jobs[:0]
	seqs := make([]int, 0, batchMessages)
	var octets int64
	for ; i < len(e.window) && len(e.jobs) < batchMessages && octets < batchOctets; i++ {
		if c := &e.window[i]; c.verdict == unknown && c.record != nil {
			e.jobs, seqs = append(e.jobs, job{candidate: c}), append(seqs, c.seq)
			octets += e.reads(c)
		}
	}
	if e.octets += octets; e.o.Octets > 0 && e.octets > e.o.Octets {
		e.jobs = e.jobs[:0]
		return 0, ErrTooMuch
	}
	var failed error
	err = e.box.OpenBodies(ctx, seqs, func(j int, b engine.Body, err error) {
		e.jobs[j].body = b
		switch {
		case errors.Is(err, store.ErrNoMessage), errors.Is(err, engine.ErrNoBlob):
			e.jobs[j].verdict = fails
		case isDamage(err):
			e.jobs[j].verdict = fails
			e.damaged(e.jobs[j].message, err)
		case err != nil:
			failed = err
		}
	})
	e.jobs = slices.DeleteFunc(e.jobs, func(j job) bool { return j.body == nil })
	return i, cmp.Or(err, failed)
}

// reads is how many octets of a message may be read.
func (e *Search) reads(c *candidate) int64 {
	if e.texts {
		return c.message.Size
	}
	return min(c.record.HeaderSize(), int64(e.o.Header))
}

// scanBatch looks through the batch and decides.
func (e *Search) scanBatch(ctx context.Context) error {
	n, fields := len(e.keys), len(e.fields)
	e.found = slices.Grow(e.found[:0], n*len(e.jobs))[:n*len(e.jobs)]
	clear(e.found)
	e.values = slices.Grow(e.values, fields*batchMessages)[:fields*batchMessages]
	if e.fuzzy {
		e.rated = slices.Grow(e.rated[:0], len(e.found))[:len(e.found)]
		clear(e.rated)
	}
	needles := make([][]byte, n)
	for i, k := range e.keys {
		needles[i] = k.folded
	}
	err := e.o.Pool.each(ctx, len(e.jobs), func(s *scanner, i int) error {
		s.finder.use(e.o.Collation, needles)
		s.finder.found = e.found[n*i : n*(i+1)]
		s.values = e.values[fields*i : fields*(i+1)]
		if e.fuzzy && s.finder.loose == nil {
			s.finder.loose = newLooseFinder(e.keys)
		}
		err := s.message(ctx, e, e.jobs[i].candidate, e.jobs[i].body)
		if e.fuzzy {
			s.finder.loose.finish(s.finder.found, e.rated[n*i:n*(i+1)])
		}
		if isDamage(err) {
			e.jobs[i].damaged, err = err, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, j := range e.jobs {
		if j.damaged != nil {
			j.verdict = fails
			e.damaged(j.message, j.damaged)
			continue
		}
		e.readOctets(j.message.UID, e.values[fields*i:fields*(i+1)])
		j.found = e.found[n*i : n*(i+1)]
		if e.fuzzy {
			j.scores = e.rated[n*i : n*(i+1)]
		}
		e.settle(j.candidate)
		j.found, j.scores = nil, nil
	}
	return nil
}

// A message not longer than wholeSize is read at once, a longer one in pieces.
const (
	wholeSize = 64 << 10
	pieceSize = 32 << 10
)

// scanner looks through one message at a time.
type scanner struct {
	finder finder
	keys   []*Key
	search []fieldSearch // read, not written to
	values [][]byte      // of the message, by field searched
	body   engine.Body
	whole  []byte // the message, or its header, as far as it has been read at once
	piece  []byte // a header block, or some octets of a text
	fields []message.Field
}

// shrink gives large buffers back.
func (s *scanner) shrink() {
	const kept = 4 * wholeSize
	const keptFields = 1000
	if clear(s.fields[:cap(s.fields)]); cap(s.fields) > keptFields {
		s.fields = nil
	}
	if cap(s.piece) > kept {
		s.piece = nil
	}
	if cap(s.finder.window) > kept {
		s.finder.window = nil
	}
	s.body, s.finder.found, s.finder.needles, s.finder.loose = nil, nil, nil, nil
	s.keys, s.search, s.values = nil, nil, nil
}

// message looks through one message.
func (s *scanner) message(ctx context.Context, e *Search, c *candidate, body engine.Body) error {
	if e.texts && !c.record.Valid() { // its parts are not
		return errDamagedRecord
	}
	s.keys, s.search, s.body, s.whole = e.keys, e.fields, body, s.whole[:0]
	size := body.Size()
	if !e.texts {
		size = min(size, c.record.HeaderSize())
	}
	if size <= wholeSize {
		s.whole = slices.Grow(s.whole, int(size))[:size]
		if n, err := body.ReadAt(s.whole, 0); n < int(size) {
			return errors.Join(err, io.ErrUnexpectedEOF)
		}
	}
	if err := s.header(c, e.o.Header); err != nil || !e.texts {
		return err
	}
	return s.parts(ctx, c, e.o.Header)
}

// wanted says whether a needle of a kind is still to be found.
func (s *scanner) wanted(kind Kind) bool {
	for i, k := range s.keys {
		if k.Kind == kind && !s.finder.found[i] {
			return true
		}
	}
	return false
}

// header looks through the message's header.
func (s *scanner) header(c *candidate, limit int) error {
	if !s.wanted(Field) && !s.wanted(Text) && !s.wanted(FuzzyField) && !s.wanted(FuzzyText) {
		return nil
	}
	block, err := s.block(0, c.record.HeaderSize(), limit)
	if err != nil {
		return err
	}
	s.fields = message.AppendFields(s.fields[:0], block)
	s.readValues()
	if s.wanted(FuzzyField) {
		s.inFields()
	}
	s.finder.begin(inHeader, func(i int) bool { return s.keys[i].is(Text) })
	s.inHeader(s.fields)
	return nil
}

// readValues reads the fields that are searched, and looks through them. What is
// longer than is gathered of one message is forgotten.
func (s *scanner) readValues() {
	for i := range s.search {
		b := s.values[i][:0]
		if b == nil {
			b = make([]byte, 0, 64)
		}
		for _, f := range s.fields {
			if f.Is(s.search[i].name) {
				b = s.finder.collation.Append(append(b, valueMark), []byte(message.DecodeHeader(f.Value())))
			}
		}
		s.values[i] = b
	}
	for i, k := range s.keys {
		if k.Kind == Field {
			s.finder.found[i] = anyContains(s.values[k.field], k.folded)
		}
	}
	total := 0
	for i, b := range s.values {
		if total += len(b); total > longValues {
			s.values[i] = nil
		}
	}
}

// inFields looks through the fields that fuzzy keys name.
func (s *scanner) inFields() {
	for _, f := range s.fields {
		s.finder.begin(inField, func(i int) bool { return s.keys[i].Kind == FuzzyField && f.Is(s.keys[i].Field) })
		if s.finder.left > 0 {
			s.finder.Write([]byte(message.DecodeHeader(f.Value())))
		}
	}
}

// inHeader looks through a header block, decoded, as one text.
func (s *scanner) inHeader(fields []message.Field) {
	if s.finder.left == 0 {
		return
	}
	for _, f := range fields {
		s.finder.field(f.Name, message.DecodeHeader(f.Value()))
	}
}

// block reads a header block, as far as the limit allows. It is valid until the
// next call.
func (s *scanner) block(from, to int64, limit int) ([]byte, error) {
	to = min(to, from+int64(limit))
	if to <= int64(len(s.whole)) {
		return s.whole[from:to], nil
	}
	size := int(to - from)
	s.piece = slices.Grow(s.piece[:0], size)[:size]
	if n, err := s.body.ReadAt(s.piece, from); n < size {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return s.piece, nil
}

// parts looks through the headers of the parts and the text of those that are
// text.
func (s *scanner) parts(ctx context.Context, c *candidate, limit int) error {
	inText := func(i int) bool { return s.keys[i].Kind >= Body }
	parts := c.record.Parts()
	for i, p := range parts {
		if i > 0 && p.Body > p.Header {
			block, err := s.block(p.Header, p.Body, limit)
			if err != nil {
				return err
			}
			s.finder.begin(inPart, inText)
			s.inHeader(message.Fields(block))
		}
		if !isText(p, parts) {
			continue
		}
		s.finder.begin(inBody, inText)
		if s.finder.left == 0 {
			return nil
		}
		if err := s.text(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// text looks through the text of a part.
func (s *scanner) text(ctx context.Context, p message.Part) error {
	raw := &exactReader{left: p.End - p.Body}
	if p.End <= int64(len(s.whole)) {
		octets := s.whole[p.Body:p.End]
		if plain(p, octets) && !s.shown(p) {
			s.finder.Write(octets)
			return nil
		}
		raw.r = bytes.NewReader(octets)
	} else {
		raw.r = io.NewSectionReader(s.body, p.Body, p.End-p.Body)
	}
	s.piece = slices.Grow(s.piece[:0], pieceSize)[:pieceSize]
	text := message.DecodeText(raw, p.Encoding, p.Charset)
	if s.shown(p) {
		s.finder.markup(ctx, text) // what cannot be decoded ends the text
		return cmp.Or(ctx.Err(), raw.err)
	}
	for s.finder.left > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := text.Read(s.piece)
		s.finder.Write(s.piece[:n])
		if err != nil {
			return raw.err // what cannot be decoded ends the text
		}
	}
	return nil
}

// shown says whether the words are looked for that stand in a part when it is shown, as
// HTML is.
func (s *scanner) shown(p message.Part) bool {
	return p.Type == "text/html" && s.finder.loose.looking()
}

// exactReader reads octets that must all be there, and keeps the error where they
// are not, which decoders do not tell from one of their own.
type exactReader struct {
	r    io.Reader
	left int64
	err  error
}

func (x *exactReader) Read(p []byte) (int, error) {
	n, err := x.r.Read(p)
	x.left -= int64(n)
	if err != nil && x.left > 0 {
		x.err = errors.Join(err, io.ErrUnexpectedEOF)
	}
	return n, err
}

// plain says whether a part's octets are its text as they stand.
func plain(p message.Part, octets []byte) bool {
	switch p.Encoding {
	case "7bit", "8bit", "binary":
	default:
		return false
	}
	switch p.Charset {
	case "utf-8":
		return true // the finder sees to what is not UTF-8
	case "", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "windows-1251", "koi8-r":
		return isASCII(octets)
	}
	return false
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
