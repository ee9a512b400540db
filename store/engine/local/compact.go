package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tripost/store/engine"
)

// compactNow is the live share of a segment above which Compact on demand
// leaves it alone: moving nine octets to free one is not worth it.
const compactNow = 0.9

// errUnsure is why a store with a damaged body map is not compacted: moving
// bodies would only take more space.
var errUnsure = fmt.Errorf("%w: the body map has entries that make no sense, so no file can be removed", engine.ErrDamaged)

// Compact gives back the space of dropped blobs, as fast as it can; see
// [engine.Engine]. It fails with [engine.ErrDamaged] when the body map is damaged, as
// far as is known or seen while it is read.
func (e *Engine) Compact(ctx context.Context) (int64, error) {
	if err := e.running.enter(); err != nil {
		return 0, err
	}
	defer e.running.leave()
	if e.segments.doubted() {
		return 0, errUnsure
	}
	before := e.freed.Load()
	err := e.seal()
	if err == nil {
		err = e.compact(ctx, compactNow, 0)
	}
	if err == nil {
		err = e.copyForSpace(ctx)
	}
	return e.freed.Load() - before, err
}

// copyForSpace makes a new copy of the index, so that the segments which the one before
// needed can go. They stay where that fails, which is no failure to compact.
func (e *Engine) copyForSpace(ctx context.Context) error {
	if e.o.CopyIndex < 0 {
		return nil
	}
	err := e.copyAtOnce(ctx)
	if errors.Is(err, errUnsure) {
		return err
	}
	if err != nil && ctx.Err() == nil {
		e.o.Logf(3, fmt.Sprintf("copying the index: %v", err))
	}
	return ctx.Err()
}

// compactLoop compacts in the background, slowly.
func (e *Engine) compactLoop(ctx context.Context) {
	if e.o.CompactBelow < 0 || e.segments.doubted() {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(e.o.CompactEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if e.readOnly() != nil || e.segments.doubted() {
			continue
		}
		if err := e.compact(ctx, e.o.CompactBelow, e.o.CompactRate); err != nil && ctx.Err() == nil {
			e.o.Logf(3, fmt.Sprintf("compacting the journal: %v", err))
		}
	}
}

// seal ends the segment in use, so that it can be compacted as well.
func (e *Engine) seal() error {
	var failed error
	err := e.onCommitter(func() {
		c := e.committer
		if c.journal.active == nil || c.journal.size == segmentHeaderSize {
			return
		}
		if failed = e.readOnly(); failed != nil {
			return
		}
		if err := c.journal.rotate(0); err != nil {
			failed = e.failJournal(err)
			return
		}
		e.mu.Lock()
		e.end = c.journal.end
		e.mu.Unlock()
	})
	if err != nil {
		return err
	}
	return failed
}

// compact moves what is live out of the segments whose live share is below a
// limit, and removes the segments that hold nothing any more. rate is in
// octets per second, 0 for no limit.
func (e *Engine) compact(ctx context.Context, below float64, rate int64) error {
	e.compactionMu.Lock()
	defer e.compactionMu.Unlock()
	if err := e.checkpoint(); err != nil {
		return err
	}
	sparse := e.segments.sparse(e.checkpoints.covered().segment, below)
	if len(sparse) == 0 {
		return nil
	}
	moves, err := e.bodiesIn(ctx, sparse)
	if err != nil {
		return err
	}
	var done, total int64
	for i := range moves {
		total += moves[i].from.footprint()
	}
	for len(moves) > 0 {
		n, octets := batch(moves, int64(e.o.GroupBytes)/4)
		if err := e.moveAll(ctx, moves[:n]); err != nil {
			return err
		}
		moves = moves[n:]
		done += octets
		engine.Progress(ctx, done, total)
		if err := pace(ctx, octets, rate); err != nil {
			return err
		}
	}
	return e.checkpoint()
}

// compactSegments and compactBodies bound one round of compaction.
const (
	compactSegments = 16
	compactBodies   = 1 << 18
)

// sparse returns the segments before limit that are worth compacting, the
// emptiest first.
func (s *segmentSet) sparse(limit uint64, below float64) map[uint64]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*segment
	for number, seg := range s.byNumber {
		if number < limit && !seg.spoilt && seg.live > 0 && float64(seg.live) < below*float64(seg.size) {
			found = append(found, seg)
		}
	}
	slices.SortFunc(found, func(a, b *segment) int {
		return cmp.Compare(float64(a.live)/float64(a.size), float64(b.live)/float64(b.size))
	})
	chosen := map[uint64]bool{}
	for _, seg := range found[:min(len(found), compactSegments)] {
		chosen[seg.header.number] = true
	}
	return chosen
}

// move is one blob to give a new place.
type move struct {
	blob engine.Blob
	from bodyEntry
}

// bodiesIn returns the blobs in some segments, in the order in which they lie
// there. It reads the body map in pieces, so that no View stays open for long.
func (e *Engine) bodiesIn(ctx context.Context, segments map[uint64]bool) ([]move, error) {
	var moves []move
	from := bodyFirst
	for from != nil && len(moves) < compactBodies {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l, err := e.layersNow()
		if err != nil {
			return nil, err
		}
		err = guarded(indexName, func() (err error) {
			moves, from, err = e.appendMoves(moves, &l, from, segments)
			return err
		})
		_ = l.tx.Rollback()
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(moves, func(a, b move) int {
		return cmp.Or(cmp.Compare(a.from.segment, b.from.segment), cmp.Compare(a.from.offset, b.from.offset))
	})
	return moves, nil
}

// appendMoves reads one piece of the body map and returns where the next one
// begins, nil at the end.
func (e *Engine) appendMoves(moves []move, l *layers, from []byte, segments map[uint64]bool) ([]move, []byte, error) {
	const piece = 4096
	seen := 0
	for it, err := range l.forward(from, bodyEnd) {
		if err != nil {
			return moves, nil, err
		}
		if seen++; seen > piece {
			return moves, slices.Clone(it.Key), nil
		}
		b, entry, err := e.sensibleEntry(it)
		if err != nil {
			return moves, nil, err
		}
		if segments[entry.segment] {
			moves = append(moves, move{b, entry})
		}
	}
	return moves, nil, nil
}

// batch returns how many of the first moves come to about limit octets.
func batch(moves []move, limit int64) (n int, octets int64) {
	for n < len(moves) && (n == 0 || octets+moves[n].from.footprint() <= limit) {
		octets += moves[n].from.footprint()
		n++
	}
	return n, octets
}

// moveAll copies some bodies to the end of the journal, in one Update like any
// other: a crash leaves each at its old place or at its new one.
func (e *Engine) moveAll(ctx context.Context, moves []move) error {
	bodies := make([][]byte, len(moves))
	for i, m := range moves {
		octets, err := e.readWhole(m)
		if err != nil {
			e.segments.spoil(m.from.segment)
			e.o.Logf(1, fmt.Sprintf("compacting leaves blob %d where it is: %v", m.blob, err))
			continue
		}
		bodies[i] = octets
	}
	return e.update(ctx, func(t *tx) error {
		for i, m := range moves {
			if bodies[i] == nil {
				continue
			}
			if err := t.move(m.blob, m.from, bodies[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// spoil marks a segment that cannot be compacted.
func (s *segmentSet) spoil(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seg := s.byNumber[number]; seg != nil {
		seg.spoilt = true
	}
}

// readWhole reads and verifies a body as it lies on disk.
func (e *Engine) readWhole(m move) ([]byte, error) {
	seg, err := e.segments.acquire(m.from.segment)
	if err != nil {
		return nil, err
	}
	defer e.segments.release(seg)
	octets := make([]byte, m.from.length)
	if _, err := seg.file.ReadAt(octets, m.from.offset+recordHeaderSize); err != nil && m.from.length > 0 {
		return nil, fmt.Errorf("reading %q at offset %d: %w", seg.name, m.from.offset, err)
	}
	if checksum(octets) != m.from.sum {
		return nil, damaged(seg.name, m.from.offset, "checksum of blob differs")
	}
	return octets, nil
}

// pace waits as long as moving some octets should take.
func pace(ctx context.Context, octets, rate int64) error {
	if rate <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(time.Duration(float64(octets) / float64(rate) * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
