package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"tripost/store/engine"
)

// checker is one run of Check over one state.
type checker struct {
	e      *Engine
	ctx    context.Context
	report func(engine.Fault)
	result engine.CheckResult

	layers  layers
	end     position
	noted   map[uint64]segmentNote // as the engine keeps count
	counted map[uint64]int64       // live octets as the body map says
	walked  map[uint64]int64       // up to where every record of a segment has been read
	rotten  map[place]bool         // body records that fail their checksum
	total   int64                  // octets to read, about: for the progress
	read    int64                  // of these
}

type segmentNote struct {
	segment    *segment
	size, live int64
}

// Check reads everything; see [engine.Engine]. Updates go on meanwhile, and it
// looks at the state at its beginning. No file is removed until it is done.
func (e *Engine) Check(ctx context.Context, report func(engine.Fault)) (engine.CheckResult, error) {
	if err := e.running.enter(); err != nil {
		return engine.CheckResult{}, err
	}
	defer e.running.leave()
	e.segments.pin()
	defer e.segments.unpin()
	c := &checker{e: e, ctx: ctx, report: report, counted: map[uint64]int64{}, walked: map[uint64]int64{}, rotten: map[place]bool{}}
	if err := c.begin(); err != nil {
		return c.result, err
	}
	defer c.layers.tx.Rollback()
	for _, part := range []func() error{c.pages, c.journal, c.keys, c.rest, c.files, c.accounts, c.copy} {
		err := guarded(indexName, part)
		if errors.Is(err, engine.ErrDamaged) {
			c.fault(indexName, "%v", err)
		} else if err != nil {
			return c.result, err
		}
	}
	return c.result, nil
}

// begin takes the state between two groups, so that all parts of it agree.
func (c *checker) begin() error {
	var err error
	stopped := c.e.onCommitter(func() {
		if c.layers, err = c.e.layersNow(); err != nil {
			return
		}
		c.noted = c.e.segments.notes()
		c.total = c.e.segments.inFiles()
		c.end = c.e.committer.journal.end
	})
	return errors.Join(stopped, err)
}

// notes returns what is known of every segment.
func (s *segmentSet) notes() map[uint64]segmentNote {
	s.mu.Lock()
	defer s.mu.Unlock()
	notes := make(map[uint64]segmentNote, len(s.byNumber))
	for number, seg := range s.byNumber {
		notes[number] = segmentNote{seg, seg.size, seg.live}
	}
	return notes
}

func (c *checker) fault(place, format string, args ...any) {
	c.report(engine.Fault{Place: place, Text: fmt.Sprintf(format, args...)})
}

// keys reads every key, and every blob.
func (c *checker) keys() error {
	for it, err := range c.layers.forward(nil, nil) {
		if err != nil {
			return err
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if !reserved(it.Key) {
			c.result.Keys++
			continue
		}
		b, ok := blobOfKey(it.Key)
		entry, err := parseBodyEntry(it.Value)
		if !ok || err != nil {
			c.fault(fmt.Sprintf("key %x", it.Key), "not an entry of the body map")
			continue
		}
		c.blob(b, entry)
	}
	return nil
}

func (c *checker) blob(b engine.Blob, entry bodyEntry) {
	c.result.Blobs++
	c.result.BlobOctets += entry.length
	c.counted[entry.segment] += entry.footprint()
	place := fmt.Sprintf("blob %d", b)
	if entry.refs == 0 {
		c.fault(place, "has no reference but is there")
	}
	if entry.refs > 1<<40 {
		c.fault(place, "has %d references", entry.refs)
	}
	if next := c.e.nextBlob.Load(); uint64(b) >= next {
		c.fault(place, "has a number not yet given out, the next is %d", next)
	}
	opened, err := c.e.openEntry(b, entry)
	if err != nil {
		c.fault(place, "%v", err)
		return
	}
	defer opened.Close()
	if entry.segment != 0 && c.header(b, entry, opened) && c.verified(entry) {
		return
	}
	if _, err := opened.WriteTo(io.Discard); err != nil {
		c.fault(place, "%v", err)
	}
	c.progress(entry.length)
}

// progress tells that so many octets more have been read.
func (c *checker) progress(octets int64) {
	c.read += octets
	engine.Progress(c.ctx, c.read, max(c.read, c.total))
}

// header compares a body's record with its entry, and reports whether it fits.
func (c *checker) header(b engine.Blob, entry bodyEntry, opened *body) bool {
	buf := make([]byte, recordHeaderSize)
	if _, err := opened.file.ReadAt(buf, entry.offset); err != nil {
		c.fault(fmt.Sprintf("blob %d", b), "reading %s at offset %d: %v", opened.name, entry.offset, err)
		return false
	}
	r, ok := parseRecordHeader(buf, c.noted[entry.segment].segment.seed)
	if !ok || r.kind != kindBody || r.id != uint64(b) || int64(r.length) != entry.length || r.sum != entry.sum {
		c.fault(opened.name, "record at offset %d is not that of blob %d", entry.offset, b)
		return false
	}
	return true
}

// files looks for body files that nothing knows of.
func (c *checker) files() error {
	files, err := c.e.largeOnDisk()
	if err != nil {
		return err
	}
	for b := range files {
		if c.e.large.expects(b) {
			continue
		}
		// A file may have become a blob's since Check began.
		if _, err := c.e.lookup(b); errors.Is(err, engine.ErrNoBlob) && !c.e.large.expects(b) {
			if _, err := os.Stat(c.e.largePath(b)); err == nil {
				c.fault(largeName(b), "body file belongs to no blob")
			}
		}
	}
	return nil
}

// expects reports whether a file may be there without a blob that has it.
func (l *largeFiles) expects(b engine.Blob) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drafts[b] {
		return true
	}
	if slices.Contains(l.leftover, b) {
		return true
	}
	for _, files := range l.dropped {
		for _, f := range files {
			if f.blob == b {
				return true
			}
		}
	}
	return false
}

// accounts compares the count of live octets that compaction goes by.
func (c *checker) accounts() error {
	for number, n := range c.noted {
		c.result.DiskOctets += n.size
		if n.live != c.counted[number] {
			c.fault(segmentName(number), "%d live octets counted, %d in the body map", n.live, c.counted[number])
		}
	}
	c.result.DiskOctets += c.counted[0]
	return nil
}

// copy reads the copy of the index, if there is one.
func (c *checker) copy() error {
	r, err := openCopy(filepath.Join(c.e.dir, copyName), c.e.o.FS)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer r.file.Close()
		for more := true; more && err == nil && c.ctx.Err() == nil; {
			more, err = r.next(func([]byte, []byte) error { return nil })
		}
	}
	if errors.Is(err, engine.ErrDamaged) {
		c.fault(copyName, "%v", err)
		return nil
	}
	return errors.Join(err, c.ctx.Err())
}
