package message

import (
	"encoding/binary"
	"math"
	"slices"
)

// Bits of the octet that begins an encoded part.
const (
	partMessage = 1 << iota
	partMultipart
)

// appendParts encodes parts for a [Record]: their count, then of each the bits,
// how much of its path is the same as that of the part before, the rest of the
// path, where its header begins, how long header and body are, its type,
// encoding and charset. All numbers are unsigned varints, and before a list or
// text stands its length.
func appendParts(b []byte, parts []Part) []byte {
	if b == nil {
		b = make([]byte, 0, 8+40*len(parts))
	}
	b = binary.AppendUvarint(b, uint64(len(parts)))
	var before []uint16
	for _, p := range parts {
		var bits byte
		if p.Message {
			bits |= partMessage
		}
		if p.Multipart {
			bits |= partMultipart
		}
		same := 0
		for same < min(len(before), len(p.Path)) && before[same] == p.Path[same] {
			same++
		}
		b = append(b, bits)
		b = binary.AppendUvarint(b, uint64(same))
		b = binary.AppendUvarint(b, uint64(len(p.Path)-same))
		for _, n := range p.Path[same:] {
			b = binary.AppendUvarint(b, uint64(n))
		}
		for _, n := range [...]int64{p.Header, p.Body - p.Header, p.End - p.Body} {
			b = binary.AppendUvarint(b, uint64(n))
		}
		for _, s := range [...]string{p.Type, p.Encoding, p.Charset} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
		before = p.Path
	}
	return b
}

// partDecoder reads encoded parts one after the other.
type partDecoder struct {
	rest []byte
	ok   bool

	path                   []uint16
	bits                   byte
	header, body, end      int64
	typ, encoding, charset []byte
}

func (d *partDecoder) uvarint() uint64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 {
		v := d.rest[0]
		d.rest = d.rest[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.ok, d.rest = false, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *partDecoder) text() []byte {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.ok, d.rest = false, nil
		return nil
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

// next reads a part; false when the encoding is not whole.
func (d *partDecoder) next() bool {
	same, more, ok := d.begin(len(d.path))
	if !ok {
		return false
	}
	d.path = d.path[:same]
	for range more {
		d.path = append(d.path, uint16(min(d.uvarint(), math.MaxUint16)))
	}
	d.finish()
	return d.ok
}

// begin reads what stands before the path: how many of its numbers, of which
// there were depth, are those of the part before, and how many follow.
func (d *partDecoder) begin(depth int) (same, more int, ok bool) {
	if len(d.rest) == 0 {
		d.ok = false
		return 0, 0, false
	}
	d.bits, d.rest = d.rest[0], d.rest[1:]
	s, m := d.uvarint(), d.uvarint()
	if s > uint64(depth) || m > uint64(len(d.rest)) {
		d.ok = false
		return 0, 0, false
	}
	return int(s), int(m), true
}

// finish reads what stands behind the path.
func (d *partDecoder) finish() {
	header, body, end := d.uvarint(), d.uvarint(), d.uvarint()
	if max(header, body, end) > math.MaxInt64/4 {
		d.ok = false
	}
	d.header = int64(header)
	d.body = d.header + int64(body)
	d.end = d.body + int64(end)
	d.typ, d.encoding, d.charset = d.text(), d.text(), d.text()
}

func (d *partDecoder) part() Part {
	return Part{
		Path:   slices.Clone(d.path),
		Header: d.header, Body: d.body, End: d.end,
		Message: d.bits&partMessage != 0, Multipart: d.bits&partMultipart != 0,
		Type: string(d.typ), Encoding: string(d.encoding), Charset: string(d.charset),
	}
}

// decodeParts gives each part to found until it returns false.
func decodeParts(b []byte, found func(*partDecoder) bool) {
	d := partDecoder{rest: b, ok: true}
	for range d.uvarint() {
		if !d.next() || !found(&d) {
			return
		}
	}
}

// wholeParts reports whether the encoding of the parts is whole. It does not
// allocate, and keeps nothing of what it reads: every summary that is read is asked.
func wholeParts(b []byte) bool {
	r := Record(b)
	count, at := r.uvarint(0)
	if at == 0 {
		return false
	}
	for depth := uint64(0); count > 0 && at < len(b); count-- {
		var same, more, n uint64
		if same, at = r.uvarint(at + 1); at == 0 || same > depth {
			return false
		}
		if more, at = r.uvarint(at); at == 0 || more > uint64(len(b)-at) {
			return false
		}
		depth = same + more
		for i := range more + 3 { // the path, and three numbers
			if n, at = r.uvarint(at); at == 0 || i >= more && n > math.MaxInt64/4 {
				return false
			}
		}
		for range 3 { // texts
			if n, at = r.uvarint(at); at == 0 || n > uint64(len(b)-at) {
				return false
			}
			at += int(n)
		}
	}
	return count == 0 && at == len(b)
}

// Parts returns [Summary.Parts].
func (r Record) Parts() []Part {
	var parts []Part
	decodeParts(r.text(textParts), func(d *partDecoder) bool {
		parts = append(parts, d.part())
		return true
	})
	return parts
}

// Part finds the part with the given number, as IMAP counts them (RFC 9051
// section 6.4.5.1). With inner it is the message inside the message/rfc822 part
// of that number, whose header and text are BODY[n.HEADER] and BODY[n.TEXT]. The
// empty path is the message itself, with inner or without.
//
// A message that has no parts has a part 1 all the same: its body, with the
// message's header for a MIME header.
func (r Record) Part(path []uint16, inner bool) (Part, bool) {
	inner = inner || len(path) == 0
	var (
		part  Part
		ok    bool
		whole = path // of the message whose part 1 this may be
	)
	if len(path) > 0 && path[len(path)-1] == 1 && !inner {
		whole = path[:len(path)-1]
	}
	decodeParts(r.text(textParts), func(d *partDecoder) bool {
		message := d.bits&partMessage != 0
		if message == inner && slices.Equal(d.path, path) {
			part, ok = d.part(), true
			return false
		}
		if len(whole) < len(path) && message && d.bits&partMultipart == 0 && slices.Equal(d.path, whole) {
			part, ok = d.part(), true
			part.Path, part.Message = slices.Clone(path), false
			return false
		}
		return true
	})
	return part, ok
}
