package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// indexCopies is the state of keeping a copy of the index, from which, with the
// journal since, a lost index can be made again.
//
// A copy says from which position on the journal must be replayed over it. It may
// have any later state of any key: what it has and what the journal says since come
// to the same. So it is read piece by piece, while checkpoints go on.
type indexCopies struct {
	due     chan struct{}
	writing sync.Mutex // one at a time

	mu     sync.Mutex
	have   bool               // the journal goes back without a gap to
	at     position           // here: of the copy, or the zero position, from which nothing is needed
	slow   context.CancelFunc // ends the copying in the background, if there is any
	urgent int                // who are in a hurry: the background leaves it to them
}

// keepNothing is the segment number from which on no segment stays for a copy.
const keepNothing = math.MaxUint64

// findCopy looks at opening for a copy that the journal reaches back to. Without one the
// journal itself may still go back to the beginning.
func (e *Engine) findCopy() {
	c := &e.copies
	if e.o.CopyIndex < 0 {
		return
	}
	from, err := readCopyHeader(filepath.Join(e.dir, copyName), e.o.FS)
	switch {
	case err == nil && e.segments.reaches(e.end.segment, from.position):
		c.have, c.at = true, from.position
	case e.segments.reaches(e.end.segment, position{}):
		c.have = true
	}
	e.segments.keepFrom(c.kept())
}

// init makes the state for an engine that has no copy yet.
func (c *indexCopies) init() { c.due = make(chan struct{}, 1) }

// kept returns from which segment on the journal must stay.
func (c *indexCopies) kept() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.have {
		return keepNothing
	}
	return c.at.segment
}

func (c *indexCopies) set(have bool, at position) {
	c.mu.Lock()
	c.have, c.at = have, at
	c.mu.Unlock()
}

// copyDue reports whether the journal behind the copy has grown as long as a segment
// and as the index: then copying costs no more than the journal did, and what stays
// on disk for the copy's sake is bounded by the same.
func (e *Engine) copyDue() bool {
	if e.o.CopyIndex < 0 || e.segments.doubted() || e.checkpoints.covered().segment == 0 {
		return false
	}
	c := &e.copies
	c.mu.Lock()
	have, at := c.have, c.at
	c.mu.Unlock()
	return !have || e.segments.since(at) > max(e.o.CopyIndex, e.indexOctets())
}

// copyLoop copies the index when that is due.
func (e *Engine) copyLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.copies.due:
		}
		err := e.copySlowly(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil || errors.Is(err, context.Canceled) {
			continue
		}
		e.o.Logf(3, fmt.Sprintf("copying the index: %v", err))
		select { // not at every checkpoint again
		case <-ctx.Done():
			return
		case <-time.After(e.o.CompactEvery):
		}
	}
}

// copySlowly copies the index as the background does. It ends with
// [context.Canceled] when somebody is in a hurry.
func (e *Engine) copySlowly(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &e.copies
	c.mu.Lock()
	c.slow = cancel
	urgent := c.urgent > 0
	c.mu.Unlock()
	if urgent {
		return context.Canceled
	}
	return e.copyIndex(ctx, e.o.CompactRate)
}

// copyAtOnce copies the index as fast as it can.
func (e *Engine) copyAtOnce(ctx context.Context) error {
	c := &e.copies
	c.mu.Lock()
	c.urgent++
	if c.slow != nil {
		c.slow()
	}
	c.mu.Unlock()
	err := e.copyIndex(ctx, 0)
	c.mu.Lock()
	c.urgent--
	c.mu.Unlock()
	return err
}

// copyIndex makes a new copy of the index, and removes the files that only the one
// before still needed. rate is in octets of keys and values per second, 0 for no
// limit. When the disk is full the copy that is there goes, and what stayed for it:
// mail is worth more.
func (e *Engine) copyIndex(ctx context.Context, rate int64) error {
	c := &e.copies
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := e.readOnly(); err != nil {
		return err
	}
	k := &e.checkpoints
	k.mu.Lock() // no file goes meanwhile
	from := k.covered()
	if from.segment == 0 {
		k.mu.Unlock()
		return nil // the journal has no segment yet
	}
	e.segments.keepFrom(min(c.kept(), from.segment))
	k.mu.Unlock()
	err := e.writeCopy(ctx, from, rate)
	switch {
	case err == nil:
		c.set(true, from.position)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		err = errors.Join(err, ignoreMissing(e.o.FS.Remove(filepath.Join(e.dir, copyName))))
		c.set(false, position{})
	}
	e.segments.keepFrom(c.kept())
	k.mu.Lock()
	e.sweep()
	k.mu.Unlock()
	return err
}

// writeCopy writes the file: under another name, and in its place when it is durable.
func (e *Engine) writeCopy(ctx context.Context, from checkpoint, rate int64) error {
	name := filepath.Join(e.dir, copyName)
	fresh := name + ".new"
	err := writeDurably(e.o.FS, fresh, func(w *offsetWriter) error {
		return e.copyKeys(ctx, newCopyWriter(w, from), rate)
	})
	if err == nil {
		err = e.o.FS.Rename(fresh, name)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(e.o.FS.Remove(fresh)))
	}
	return e.o.FS.SyncDir(e.dir)
}

// copyKeys writes all keys, as the index has them. It opens no View for long.
func (e *Engine) copyKeys(ctx context.Context, w *copyWriter, rate int64) error {
	for next := []byte{}; next != nil; {
		l, err := e.layersNow()
		if err != nil {
			return err
		}
		// The overlay may be ahead of what is known to be on disk; the index is not.
		l.active, l.frozen = nil, nil
		err = guarded(indexName, func() (err error) {
			next, err = e.copyPiece(w, &l, next)
			return err
		})
		_ = l.tx.Rollback()
		if err != nil {
			return err
		}
		octets, err := w.flush()
		if err != nil {
			return err
		}
		if err := pace(ctx, octets, rate); err != nil {
			return err
		}
	}
	return w.end()
}

// copyPiece adds keys from one on, up to a block's worth, and returns where the next
// piece begins, nil at the end. A damaged body map is not copied: the copy that is there
// may be sound.
func (e *Engine) copyPiece(w *copyWriter, l *layers, from []byte) ([]byte, error) {
	for it, err := range l.forward(from, nil) {
		if err != nil {
			return nil, err
		}
		if w.full() {
			return append([]byte(nil), it.Key...), nil
		}
		if reserved(it.Key) {
			if _, _, err := e.sensibleEntry(it); err != nil {
				return nil, err
			}
		}
		w.add(it.Key, it.Value)
	}
	return nil, nil
}

// keepFrom keeps the segments from a number on, whatever is live in them.
func (s *segmentSet) keepFrom(number uint64) {
	s.mu.Lock()
	s.kept = number
	s.mu.Unlock()
}

// reaches reports whether the journal goes back from a segment to a position, each
// segment naming the one before it. The zero position is its beginning.
func (s *segmentSet) reaches(from uint64, to position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number := from; number != to.segment; {
		seg := s.byNumber[number]
		if seg == nil || seg.spoilt || number < to.segment {
			return false
		}
		number = seg.header.previous
	}
	if to.segment == 0 {
		return true
	}
	seg := s.byNumber[to.segment]
	return seg != nil && !seg.spoilt && seg.size >= to.offset
}

// since returns how long the journal behind a position is, in octets.
func (s *segmentSet) since(at position) (octets int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number, seg := range s.byNumber {
		if number >= at.segment {
			octets += seg.size
		}
	}
	return octets - at.offset
}

// indexOctets returns the length of the index file, in octets; 0 when it cannot be
// known now.
func (e *Engine) indexOctets() int64 {
	l, err := e.layersNow()
	if err != nil {
		return 0
	}
	defer l.tx.Rollback()
	return l.tx.Size()
}
