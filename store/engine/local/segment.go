package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"tripost/store/engine"
)

func segmentName(number uint64) string { return fmt.Sprintf("%08d.seg", number) }

func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ".seg")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0 && segmentName(n) == name
}

// segment is one file of the journal. Its header and records never change once
// they are written; the fields below the line are guarded by the set's mutex.
type segment struct {
	header segmentHeader
	seed   uint32
	name   string

	// ----
	size   int64  // octets that count
	live   int64  // of those, in records of blobs with a reference
	empty  uint64 // sequence number of the group that took the last live one
	spoilt bool   // has octets that fail their checksum: not to be compacted
	file   File   // nil while closed
	users  int    // readers of file now
	used   uint64 // when file was last asked for, by the set's clock
	gone   bool   // the name is removed; file closes with its last user
}

// segmentSet knows all segments, how much of each is live, and keeps a bounded
// number of their files open.
type segmentSet struct {
	fs       FS
	dir      string
	maxOpen  int
	mu       sync.Mutex
	byNumber map[uint64]*segment
	open     int
	clock    uint64
	pins     int    // while above zero no file is removed
	kept     uint64 // from this number on segments stay for the copy of the index
	unsure   bool   // the body map is damaged: no file is removed in this run
	large    int64  // octets of blobs with a file of their own

	largeBlobs int64 // how many those are
}

func newSegmentSet(fs FS, dir string, maxOpen int) *segmentSet {
	return &segmentSet{fs: fs, dir: dir, maxOpen: maxOpen, byNumber: map[uint64]*segment{}, kept: keepNothing}
}

func (s *segmentSet) path(number uint64) string {
	return filepath.Join(s.dir, segmentName(number))
}

// add makes a segment known. file may be nil, or open with one user.
func (s *segmentSet) add(h segmentHeader, size int64, file File) *segment {
	seg := &segment{header: h, seed: h.seed(), name: s.path(h.number), size: size, file: file}
	s.mu.Lock()
	defer s.mu.Unlock()
	if file != nil {
		seg.users = 1
		s.open++
	}
	s.byNumber[h.number] = seg
	return seg
}

var errSegmentGone = errors.New("segment is gone")

// acquire returns a segment with its file open until release.
func (s *segmentSet) acquire(number uint64) (*segment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg := s.byNumber[number]
	if seg == nil {
		return nil, fmt.Errorf("%w: %s", errSegmentGone, segmentName(number))
	}
	if seg.file == nil {
		s.closeIdle()
		f, err := s.fs.OpenFile(seg.name, os.O_RDONLY, 0)
		if err != nil {
			return nil, err
		}
		seg.file = f
		s.open++
	}
	s.clock++
	seg.used = s.clock
	seg.users++
	return seg, nil
}

// closeIdle makes room for one more open file, if any can be spared.
func (s *segmentSet) closeIdle() {
	if s.open < s.maxOpen {
		return
	}
	var oldest *segment
	for _, seg := range s.byNumber {
		if seg.file != nil && seg.users == 0 && (oldest == nil || seg.used < oldest.used) {
			oldest = seg
		}
	}
	if oldest != nil {
		s.closeFile(oldest)
	}
}

// closeFile closes a file that was read, or written and synced: closing it can
// lose nothing.
func (s *segmentSet) closeFile(seg *segment) {
	seg.file.Close()
	seg.file = nil
	s.open--
}

func (s *segmentSet) release(seg *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.users--
	if seg.users == 0 && seg.gone && seg.file != nil {
		s.closeFile(seg)
	}
}

// grow notes that a segment's octets count up to size now.
func (s *segmentSet) grow(seg *segment, size int64) {
	s.mu.Lock()
	seg.size = size
	s.mu.Unlock()
}

// liveChange is what a commit did to a segment's live octets. Segment 0 stands for the
// blobs with a file of their own, which are counted as well.
type liveChange struct {
	segment uint64
	octets  int64
	blobs   int64 // 0 but for segment 0
}

// account books the changes of group seq.
func (s *segmentSet) account(changes []liveChange, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		if c.segment == 0 {
			s.large += c.octets
			s.largeBlobs += c.blobs
			continue
		}
		if seg := s.byNumber[c.segment]; seg != nil {
			seg.live += c.octets
			if seg.live == 0 {
				seg.empty = seq
			}
		}
	}
}

// sum returns what all bodies take and how much of it is live, in octets.
func (s *segmentSet) sum() (disk, live int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	disk, live = s.large, s.large
	for _, seg := range s.byNumber {
		disk += seg.size
		live += seg.live
	}
	return disk, live
}

// pin keeps every file in its place until unpin.
func (s *segmentSet) pin() {
	s.mu.Lock()
	s.pins++
	s.mu.Unlock()
}

func (s *segmentSet) pinned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pins > 0 || s.unsure
}

// doubt keeps every file for the rest of the run: what is live is not known.
func (s *segmentSet) doubt() {
	s.mu.Lock()
	s.unsure = true
	s.mu.Unlock()
}

func (s *segmentSet) doubted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsure
}

func (s *segmentSet) unpin() {
	s.mu.Lock()
	s.pins--
	s.mu.Unlock()
}

// sweep removes the segments that hold nothing live, and that neither replay
// after cp or over the copy of the index nor a move which cp does not cover yet could ask for. It returns the
// octets given back.
func (s *segmentSet) sweep(cp position) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pins > 0 || s.unsure {
		return 0, nil
	}
	var freed int64
	for number, seg := range s.byNumber {
		if seg.live != 0 || number >= min(cp.segment, s.kept) || seg.empty > cp.seq {
			continue
		}
		if err := s.fs.Remove(seg.name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return freed, fmt.Errorf("removing segment %q: %w", seg.name, err)
		}
		delete(s.byNumber, number)
		seg.gone = true
		if seg.users == 0 && seg.file != nil {
			s.closeFile(seg)
		}
		freed += seg.size
	}
	return freed, nil
}

// closeAll lets go of the files that nobody reads; the others close with their
// last reader.
func (s *segmentSet) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.byNumber {
		seg.gone = true
		if seg.users == 0 && seg.file != nil {
			s.closeFile(seg)
		}
	}
}

// damaged is the error for octets on disk that are not what was written.
func damaged(name string, offset int64, what string) error {
	return fmt.Errorf("%w: %s at offset %d: %s", engine.ErrDamaged, name, offset, what)
}
