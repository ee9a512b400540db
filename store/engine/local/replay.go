package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// replayed is what the journal after a checkpoint came to.
type replayed struct {
	end     position
	highest uint64 // segment number in use
	groups  int
	torn    int64 // octets behind the end, of a group that was never acknowledged
	tail    *tail // what may not be on disk yet, though it can be read
}

// replay finds the segments and applies every whole group after cp, in order.
//
// Only the last group of the journal may be less than whole: the crash came
// while it was written. Anything else that does not read as it was written is
// damage, and is returned as an error that names file and offset.
func replay(set *segmentSet, cp checkpoint, logf func(int, string), apply func(key, value []byte) error) (replayed, error) {
	found, highest, err := findSegments(set)
	if err != nil {
		return replayed{}, err
	}
	chain, err := chainSegments(found, cp.position)
	if err != nil {
		return replayed{}, err
	}
	result := replayed{end: cp.position, highest: max(highest, cp.segment)}
	for i, f := range chain {
		limit := f.size
		last := i == len(chain)-1
		if !last {
			limit = chain[i+1].header.previousValid
		}
		from := position{f.header.number, segmentHeaderSize, f.header.firstSeq - 1}
		if f.header.number == cp.segment {
			from = cp.position
		} else if from.seq != result.end.seq {
			return result, damaged(f.name, 0, fmt.Sprintf("begins with group %d after group %d", f.header.firstSeq, result.end.seq))
		}
		end, groups, newest, err := replaySegment(f, from, limit, last, apply)
		result.end = end
		result.groups += groups
		if err != nil {
			return result, err
		}
		if last {
			if result.torn, err = f.tornBehind(end.offset); err != nil {
				return result, err
			}
			result.tail = newest
			if result.torn == 0 && f.size > end.offset {
				if newest == nil { // the index has it all
					result.tail = &tail{name: f.name, from: end.offset, to: end.offset}
				}
				result.tail.cut = true
			}
		}
		f.size = end.offset
	}
	return result, addSegments(set, found, chain, cp, logf)
}

// foundSegment is a segment file as opening finds it.
type foundSegment struct {
	header segmentHeader
	whole  bool // the header is
	number uint64
	name   string
	size   int64
	fs     FS
}

// findSegments lists the segment files by number.
func findSegments(set *segmentSet) ([]*foundSegment, uint64, error) {
	entries, err := set.fs.ReadDir(set.dir)
	if err != nil {
		return nil, 0, err
	}
	var found []*foundSegment
	var highest uint64
	for _, e := range entries {
		number, ok := segmentNumber(e.Name())
		if !ok {
			continue
		}
		f := &foundSegment{number: number, name: set.path(number), fs: set.fs}
		if err := f.readHeader(); err != nil {
			return nil, 0, err
		}
		highest = max(highest, number)
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b *foundSegment) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	return found, highest, nil
}

func (f *foundSegment) readHeader() error {
	file, err := f.fs.OpenFile(f.name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if f.size, err = file.Size(); err != nil {
		return err
	}
	b := make([]byte, segmentHeaderSize)
	if _, err := file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	h, err := parseSegmentHeader(b)
	if err == nil && h.number == f.number {
		f.header, f.whole = h, true
	}
	return nil
}

// chainSegments returns the segments from the checkpoint's on, found by going
// back from the newest one: each names the one before it. A segment that could
// not be begun, because its header could not be made durable, is not in the
// chain.
func chainSegments(found []*foundSegment, cp position) ([]*foundSegment, error) {
	byNumber := map[uint64]*foundSegment{}
	var newest *foundSegment
	for _, f := range found {
		byNumber[f.number] = f
		switch {
		case f.whole && f.number >= cp.segment:
			newest = f
		case !f.whole && f.number >= cp.segment && f.size > segmentHeaderSize:
			return nil, damaged(f.name, 0, errSegmentHeader.Error())
		}
	}
	if newest == nil {
		if cp.segment != 0 {
			return nil, damaged(segmentName(cp.segment), cp.offset, "the index reaches to here, but the segment is missing")
		}
		return nil, nil
	}
	var chain []*foundSegment
	for f := newest; ; {
		chain = append(chain, f)
		if f.number == cp.segment || f.header.previous == 0 && cp.segment == 0 {
			break
		}
		before := byNumber[f.header.previous]
		if before == nil || !before.whole || before.number < cp.segment {
			return nil, damaged(segmentName(f.header.previous), 0, fmt.Sprintf("segment is missing between the index, which reaches to %s, and %s", cp, f.name))
		}
		if f.header.previousValid > before.size {
			return nil, damaged(before.name, before.size, fmt.Sprintf("segment ends here, but %d octets of it were written", f.header.previousValid))
		}
		f = before
	}
	slices.Reverse(chain)
	return chain, nil
}

// replaySegment applies the whole groups of f between from and limit, and
// returns where they end, how many there were, and where the newest thing
// written there lies. In the last segment the first group that is not whole
// ends the journal.
func replaySegment(f *foundSegment, from position, limit int64, last bool, apply func(key, value []byte) error) (end position, groups int, newest *tail, err error) {
	end = from
	file, err := f.fs.OpenFile(f.name, os.O_RDONLY, 0)
	if err != nil {
		return end, 0, nil, err
	}
	defer file.Close()
	if from.offset > limit {
		return end, 0, nil, damaged(f.name, limit, fmt.Sprintf("segment ends here, but the index reaches to offset %d", from.offset))
	}
	if from.offset == segmentHeaderSize {
		newest = &tail{name: f.name, to: segmentHeaderSize}
	}
	w := newWalker(file, f.name, f.header.seed(), from.offset, limit)
	for w.offset < limit {
		group, err := w.group(end.seq + 1)
		if errors.Is(err, errNotWhole) {
			if last {
				return end, groups, newest, f.tornOrDamaged(file, end)
			}
			return end, groups, nil, damaged(f.name, end.offset, err.Error())
		}
		if err != nil {
			return end, groups, nil, fmt.Errorf("reading %q: %w", f.name, err)
		}
		if err := eachChange(group.changes, apply); err != nil {
			return end, groups, nil, damaged(f.name, end.offset, err.Error())
		}
		newest = &tail{name: f.name, from: end.offset, to: w.offset}
		end.offset, end.seq = w.offset, end.seq+1
		groups++
	}
	return end, groups, newest, nil
}

// tornBehind returns how many octets behind end are of a group that is not whole.
// Zeros at the end of the file were written ahead.
func (f *foundSegment) tornBehind(end int64) (int64, error) {
	if f.size == end {
		return 0, nil
	}
	file, err := f.fs.OpenFile(f.name, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	last, err := written(file, end, f.size)
	if err != nil {
		return 0, fmt.Errorf("reading %q: %w", f.name, err)
	}
	return last - end, nil
}

// tornOrDamaged tells the two reasons apart why the group after end is not
// whole. A group is written only when the one before it is durable: if any
// later commit record is there, this one was once whole.
func (f *foundSegment) tornOrDamaged(file File, end position) error {
	const piece = 1 << 20
	seed := f.header.seed()
	buf := make([]byte, piece+recordHeaderSize)
	for at := end.offset; at < f.size; at += piece {
		n, err := file.ReadAt(buf[:min(int64(len(buf)), f.size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading %q: %w", f.name, err)
		}
		b := buf[:n]
		for i := 0; i+recordHeaderSize <= len(b); i++ {
			next := bytes.Index(b[i:], []byte(recordMagic))
			if next < 0 {
				break
			}
			i += next
			r, ok := parseRecordHeader(b[i:], seed)
			if ok && r.kind == kindCommit && r.id > end.seq+1 {
				return damaged(f.name, end.offset, fmt.Sprintf("group %d is not whole, but group %d behind it was written", end.seq+1, r.id))
			}
		}
	}
	return nil
}

// addSegments makes the files known to the set, and removes those of segments
// that were never begun.
func addSegments(set *segmentSet, found, chain []*foundSegment, cp checkpoint, logf func(int, string)) error {
	for _, f := range found {
		if f.number >= cp.segment && !slices.Contains(chain, f) {
			if err := f.removeUnused(); err != nil {
				return err
			}
			continue
		}
		if !f.whole {
			logf(1, fmt.Sprintf("%s: %v; the bodies in it can still be read", f.name, errSegmentHeader))
			f.header.number = f.number
		}
		seg := set.add(f.header, f.size, nil)
		seg.spoilt = !f.whole
	}
	return nil
}

// removeUnused removes a segment outside the chain, once it is sure that no
// group is in it.
func (f *foundSegment) removeUnused() error {
	if f.whole {
		file, err := f.fs.OpenFile(f.name, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		w := newWalker(file, f.name, f.header.seed(), segmentHeaderSize, f.size)
		_, err = w.group(f.header.firstSeq)
		file.Close()
		if err == nil {
			return damaged(f.name, segmentHeaderSize, "segment holds a group, but no later one follows it")
		}
	}
	return ignoreMissing(f.fs.Remove(f.name))
}
