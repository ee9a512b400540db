package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// The active segment is written out ahead: zeros stand behind its last group,
// synced, so that a group lies in blocks that the file has already. Its sync then
// writes its octets alone, where it would wait for the file system's own
// journal to record a new length and new blocks. Zeros are never part of a record's
// header, so to whoever reads a segment they are its end.

const (
	// aheadAfter is how many groups a segment has before it is worth it.
	aheadAfter = 8
	// aheadLeft is how much less than that is room for a group or two of single
	// mails, in octets.
	aheadLeft = 32 << 10
	// aheadPiece is how many zeros are written at once: fewer while the segment is
	// shorter than that itself.
	aheadPiece = 256 << 10
	// aheadGroup is the mean length of a group from which on writing each of its
	// octets twice costs more than what its sync saves.
	aheadGroup = 32 << 10
	// aheadAlign is a block of a file system: zeros begin with a new one, and leave
	// the one alone in which the last group ends.
	aheadAlign = 4 << 10
)

// ahead is what lies behind the last group of the active segment.
type ahead struct {
	zeros   []byte
	end     int64 // of the zeros on disk, as far as they are known to be there
	length  int64 // the file's, at most
	mean    int64 // length of a group
	stopped bool  // for the rest of this segment
	failed  bool  // a sync: the file must not be written again
}

// began forgets what was known of the segment before.
func (a *ahead) began() {
	*a = ahead{zeros: a.zeros, mean: a.mean, stopped: a.failed}
}

// note takes the length of a group into the mean.
func (a *ahead) note(group int64) { a.mean += (group - a.mean) / 8 }

// aheadDue reports whether few zeros are left behind the last group, and there should be.
func (j *journal) aheadDue() bool {
	a := &j.ahead
	return j.active != nil && !a.stopped && !a.failed && a.mean <= aheadGroup && a.end-j.size < aheadLeft &&
		a.end < j.segBytes && j.end.seq >= j.active.header.firstSeq+aheadAfter-1
}

// writeAhead writes zeros behind the last group, up to the length of a segment. A
// disk without room for zeros may have some for groups still: then it is left,
// and nothing fails. After a sync that fails the next group goes to a new segment,
// for what the file has on disk is unknown behind its last group.
func (j *journal) writeAhead() {
	a := &j.ahead
	from := (max(j.size, a.end) + aheadAlign - 1) &^ (aheadAlign - 1)
	to := min(from+max(min(aheadPiece, j.size), 2*aheadLeft), j.segBytes)
	if to <= from {
		a.stopped = true
		return
	}
	if a.zeros == nil {
		a.zeros = make([]byte, aheadPiece)
	}
	a.length = to
	if _, err := j.active.file.WriteAt(a.zeros[:to-from], from); err != nil {
		a.stopped = true
		return
	}
	if err := j.sync(j.active.file); err != nil {
		a.failed = true
		return
	}
	a.end = to
}

// cut takes the zeros off the active segment, which ends here. It is a matter of
// space alone: where a segment ends stands in the header of the next one.
func (j *journal) cut() error {
	if j.active == nil || j.ahead.length <= j.size {
		return nil
	}
	j.ahead.stopped, j.ahead.end = true, 0
	err := j.active.file.Truncate(j.size)
	if err == nil {
		err = j.sync(j.active.file)
	}
	if err != nil {
		return fmt.Errorf("cutting journal %q to its length: %w", j.active.name, err)
	}
	j.ahead.length = j.size
	return nil
}

// written returns where the last octet between from and to that is not zero ends,
// from if there is none.
func written(file File, from, to int64) (int64, error) {
	const piece = 256 << 10
	buf := make([]byte, min(piece, to-from))
	end := from
	for at := from; at < to; at += piece {
		b := buf[:min(piece, to-at)]
		n, err := file.ReadAt(b, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return end, err
		}
		if rest := bytes.TrimRight(b[:n], "\x00"); len(rest) > 0 {
			end = at + int64(len(rest))
		}
	}
	return end, nil
}
