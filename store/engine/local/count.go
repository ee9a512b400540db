package local

import (
	"fmt"
	"maps"

	"tripost/store/engine"
)

// bodyCount is what opening learns from the body map.
type bodyCount struct {
	orphans int // body files that no blob had; they are removed
	faulty  int // entries that make no sense
}

// bodyCounter learns what is live.
type bodyCounter struct {
	e       *Engine
	files   map[engine.Blob]bool // in large/, and named by no entry so far
	changes []liveChange
	faulty  int
}

// countBodies learns at opening what of each segment is live, and removes the
// body files that no blob has. The index says it in its tally, as of its position; where
// that is missing or does not fit, the body map is read as a whole.
//
// An entry that makes no sense may be the only one that says why a file is
// needed, and which one that is cannot be known: then no file is removed, now or
// later in this run.
func (e *Engine) countBodies(at position) (bodyCount, error) {
	files, err := e.largeOnDisk()
	if err != nil {
		return bodyCount{}, err
	}
	l, err := e.layersNow()
	if err != nil {
		return bodyCount{}, err
	}
	defer l.tx.Rollback()
	c := &bodyCounter{e: e, files: maps.Clone(files)}
	if e.checkpoints.tallied = c.recall(&l, at); !e.checkpoints.tallied {
		c = &bodyCounter{e: e, files: files}
		for it, err := range l.forward(bodyFirst, bodyEnd) {
			if err != nil {
				return bodyCount{}, err
			}
			c.take(it)
		}
	}
	c.book()
	if c.faulty > 0 {
		e.segments.doubt()
		return bodyCount{faulty: c.faulty}, nil
	}
	for b := range c.files {
		if err := ignoreMissing(e.o.FS.Remove(e.largePath(b))); err != nil {
			return bodyCount{}, err
		}
	}
	return bodyCount{orphans: len(c.files)}, nil
}

// take counts one entry.
func (c *bodyCounter) take(it engine.Item) {
	b, ok := blobOfKey(it.Key)
	entry, err := parseBodyEntry(it.Value)
	switch {
	case !ok || err != nil:
		c.fault("body map: key %x is malformed", it.Key)
		return
	case entry.segment == 0 && !c.files[b]:
		c.fault("body file %s is missing", largeName(b))
	case entry.segment != 0 && !c.e.segments.holds(entry):
		c.fault("body map: blob %d would be at %s, where no body can be", b, position{segment: entry.segment, offset: entry.offset})
	}
	delete(c.files, b)
	c.changes = append(c.changes, entry.live(1))
	if len(c.changes) == 4096 {
		c.book()
	}
}

// faultsLogged bounds how many entries are named in the log. Check names all.
const faultsLogged = 100

func (c *bodyCounter) fault(format string, args ...any) {
	if c.faulty++; c.faulty <= faultsLogged {
		c.e.o.Logf(1, fmt.Sprintf(format, args...))
	}
}

func (c *bodyCounter) book() {
	c.e.segments.account(c.changes, 0)
	c.changes = c.changes[:0]
}

// holds reports whether a record can be where the entry says.
func (s *segmentSet) holds(entry bodyEntry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg := s.byNumber[entry.segment]
	return seg != nil && entry.offset >= segmentHeaderSize && entry.length <= seg.size &&
		entry.offset <= seg.size-entry.footprint()
}
