package local

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// copyName is the copy of the index. Its layout is in docs/storage-engine.md.
const copyName = "index.copy"

const (
	copyMagic      = "tripcopy"
	copyHeaderSize = 64
	copyBlockHead  = 8
	// copyBlock is the octets of keys and values from which on a block is full.
	copyBlock = 256 << 10
	// maxCopyBlock bounds a block: a full one, and the longest value.
	maxCopyBlock = copyBlock + maxValue + 1<<20
)

// copyWriter writes a copy.
type copyWriter struct {
	w      *offsetWriter
	header []byte // until it is written
	sum    uint32 // of all before
	plain  []byte // the block that is being filled
	packed bytes.Buffer
	flate  *flate.Writer
	keys   uint64
}

func newCopyWriter(w *offsetWriter, from checkpoint) *copyWriter {
	h := make([]byte, copyHeaderSize)
	copy(h, copyMagic)
	binary.BigEndian.PutUint32(h[8:], formatVersion)
	copy(h[16:], from.encode())
	binary.BigEndian.PutUint32(h[60:], checksum(h[:60]))
	return &copyWriter{w: w, header: h, sum: checksum(h)}
}

func (w *copyWriter) full() bool { return len(w.plain) >= copyBlock }

func (w *copyWriter) add(key, value []byte) {
	w.plain = appendChange(w.plain, &item{key: key, value: value, kind: itemValue})
	w.keys++
}

// flush writes the block, and returns how many octets of keys and values it had.
func (w *copyWriter) flush() (int64, error) {
	if err := w.begin(); err != nil || len(w.plain) == 0 {
		return 0, err
	}
	w.packed.Reset()
	if w.flate == nil {
		f, err := flate.NewWriter(&w.packed, flate.BestSpeed)
		if err != nil {
			return 0, err
		}
		w.flate = f
	} else {
		w.flate.Reset(&w.packed)
	}
	if _, err := w.flate.Write(w.plain); err != nil {
		return 0, err
	}
	if err := w.flate.Close(); err != nil {
		return 0, err
	}
	octets := int64(len(w.plain))
	w.plain = w.plain[:0]
	if cap(w.plain) > 4*copyBlock {
		w.plain = nil
	}
	return octets, w.block(w.packed.Bytes())
}

func (w *copyWriter) begin() error {
	if w.header == nil {
		return nil
	}
	_, err := w.w.Write(w.header)
	w.header = nil
	return err
}

// block writes the length of some data, their checksum with that of all before, and
// the data.
func (w *copyWriter) block(data []byte) error {
	w.sum = copySum(w.sum, data)
	head := binary.BigEndian.AppendUint32(make([]byte, 0, copyBlockHead), uint32(len(data)))
	head = binary.BigEndian.AppendUint32(head, w.sum)
	if _, err := w.w.Write(head); err != nil {
		return err
	}
	_, err := w.w.Write(data)
	return err
}

// end writes how many keys there were, behind a length of 0, which says that this was
// all.
func (w *copyWriter) end() error {
	if err := w.begin(); err != nil {
		return err
	}
	count := binary.BigEndian.AppendUint64(nil, w.keys)
	b := binary.BigEndian.AppendUint32(make([]byte, 4), copySum(w.sum, count))
	_, err := w.w.Write(append(b, count...))
	return err
}

// copySum carries a checksum on over a block's length and data.
func copySum(sum uint32, data []byte) uint32 {
	var b [8]byte
	binary.BigEndian.PutUint32(b[:], sum)
	binary.BigEndian.PutUint32(b[4:], uint32(len(data)))
	return checksum(b[:]) ^ checksum(data)
}

// readCopyHeader returns from where on the journal is needed over a copy.
func readCopyHeader(name string, fs FS) (checkpoint, error) {
	r, err := openCopy(name, fs)
	if err != nil {
		return checkpoint{}, err
	}
	return r.from, r.file.Close()
}

// copyReader reads a copy.
type copyReader struct {
	name string
	file File
	from checkpoint
	at   int64
	sum  uint32
	keys uint64
}

// openCopy opens a copy; the caller closes its file.
func openCopy(name string, fs FS) (*copyReader, error) {
	f, err := fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	r := &copyReader{name: name, file: f, at: copyHeaderSize}
	if err := r.header(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

func (r *copyReader) header() error {
	h := make([]byte, copyHeaderSize)
	if err := r.read(h, 0); err != nil {
		return err
	}
	if string(h[:8]) != copyMagic || binary.BigEndian.Uint32(h[60:]) != checksum(h[:60]) {
		return damaged(r.name, 0, "header is not whole")
	}
	if err := checkFormat(binary.BigEndian.Uint32(h[8:])); err != nil {
		return err
	}
	from, err := parseCheckpoint(h[16:48])
	r.from, r.sum = from, checksum(h)
	return err
}

// read fills b; a file that ends before is damage.
func (r *copyReader) read(b []byte, at int64) error {
	_, err := r.file.ReadAt(b, at)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged(r.name, at, "file ends here")
	}
	return err
}

// next calls fn with the keys of the next block, and reports false after the last.
func (r *copyReader) next(fn func(key, value []byte) error) (bool, error) {
	head := make([]byte, copyBlockHead)
	if err := r.read(head, r.at); err != nil {
		return false, err
	}
	length := binary.BigEndian.Uint32(head)
	if length > maxCopyBlock {
		return false, damaged(r.name, r.at, fmt.Sprintf("a block of %d octets", length))
	}
	last := length == 0
	if last {
		length = 8 // the number of keys
	}
	packed := make([]byte, length)
	if err := r.read(packed, r.at+copyBlockHead); err != nil {
		return false, err
	}
	r.sum = copySum(r.sum, packed)
	if binary.BigEndian.Uint32(head[4:]) != r.sum {
		return false, damaged(r.name, r.at, "checksum of block differs")
	}
	at := r.at
	r.at += copyBlockHead + int64(length)
	if last {
		if n := binary.BigEndian.Uint64(packed); n != r.keys {
			return false, damaged(r.name, at, fmt.Sprintf("%d keys were written, %d are there", n, r.keys))
		}
		return false, nil
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxCopyBlock+1))
	if err == nil && len(plain) > maxCopyBlock {
		err = fmt.Errorf("more than %d octets", maxCopyBlock)
	}
	if err == nil {
		err = eachChange(plain, func(key, value []byte) error {
			r.keys++
			return fn(key, value)
		})
	}
	if err != nil {
		return false, damaged(r.name, at, err.Error())
	}
	return true, nil
}

// indexFromCopy makes an index file of a copy, durable when it returns.
func indexFromCopy(name, from string, o Options) error {
	r, err := openCopy(from, o.FS)
	if err != nil {
		return err
	}
	defer r.file.Close()
	if err := createIndex(name, o); err != nil {
		return err
	}
	db, err := openBolt(name, o)
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		err = db.Update(func(tx *bbolt.Tx) error {
			more, err = r.putBlocks(tx)
			return err
		})
	}
	return errors.Join(err, db.Close())
}

// putBlocks puts the keys of some blocks into an index, and reports whether there may
// be more. With the last it says how far in the journal that is.
func (r *copyReader) putBlocks(tx *bbolt.Tx) (bool, error) {
	const blocks = 64
	keys := tx.Bucket(bucketKeys)
	keys.FillPercent = 0.9
	for range blocks {
		more, err := r.next(keys.Put)
		if err != nil {
			return false, err
		}
		if !more {
			return false, tx.Bucket(bucketMeta).Put(metaCheckpoint, r.from.encode())
		}
	}
	return true, nil
}
