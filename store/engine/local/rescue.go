package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"tripost/store/engine"
)

// Rescued is a body found without the index. Read is valid until the function
// that it was passed to returns.
type Rescued struct {
	Blob  engine.Blob
	Place string // file and offset
	Size  int64
	Read  io.Reader
}

// RescueResult is what [Rescue] counted.
type RescueResult struct {
	Bodies  int   // found whole, and not known to be dropped
	Octets  int64 // of these
	Dropped int   // whole, but the journal says that nothing holds them any more
}

// Rescue reads the bodies of a store from its segments and body files alone,
// when the index is lost or makes no sense. It changes nothing, and calls fn
// with each whole body once, in the order of segments; what is damaged is
// reported and passed over. The store must not be open.
//
// Which bodies were dropped is known as far as the journal still tells. One that
// was dropped in a segment that is gone comes back.
func Rescue(ctx context.Context, dir string, o Options, fn func(Rescued) error, report func(engine.Fault)) (RescueResult, error) {
	o = o.withDefaults()
	lock, err := lockStore(filepath.Join(dir, lockName), o.LockTimeout)
	if err != nil {
		return RescueResult{}, err
	}
	defer lock.release()
	r := &rescue{ctx: ctx, fs: o.FS, dir: dir, fn: fn, report: report, held: map[engine.Blob]bool{}, done: map[engine.Blob]bool{}}
	found, _, err := findSegments(newSegmentSet(o.FS, filepath.Join(dir, journalDir), 1))
	if err != nil {
		return RescueResult{}, err
	}
	// First what became of the bodies, then the bodies.
	for _, each := range []func(*foundSegment, recordHeader, int64, []byte) error{r.noteCommit, r.takeBody} {
		for _, f := range found {
			if err := r.segment(f, each); err != nil {
				return r.result, err
			}
		}
	}
	return r.result, r.bodyFiles()
}

type rescue struct {
	ctx    context.Context
	fs     FS
	dir    string
	fn     func(Rescued) error
	report func(engine.Fault)

	held   map[engine.Blob]bool // what the journal says last of a blob: false: dropped
	done   map[engine.Blob]bool
	told   bool // the faults were reported in the first pass
	result RescueResult
}

// segment calls each with all records of a segment whose data are whole. Behind
// damage it goes on with the next thing that is a record.
func (r *rescue) segment(f *foundSegment, each func(*foundSegment, recordHeader, int64, []byte) error) error {
	file, err := r.fs.OpenFile(f.name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	w := newWalker(file, f.name, f.header.seed(), segmentHeaderSize, f.size)
	for w.offset < f.size {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		at := w.offset
		h, data, err := r.record(w, f)
		if err == nil {
			if err := each(f, h, at, data); err != nil {
				return err
			}
			continue
		}
		if !errors.Is(err, errNotWhole) {
			return fmt.Errorf("reading %q: %w", f.name, err)
		}
		if w.offset, err = nextRecord(file, at+1, f.size); err != nil {
			return fmt.Errorf("reading %q: %w", f.name, err)
		}
		last, err := written(file, at, w.offset)
		if err != nil {
			return fmt.Errorf("reading %q: %w", f.name, err)
		}
		if last > at || w.offset < f.size { // not zeros at the end, which were written ahead
			r.fault(f.name, at, fmt.Sprintf("%d octets are no whole record", w.offset-at))
		}
	}
	return nil
}

// record reads one record. Without the segment's header the salt is unknown, and
// the checksum of the data has to do.
func (r *rescue) record(w *walker, f *foundSegment) (recordHeader, []byte, error) {
	if f.whole {
		h, err := w.record()
		if err != nil {
			return h, nil, err
		}
		data, err := w.data(h)
		return h, data, err
	}
	b, err := w.octets(w.offset, recordHeaderSize)
	if err != nil {
		return recordHeader{}, nil, err
	}
	h, ok := unsaltedHeader(b)
	if !ok {
		return h, nil, fmt.Errorf("%w: no record header", errNotWhole)
	}
	data, err := w.data(h)
	return h, data, err
}

// nextRecord returns where the next octets lie, from an offset on, that begin
// like a record, or the size.
func nextRecord(file File, from, size int64) (int64, error) {
	buf := make([]byte, 1<<20)
	for at := from; at < size; {
		n, err := file.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return at, err
		}
		if i := bytes.Index(buf[:n], []byte(recordMagic)); i >= 0 {
			return at + int64(i), nil
		}
		if n < len(recordMagic) {
			break
		}
		at += int64(n - len(recordMagic) + 1)
	}
	return size, nil
}

func (r *rescue) fault(name string, offset int64, text string) {
	if !r.told {
		r.report(engine.Fault{Place: fmt.Sprintf("%s at %d", name, offset), Text: text})
	}
}

// noteCommit notes which bodies a group kept and which it dropped.
func (r *rescue) noteCommit(f *foundSegment, h recordHeader, at int64, data []byte) error {
	if h.kind != kindCommit {
		return nil
	}
	err := eachChange(data, func(key, value []byte) error {
		if b, ok := blobOfKey(key); ok {
			r.held[b] = value != nil
		}
		return nil
	})
	if err != nil {
		r.fault(f.name, at, err.Error())
	}
	return nil
}

// takeBody hands a body on.
func (r *rescue) takeBody(f *foundSegment, h recordHeader, at int64, data []byte) error {
	r.told = true
	if h.kind != kindBody || h.codec != 0 {
		return nil
	}
	return r.take(Rescued{engine.Blob(h.id), fmt.Sprintf("%s at %d", f.name, at), int64(len(data)), bytes.NewReader(data)})
}

func (r *rescue) take(body Rescued) error {
	if r.done[body.Blob] {
		return nil // compaction has moved it
	}
	r.done[body.Blob] = true
	if held, known := r.held[body.Blob]; known && !held {
		r.result.Dropped++
		return nil
	}
	r.result.Bodies++
	r.result.Octets += body.Size
	return r.fn(body)
}

// bodyFiles hands on the bodies that have files of their own.
func (r *rescue) bodyFiles() error {
	dir := filepath.Join(r.dir, largeDir)
	entries, err := r.fs.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if blob, ok := largeNumber(entry.Name()); ok {
			if err := r.bodyFile(blob, filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rescue) bodyFile(blob engine.Blob, name string) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	file, err := r.fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return err
	}
	return r.take(Rescued{blob, name, size, io.NewSectionReader(file, 0, size)})
}

// unsaltedHeader parses a record header whose own checksum cannot be verified.
func unsaltedHeader(b []byte) (recordHeader, bool) {
	h := readRecordHeader(b)
	plausible := string(b[:4]) == recordMagic && (h.kind == kindBody || h.kind == kindCommit) && b[6] == 0 && b[7] == 0 && h.id <= math.MaxInt64
	return h, plausible
}
