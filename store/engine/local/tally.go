package local

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"tripost/store/engine"
)

// metaTally is where the index keeps a tally, beside the checkpoint.
var metaTally = []byte("tally")

// tally is what of the bodies is live at a position: what counting the whole body
// map would find. It goes into the index with each checkpoint, so that opening takes
// as long as there is journal behind it, whatever the number of messages.
type tally struct {
	at          position
	segments    []liveChange // those with live octets, ascending
	large       int64        // blobs with a file of their own
	largeOctets int64
}

// tallied returns the tally at a position; nil when it is not known, since the body
// map is damaged. It is for the committer, between groups.
func (s *segmentSet) tallied(at position) *tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsure || s.large < 0 || s.largeBlobs < 0 {
		return nil
	}
	t := &tally{at: at, large: s.largeBlobs, largeOctets: s.large}
	for number, seg := range s.byNumber {
		switch {
		case seg.live < 0:
			return nil
		case seg.live > 0:
			t.segments = append(t.segments, liveChange{segment: number, octets: seg.live})
		}
	}
	slices.SortFunc(t.segments, func(a, b liveChange) int { return cmp.Compare(a.segment, b.segment) })
	return t
}

const tallyVersion = 1

var errTally = errors.New("tally is malformed")

func (t *tally) encode() []byte {
	b := []byte{tallyVersion}
	for _, n := range []uint64{t.at.segment, uint64(t.at.offset), t.at.seq, uint64(t.large), uint64(t.largeOctets)} {
		b = binary.AppendUvarint(b, n)
	}
	before := uint64(0)
	for _, s := range t.segments {
		b = binary.AppendUvarint(b, s.segment-before)
		b = binary.AppendUvarint(b, uint64(s.octets))
		before = s.segment
	}
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

func parseTally(b []byte) (*tally, error) {
	if len(b) < 5 || b[0] != tallyVersion {
		return nil, errTally
	}
	rest, sum := b[1:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if checksum(b[:len(b)-4]) != sum {
		return nil, errTally
	}
	next := func() int64 {
		n, width := binary.Uvarint(rest)
		if width <= 0 || n > math.MaxInt64 {
			rest = nil
			return -1
		}
		rest = rest[width:]
		return int64(n)
	}
	var head [5]int64
	for i := range head {
		if head[i] = next(); head[i] < 0 {
			return nil, errTally
		}
	}
	t := &tally{
		at:    position{segment: uint64(head[0]), offset: head[1], seq: uint64(head[2])},
		large: head[3], largeOctets: head[4],
	}
	number := int64(0)
	for len(rest) > 0 {
		step, octets := next(), next()
		if step <= 0 || octets <= 0 || step > math.MaxInt64-number {
			return nil, errTally
		}
		number += step
		t.segments = append(t.segments, liveChange{segment: uint64(number), octets: octets})
	}
	return t, nil
}

// recall learns from the tally what countAll would find, and reports whether it could:
// where the tally does not fit the index, the segments and the files in every
// respect, all is counted.
//
// An entry of the body map that makes no sense is not noticed here unless it is of a
// large file: whatever reads the whole map looks for those, see sensibleEntry. Meanwhile
// its octets count as live, so that its segment stays.
func (c *bodyCounter) recall(l *layers, at position) bool {
	t, err := parseTally(l.tx.Bucket(bucketMeta).Get(metaTally))
	if c.e.o.recount || err != nil || t.at != at {
		return false
	}
	c.changes = append(t.segments, liveChange{octets: t.largeOctets, blobs: t.large})
	return c.replayed(l) && c.fits() && c.allLarge(l)
}

// replayed adds what the journal behind the tally changed.
func (c *bodyCounter) replayed(l *layers) bool {
	var it treeIter
	index := l.bucket.Cursor()
	for it.seek(l.active, bodyFirst); it.item() != nil && bytes.Compare(it.item().key, bodyEnd) < 0; it.next() {
		now := it.item()
		if key, before := index.Seek(now.key); bytes.Equal(key, now.key) && !c.change(key, before, -1) {
			return false
		}
		if now.kind != itemDeleted && !c.change(now.key, now.value, 1) {
			return false
		}
	}
	return true
}

// change adds an entry of the body map, or takes it away.
func (c *bodyCounter) change(key, value []byte, sign int64) bool {
	_, ok := blobOfKey(key)
	entry, err := parseBodyEntry(value)
	if !ok || err != nil || sign > 0 && entry.segment != 0 && !c.e.segments.holds(entry) {
		return false
	}
	c.changes = append(c.changes, entry.live(sign))
	return true
}

// fits reports whether each segment can have as much live as was found.
func (c *bodyCounter) fits() bool {
	live := map[uint64]int64{}
	for _, change := range c.changes {
		live[change.segment] += change.octets
	}
	sizes := c.e.segments.notes()
	for number, octets := range live {
		if octets < 0 || number != 0 && octets > sizes[number].size {
			return false
		}
	}
	return true
}

// allLarge reports whether the files in large/ that have a blob are as many octets as
// there should be. Only then is it sure that no blob has the others.
func (c *bodyCounter) allLarge(l *layers) bool {
	var missing liveChange
	for _, change := range c.changes {
		if change.segment == 0 {
			missing.octets += change.octets
			missing.blobs += change.blobs
		}
	}
	search := bodySearch{layers: l, cursor: l.bucket.Cursor()}
	for _, b := range slices.Sorted(maps.Keys(c.files)) {
		value := search.value(b)
		if value == nil {
			continue
		}
		entry, err := parseBodyEntry(value)
		if err != nil {
			return false
		}
		if entry.segment == 0 {
			missing.octets -= entry.length
			missing.blobs--
		}
		delete(c.files, b)
	}
	return missing == liveChange{}
}

// sensibleEntry reads an entry of the body map in some state of it. When it makes no
// sense and is still there, no file is removed any more in this run, and the error is
// errUnsure.
func (e *Engine) sensibleEntry(it engine.Item) (engine.Blob, bodyEntry, error) {
	b, ok := blobOfKey(it.Key)
	entry, err := parseBodyEntry(it.Value)
	if ok && err == nil {
		if entry.segment == 0 || e.segments.holds(entry) {
			return b, entry, nil
		}
		// A segment goes after its last entry: if this one is there yet, it is wrong.
		now, err := e.lookup(b)
		switch {
		case errors.Is(err, engine.ErrNoBlob), err == nil && !now.samePlace(entry):
			return b, entry, nil
		case err != nil && !errors.Is(err, engine.ErrDamaged):
			return b, entry, err
		}
	}
	if !e.segments.doubted() {
		e.segments.doubt()
		e.o.Logf(1, fmt.Sprintf("body map: the entry of key %x makes no sense, so no body file or segment will be removed", it.Key))
	}
	return 0, bodyEntry{}, errUnsure
}
