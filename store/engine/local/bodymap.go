package local

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"

	"go.etcd.io/bbolt"

	"tripost/store/engine"
)

// The body map says where each blob is. Its keys are 00 'b' and the blob's
// number in eight octets, in the same key space as everything else, so that a
// blob appears, moves and goes in the same commit as the keys that name it.
const bodyPrefix = "\x00b"

var (
	bodyFirst = []byte(bodyPrefix)
	bodyEnd   = []byte("\x00c")
	// publicFirst is the lowest key that callers may use.
	publicFirst = []byte{1}
)

func bodyKey(b engine.Blob) []byte {
	return binary.BigEndian.AppendUint64([]byte(bodyPrefix), uint64(b))
}

// bodySearch looks several blobs up in one state. Those of one mailbox often are
// neighbours, so the index is searched only where the next entry is another's.
type bodySearch struct {
	layers *layers
	cursor *bbolt.Cursor
	key    []byte // the blob's
	at     []byte // key of the cursor's entry; nil: none
}

// value returns a blob's encoded entry, nil when there is none.
func (s *bodySearch) value(b engine.Blob) []byte {
	s.key = binary.BigEndian.AppendUint64(append(s.key[:0], bodyPrefix...), uint64(b))
	value, said := s.layers.changed(s.key)
	if said {
		return value
	}
	if s.at != nil {
		s.at, value = s.cursor.Next()
	}
	if !bytes.Equal(s.at, s.key) {
		s.at, value = s.cursor.Seek(s.key)
	}
	if !bytes.Equal(s.at, s.key) {
		return nil
	}
	return value
}

func blobOfKey(key []byte) (engine.Blob, bool) {
	if len(key) != len(bodyPrefix)+8 || string(key[:2]) != bodyPrefix {
		return 0, false
	}
	return engine.Blob(binary.BigEndian.Uint64(key[2:])), true
}

// bodyEntry is one value of the body map.
type bodyEntry struct {
	codec   byte
	segment uint64 // 0: a file of its own
	offset  int64  // of the record header in the segment
	length  int64
	sum     uint32 // CRC32C of the octets
	refs    uint64
}

const bodyEntryVersion = 1

var errBodyEntry = errors.New("entry of the body map is malformed")

func (e bodyEntry) encode() []byte {
	b := make([]byte, 0, 40)
	b = append(b, bodyEntryVersion, e.codec)
	b = binary.AppendUvarint(b, e.segment)
	b = binary.AppendUvarint(b, uint64(e.offset))
	b = binary.AppendUvarint(b, uint64(e.length))
	b = binary.BigEndian.AppendUint32(b, e.sum)
	return binary.AppendUvarint(b, e.refs)
}

func parseBodyEntry(b []byte) (bodyEntry, error) {
	if len(b) < 2 || b[0] != bodyEntryVersion {
		return bodyEntry{}, errBodyEntry
	}
	e := bodyEntry{codec: b[1]}
	rest := b[2:]
	var numbers [3]uint64
	for i := range numbers {
		n, width := binary.Uvarint(rest)
		if width <= 0 || n > math.MaxInt64 {
			return bodyEntry{}, errBodyEntry
		}
		numbers[i], rest = n, rest[width:]
	}
	e.segment, e.offset, e.length = numbers[0], int64(numbers[1]), int64(numbers[2])
	if len(rest) < 5 {
		return bodyEntry{}, errBodyEntry
	}
	e.sum = binary.BigEndian.Uint32(rest)
	refs, width := binary.Uvarint(rest[4:])
	if width != len(rest)-4 {
		return bodyEntry{}, errBodyEntry
	}
	e.refs = refs
	return e, nil
}

// samePlace reports whether two entries name the same octets on disk.
func (e bodyEntry) samePlace(o bodyEntry) bool {
	return e.segment == o.segment && e.offset == o.offset
}

// footprint is what the blob takes on disk, in octets.
func (e bodyEntry) footprint() int64 {
	if e.segment == 0 {
		return e.length
	}
	return recordHeaderSize + e.length
}

// live is what the blob adds to what is live where it lies, with sign -1 what it takes
// along when it goes.
func (e bodyEntry) live(sign int64) liveChange {
	c := liveChange{segment: e.segment, octets: sign * e.footprint()}
	if e.segment == 0 {
		c.blobs = sign
	}
	return c
}
