package local

import (
	"errors"
	"fmt"
	"io"
)

// walker reads a segment record by record, in large pieces. Records are found
// by walking only: what a body contains is never taken for one.
type walker struct {
	file   File
	name   string
	seed   uint32
	offset int64 // of the next record
	limit  int64
	buf    []byte
	start  int64 // where buf lies in the file
}

// walkPiece is how much is read at a time.
const walkPiece = 1 << 20

func newWalker(file File, name string, seed uint32, from, limit int64) *walker {
	return &walker{file: file, name: name, seed: seed, offset: from, limit: limit}
}

// errNotWhole says that the octets at a place are not what the engine writes.
var errNotWhole = errors.New("not whole")

// octets returns n octets at the offset, valid until the next call.
func (w *walker) octets(off, n int64) ([]byte, error) {
	if n > w.limit-off {
		return nil, fmt.Errorf("%w: %d octets expected, %d there", errNotWhole, n, w.limit-off)
	}
	if off >= w.start && off+n <= w.start+int64(len(w.buf)) {
		return w.buf[off-w.start:][:n], nil
	}
	want := min(max(n, walkPiece), w.limit-off)
	if int64(cap(w.buf)) < want {
		w.buf = make([]byte, want)
	}
	w.buf, w.start = w.buf[:want], off
	if got, err := w.file.ReadAt(w.buf, off); err != nil {
		w.buf = w.buf[:got]
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: file ends at %d", errNotWhole, off+int64(got))
		}
		return nil, err
	}
	return w.buf[:n], nil
}

// record reads the header at the offset.
func (w *walker) record() (recordHeader, error) {
	b, err := w.octets(w.offset, recordHeaderSize)
	if err != nil {
		return recordHeader{}, err
	}
	r, ok := parseRecordHeader(b, w.seed)
	if !ok {
		return recordHeader{}, fmt.Errorf("%w: no record header", errNotWhole)
	}
	return r, nil
}

// data reads and verifies what follows the header r, and goes on behind it.
func (w *walker) data(r recordHeader) ([]byte, error) {
	b, err := w.octets(w.offset+recordHeaderSize, int64(r.length))
	if err != nil {
		return nil, err
	}
	if checksum(b) != r.sum {
		return nil, fmt.Errorf("%w: checksum of record %d differs", errNotWhole, r.id)
	}
	w.offset += recordHeaderSize + int64(r.length)
	return b, nil
}

// group is one commit group as read back.
type group struct {
	changes []byte
	bodies  int
}

// group reads and verifies one whole group, which must have this sequence
// number. The changes are valid until the next call.
func (w *walker) group(seq uint64) (group, error) {
	var g group
	for {
		r, err := w.record()
		if err != nil {
			return g, err
		}
		data, err := w.data(r)
		if err != nil {
			return g, err
		}
		switch r.kind {
		case kindBody:
			g.bodies++
		case kindCommit:
			if r.id != seq || int(r.bodies) != g.bodies {
				return g, fmt.Errorf("%w: group %d with %d bodies where group %d with %d is due", errNotWhole, r.id, r.bodies, seq, g.bodies)
			}
			g.changes = data
			return g, nil
		default:
			return g, fmt.Errorf("%w: record of unknown kind %d", errNotWhole, r.kind)
		}
	}
}
