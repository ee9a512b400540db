package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A segment is a header followed by records. Each commit group is its body
// records and then one commit record, written at once and synced once. All
// integers are big-endian; the layouts are in docs/storage-engine.md.
const (
	segmentHeaderSize = 64
	recordHeaderSize  = 32

	kindBody   = 1
	kindCommit = 2
)

const (
	segmentMagic = "tripseg\n"
	recordMagic  = "tpr1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// segmentHeader begins a segment. previous and previousValid chain it to the
// one before: what lies behind previousValid there was never acknowledged.
type segmentHeader struct {
	format        uint32
	number        uint64
	previous      uint64 // number of the segment before, 0 for the first
	previousValid int64  // octets of it that count
	firstSeq      uint64 // sequence number of the first group here
	salt          uint64 // random: makes records impossible to imitate in mail
}

func (h segmentHeader) encode() []byte {
	b := make([]byte, segmentHeaderSize)
	copy(b, segmentMagic)
	binary.BigEndian.PutUint32(b[8:], h.format)
	binary.BigEndian.PutUint64(b[16:], h.number)
	binary.BigEndian.PutUint64(b[24:], h.previous)
	binary.BigEndian.PutUint64(b[32:], uint64(h.previousValid))
	binary.BigEndian.PutUint64(b[40:], h.firstSeq)
	binary.BigEndian.PutUint64(b[48:], h.salt)
	binary.BigEndian.PutUint32(b[60:], checksum(b[:60]))
	return b
}

var errSegmentHeader = errors.New("segment header is not whole")

func parseSegmentHeader(b []byte) (segmentHeader, error) {
	if len(b) < segmentHeaderSize || string(b[:8]) != segmentMagic ||
		binary.BigEndian.Uint32(b[60:]) != checksum(b[:60]) {
		return segmentHeader{}, errSegmentHeader
	}
	h := segmentHeader{
		format:        binary.BigEndian.Uint32(b[8:]),
		number:        binary.BigEndian.Uint64(b[16:]),
		previous:      binary.BigEndian.Uint64(b[24:]),
		previousValid: int64(binary.BigEndian.Uint64(b[32:])),
		firstSeq:      binary.BigEndian.Uint64(b[40:]),
		salt:          binary.BigEndian.Uint64(b[48:]),
	}
	if h.previousValid < 0 || h.number == 0 || h.previous >= h.number {
		return segmentHeader{}, errSegmentHeader
	}
	return h, nil
}

// seed is the state from which the checksums of a segment's record headers go
// on: a record of another segment, or of a file once in its place, fails.
func (h segmentHeader) seed() uint32 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], h.number)
	binary.BigEndian.PutUint64(b[8:], h.salt)
	return checksum(b[:])
}

// recordHeader stands before each body and each set of changes. Its own
// checksum covers the data's, so that the committer need not read bodies again.
type recordHeader struct {
	kind   byte
	codec  byte   // how a body's octets are packed; 0: not at all
	id     uint64 // a body's blob; a commit's sequence number
	length uint32 // octets of data that follow
	bodies uint32 // commit: the body records of its group
	sum    uint32 // CRC32C of the data
}

func (r recordHeader) append(b []byte, seed uint32) []byte {
	start := len(b)
	b = append(b, recordMagic...)
	b = append(b, r.kind, r.codec, 0, 0)
	b = binary.BigEndian.AppendUint64(b, r.id)
	b = binary.BigEndian.AppendUint32(b, r.length)
	b = binary.BigEndian.AppendUint32(b, r.bodies)
	b = binary.BigEndian.AppendUint32(b, r.sum)
	return binary.BigEndian.AppendUint32(b, crc32.Update(seed, castagnoli, b[start:]))
}

// parseRecordHeader reports false for anything but a header of this segment.
func parseRecordHeader(b []byte, seed uint32) (recordHeader, bool) {
	if len(b) < recordHeaderSize || string(b[:4]) != recordMagic ||
		binary.BigEndian.Uint32(b[28:]) != crc32.Update(seed, castagnoli, b[:28]) {
		return recordHeader{}, false
	}
	return readRecordHeader(b), true
}

// readRecordHeader takes the fields of 32 octets as they are.
func readRecordHeader(b []byte) recordHeader {
	return recordHeader{
		kind:   b[4],
		codec:  b[5],
		id:     binary.BigEndian.Uint64(b[8:]),
		length: binary.BigEndian.Uint32(b[16:]),
		bodies: binary.BigEndian.Uint32(b[20:]),
		sum:    binary.BigEndian.Uint32(b[24:]),
	}
}

// appendChange adds one changed key to the data of a commit record: the
// key's length and octets, then 0 for a deletion or the value's length plus
// one and its octets.
func appendChange(b []byte, it *item) []byte {
	b = binary.AppendUvarint(b, uint64(len(it.key)))
	b = append(b, it.key...)
	if it.kind == itemDeleted {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(it.value))+1)
	return append(b, it.value...)
}

var errChanges = errors.New("list of changes is malformed")

// eachChange calls fn with every change in order; value is nil for a deletion.
// The slices are parts of b.
func eachChange(b []byte, fn func(key, value []byte) error) error {
	for len(b) > 0 {
		key, rest, err := takeOctets(b, 0)
		if err != nil || len(key) == 0 {
			return fmt.Errorf("%w: %d octets before the end", errChanges, len(b))
		}
		n, width := binary.Uvarint(rest)
		if width <= 0 {
			return fmt.Errorf("%w: %d octets before the end", errChanges, len(rest))
		}
		if n == 0 {
			b = rest[width:]
			if err := fn(key, nil); err != nil {
				return err
			}
			continue
		}
		value, after, err := takeOctets(rest, 1)
		if err != nil {
			return err
		}
		b = after
		if err := fn(key, value); err != nil {
			return err
		}
	}
	return nil
}

// takeOctets takes a length, which was written with bias added, and as many
// octets off the front of b. The octets are never nil.
func takeOctets(b []byte, bias uint64) (octets, rest []byte, err error) {
	n, width := binary.Uvarint(b)
	if width <= 0 || n < bias || n-bias > uint64(len(b)-width) {
		return nil, nil, fmt.Errorf("%w: %d octets before the end", errChanges, len(b))
	}
	end := width + int(n-bias)
	return b[width:end:end], b[end:], nil
}
