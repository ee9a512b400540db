package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"tripost/store/engine"
)

// place is where a record lies.
type place struct {
	segment uint64
	offset  int64
}

// inFiles returns the octets of the bodies that have files of their own.
func (s *segmentSet) inFiles() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.large
}

// journal reads every record of every segment: replay needs those behind the index, a
// rebuilding those behind the copy of it, and a rescue the others.
func (c *checker) journal() error {
	ends := map[uint64]int64{c.end.segment: c.end.offset}
	for _, n := range c.noted {
		c.total += n.size
		if h := n.segment.header; h.format != 0 {
			ends[h.previous] = h.previousValid
		}
	}
	for _, number := range slices.Sorted(maps.Keys(c.noted)) {
		n := c.noted[number]
		end, known := ends[number]
		if !known {
			end = n.size
		}
		if err := c.segment(n.segment.header, number, end, known); err != nil {
			return err
		}
	}
	return nil
}

// segment reads one up to its end. Where that is known every octet must be part of
// a whole group; else the segment that followed is gone, and a crash may have torn the
// last group. What cannot be read is a fault, and the rest of the segment is left to
// the blobs.
func (c *checker) segment(h segmentHeader, number uint64, end int64, known bool) error {
	seg, err := c.e.segments.acquire(number)
	if err != nil {
		c.fault(segmentName(number), "%v", err)
		return nil
	}
	defer c.e.segments.release(seg)
	if h.format == 0 && end <= segmentHeaderSize {
		return nil // it was never begun
	}
	var b [segmentHeaderSize]byte
	if _, err := seg.file.ReadAt(b[:], 0); err != nil && !errors.Is(err, io.EOF) {
		c.fault(seg.name, "offset 0: %v", err)
		return nil
	}
	if there, err := parseSegmentHeader(b[:]); err != nil || there != h {
		c.fault(seg.name, "offset 0: %v", errSegmentHeader)
		return nil
	}
	c.progress(segmentHeaderSize)
	s := segmentCheck{
		checker: c, header: h, known: known, seq: h.firstSeq, began: segmentHeaderSize, sound: true,
		walker: newWalker(seg.file, seg.name, h.seed(), segmentHeaderSize, end),
	}
	for more := true; more && s.offset < end; {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if more, err = s.next(); err != nil {
			c.fault(seg.name, "offset %d: %v", s.offset, err)
			more, s.sound = false, false
		}
	}
	s.finish()
	return nil
}

// segmentCheck is the reading of one segment.
type segmentCheck struct {
	*checker
	*walker
	header segmentHeader
	known  bool // the end is
	sound  bool // no record header was damaged so far

	began  int64  // where the group that is read does
	seq    uint64 // its number; 0: unknown, behind damage
	bodies uint32 // of it, so far
	rotted []place
}

// next reads a record and goes on behind it, or behind damage. It reports false at a
// torn group. An error is of reading.
func (s *segmentCheck) next() (more bool, err error) {
	at := s.offset
	r, err := s.record()
	if err == nil && int64(r.length) > s.limit-at-recordHeaderSize {
		err = fmt.Errorf("%w: record of %d octets goes beyond the end", errNotWhole, r.length)
	}
	if errors.Is(err, errNotWhole) {
		return s.skip(err)
	}
	if err != nil {
		return false, err
	}
	data, rot := s.data(r)
	if rot != nil && !errors.Is(rot, errNotWhole) {
		return false, rot
	}
	s.offset = at + recordHeaderSize + int64(r.length)
	s.progress(s.offset - at)
	if r.kind == kindCommit {
		return s.commit(at, r, data, rot)
	}
	if r.kind != kindBody {
		s.fault(s.name, "offset %d: record of unknown kind %d", at, r.kind)
	}
	s.bodies++
	if rot != nil {
		s.rotted = append(s.rotted, place{s.header.number, at})
	}
	return true, nil
}

// commit holds a commit record against the group that it ends.
func (s *segmentCheck) commit(at int64, r recordHeader, data []byte, rot error) (more bool, err error) {
	if rot == nil {
		rot = eachChange(data, func([]byte, []byte) error { return nil })
	}
	if rot != nil {
		if torn, err := s.torn(); torn || err != nil {
			return false, err
		}
		s.fault(s.name, "offset %d: changes of group %d: %v", at, r.id, rot)
	} else if s.seq != 0 && (r.id != s.seq || r.bodies != s.bodies) {
		s.fault(s.name, "offset %d: group %d with %d bodies where group %d with %d is due", at, r.id, r.bodies, s.seq, s.bodies)
	}
	s.keepRotted()
	s.began, s.seq, s.bodies = s.offset, r.id+1, 0
	return true, nil
}

// skip goes on behind octets that are no record.
func (s *segmentCheck) skip(what error) (more bool, err error) {
	if torn, err := s.torn(); torn || err != nil {
		return false, err
	}
	s.fault(s.name, "offset %d: %v", s.offset, what)
	s.keepRotted()
	s.sound, s.seq = false, 0
	s.offset, err = nextHeader(s.file, s.seed, s.offset+1, s.limit)
	return true, err
}

// torn tells whether the group that is read, which is not whole, may be the last one
// of a crash.
func (s *segmentCheck) torn() (bool, error) {
	if s.known || s.seq == 0 {
		return false, nil
	}
	f := &foundSegment{header: s.header, name: s.name, size: s.limit}
	err := f.tornOrDamaged(s.file, position{s.header.number, s.began, s.seq - 1})
	if errors.Is(err, engine.ErrDamaged) {
		return false, nil
	}
	return err == nil, err
}

// keepRotted notes the bodies of the group that fail their checksum.
func (s *segmentCheck) keepRotted() {
	for _, at := range s.rotted {
		s.rotten[at] = true
	}
	s.rotted = nil
}

// finish is called at the end of what could be read.
func (s *segmentCheck) finish() {
	if s.known && s.offset == s.limit && s.began < s.offset && s.seq != 0 {
		s.fault(s.name, "offset %d: group %d has no end", s.began, s.seq)
		s.keepRotted()
	}
	if s.sound {
		s.walked[s.header.number] = s.began
	}
}

// verified tells whether a body's octets were read with its segment, and agree.
func (c *checker) verified(entry bodyEntry) bool {
	at := place{entry.segment, entry.offset}
	if c.rotten[at] {
		delete(c.rotten, at) // the blob's own fault tells of it
		return false
	}
	return entry.offset < c.walked[entry.segment]
}

// rest tells of the damaged bodies that no blob has: a rebuilding stops at them.
func (c *checker) rest() error {
	for at := range c.rotten {
		c.fault(segmentName(at.segment), "offset %d: checksum of a body that is no blob's any more differs", at.offset)
	}
	return nil
}

// nextHeader returns where the next octets lie, from an offset on, that are a record's
// header, or the limit.
func nextHeader(file File, seed uint32, from, limit int64) (int64, error) {
	const piece = 1 << 20
	buf := make([]byte, piece+recordHeaderSize)
	for at := from; at < limit; at += piece {
		n, err := file.ReadAt(buf[:min(int64(len(buf)), limit-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return at, err
		}
		for i := 0; ; i++ {
			next := bytes.Index(buf[i:n], []byte(recordMagic))
			if next < 0 {
				break
			}
			i += next
			if _, ok := parseRecordHeader(buf[i:n], seed); ok {
				return at + int64(i), nil
			}
		}
	}
	return limit, nil
}
