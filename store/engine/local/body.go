package local

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"

	"tripost/store/engine"
)

// body is an open blob. It holds its file, so that the octets stay readable
// when the blob is dropped or moved.
type body struct {
	file    File
	name    string
	offset  int64 // of the octets in the file
	size    int64
	sum     uint32
	release func()
	once    sync.Once
}

// Open opens a blob; see [engine.Engine].
func (e *Engine) Open(ctx context.Context, b engine.Blob) (engine.Body, error) {
	if err := e.running.enter(); err != nil {
		return nil, err
	}
	defer e.running.leave()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		entry, err := e.lookup(b)
		if err != nil {
			return nil, err
		}
		opened, err := e.openEntry(b, entry)
		if err == nil {
			return opened, nil
		}
		// It may have moved or gone since it was looked up.
		if again, lookupErr := e.lookup(b); lookupErr != nil {
			return nil, lookupErr
		} else if again.samePlace(entry) {
			return nil, openingFailed(b, err)
		}
	}
}

// OpenAll opens several blobs; see [engine.Engine].
func (e *Engine) OpenAll(ctx context.Context, blobs []engine.Blob, fn func(i int, b engine.Body, err error)) error {
	if err := e.running.enter(); err != nil {
		return err
	}
	defer e.running.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := e.lookupAll(blobs)
	if err != nil {
		return err
	}
	for i, b := range blobs {
		if entries[i].refs > 0 {
			if opened, err := e.openEntry(b, entries[i]); err == nil {
				fn(i, opened, nil)
				continue
			}
		}
		opened, err := e.Open(ctx, b) // it may have moved; else this tells what is wrong
		fn(i, opened, err)
	}
	return nil
}

// lookupAll returns the entries of blobs in the durable state. Where one cannot be
// had, it is zero.
func (e *Engine) lookupAll(blobs []engine.Blob) ([]bodyEntry, error) {
	l, err := e.layersNow()
	if err != nil {
		return nil, err
	}
	defer l.tx.Rollback()
	entries := make([]bodyEntry, len(blobs))
	// What damage keeps from being read is zero, with all that would come behind
	// it: Open says of each what is wrong.
	_ = guarded(indexName, func() error {
		s := bodySearch{layers: &l, cursor: l.bucket.Cursor()}
		for i, b := range blobs {
			if entry, err := parseBodyEntry(s.value(b)); err == nil {
				entries[i] = entry
			}
		}
		return nil
	})
	return entries, nil
}

// openingFailed tells a file that is not there from one that cannot be opened
// just now.
func openingFailed(b engine.Blob, err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, errSegmentGone) || errors.Is(err, errCodec) {
		err = fmt.Errorf("%w: %w", engine.ErrDamaged, err)
	}
	return fmt.Errorf("opening blob %d: %w", b, err)
}

var errCodec = errors.New("unknown codec")

// lookup returns a blob's entry in the durable state.
func (e *Engine) lookup(b engine.Blob) (bodyEntry, error) {
	l, err := e.layersNow()
	if err != nil {
		return bodyEntry{}, err
	}
	defer l.tx.Rollback()
	var entry bodyEntry
	err = guarded(indexName, func() (err error) {
		entry, err = l.entry(b)
		return err
	})
	return entry, err
}

func (e *Engine) openEntry(b engine.Blob, entry bodyEntry) (*body, error) {
	if entry.codec != 0 {
		return nil, fmt.Errorf("%w %d", errCodec, entry.codec)
	}
	if entry.segment == 0 {
		name := e.largePath(b)
		f, err := e.o.FS.OpenFile(name, os.O_RDONLY, 0)
		if err != nil {
			return nil, err
		}
		return &body{file: f, name: name, size: entry.length, sum: entry.sum, release: func() { f.Close() }}, nil
	}
	seg, err := e.segments.acquire(entry.segment)
	if err != nil {
		return nil, err
	}
	return &body{
		file: seg.file, name: seg.name, offset: entry.offset + recordHeaderSize,
		size: entry.length, sum: entry.sum, release: func() { e.segments.release(seg) },
	}, nil
}

// Size returns the length in octets.
func (b *body) Size() int64 { return b.size }

// ReadAt reads without verifying.
func (b *body) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset in a blob")
	}
	if off >= b.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > b.size-off
	if short {
		p = p[:b.size-off]
	}
	n, err := b.file.ReadAt(p, b.offset+off)
	switch {
	case n == len(p) && !short:
		return n, nil
	case n == len(p):
		return n, io.EOF
	case errors.Is(err, io.EOF):
		return n, damaged(b.name, b.offset+off+int64(n), "file ends within a blob")
	default:
		return n, err
	}
}

// copySize is the piece in which bodies are read. A body not longer is
// verified before any of it is written.
const copySize = 64 << 10

var copyPool = sync.Pool{New: func() any { b := make([]byte, copySize); return &b }}

// WriteTo writes the whole body and verifies it.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	buf := copyPool.Get().(*[]byte)
	defer copyPool.Put(buf)
	var written int64
	var sum uint32
	for {
		piece := (*buf)[:min(copySize, b.size-written)]
		if len(piece) > 0 {
			if _, err := b.ReadAt(piece, written); err != nil && !errors.Is(err, io.EOF) {
				return written, err
			}
		}
		sum = crc32.Update(sum, castagnoli, piece)
		last := written+int64(len(piece)) == b.size
		bad := last && sum != b.sum
		if bad && written == 0 {
			return 0, damaged(b.name, b.offset, "checksum of blob differs")
		}
		n, err := w.Write(piece)
		written += int64(n)
		if err != nil {
			return written, err
		}
		if bad {
			return written, damaged(b.name, b.offset, "checksum of blob differs")
		}
		if last {
			return written, nil
		}
	}
}

// Close lets go of the file.
func (b *body) Close() error {
	b.once.Do(b.release)
	return nil
}
