package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// journal is the writing end. Only the committer uses it.
type journal struct {
	fs       FS
	set      *segmentSet
	rand     io.Reader
	syncs    *atomic.Uint64
	active   *segment // nil before the first group of a run
	size     int64    // of active
	end      position // where the last whole group ends
	highest  uint64   // segment number in use or tried
	segBytes int64
	tail     *tail // of an earlier run, until it is known to be on disk
	ahead    ahead
}

// tail is the newest thing that an earlier run wrote: its last group, or the
// header of a segment without one. That run may have been killed before it
// could sync, or its sync may have failed, and then the octets can be read but
// may never reach the disk. Everything before was synced before this was begun.
type tail struct {
	name     string
	from, to int64
	cut      bool // nothing but zeros, written ahead, stands behind it
}

// confirm makes the tail durable. It writes the same octets to the same place,
// since after a failed sync the system takes them for written already; a crash
// in the middle of that changes nothing. It takes off the zeros behind.
func (j *journal) confirm() error {
	if j.tail == nil {
		return nil
	}
	f, err := j.fs.OpenFile(j.tail.name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, j.tail.to-j.tail.from)
	_, err = f.ReadAt(b, j.tail.from)
	if err == nil {
		_, err = f.WriteAt(b, j.tail.from)
	}
	if err == nil && j.tail.cut {
		err = f.Truncate(j.tail.to)
	}
	if err == nil {
		err = j.sync(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("confirming the end of %q: %w", j.tail.name, err)
	}
	j.tail = nil
	return nil
}

// room makes sure that a segment of this run is there for the next group.
func (j *journal) room() error {
	if j.active != nil && j.size < j.segBytes && !j.ahead.failed {
		return nil
	}
	return j.rotate(0)
}

// rotate begins a new segment, whose header says where the one before ends:
// that end is durable before any group can follow it. ballast is how many
// octets must fit on the disk beside the header.
func (j *journal) rotate(ballast int64) error {
	if err := j.confirm(); err != nil {
		return err
	}
	// What remains when this fails takes space, and no more.
	_ = j.cut()
	h, err := j.nextHeader()
	if err != nil {
		return err
	}
	name := j.set.path(h.number)
	f, err := j.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		err = j.writeHeader(f, h, ballast)
		if err != nil {
			f.Close()
			// It must not stay in the way: opening takes the highest
			// whole header for the end of the journal.
			err = errors.Join(err, ignoreMissing(j.fs.Remove(name)))
		}
	}
	if err != nil {
		return fmt.Errorf("beginning segment %q: %w", name, err)
	}
	if j.active != nil {
		j.set.release(j.active)
	}
	j.active = j.set.add(h, segmentHeaderSize, f)
	j.size = segmentHeaderSize
	j.ahead.began()
	j.end = position{h.number, segmentHeaderSize, j.end.seq}
	return nil
}

func (j *journal) nextHeader() (segmentHeader, error) {
	var salt [8]byte
	if _, err := io.ReadFull(j.rand, salt[:]); err != nil {
		return segmentHeader{}, fmt.Errorf("salt of a segment: %w", err)
	}
	j.highest++
	return segmentHeader{
		format:        formatVersion,
		number:        j.highest,
		previous:      j.end.segment,
		previousValid: j.end.offset,
		firstSeq:      j.end.seq + 1,
		salt:          binary.BigEndian.Uint64(salt[:]),
	}, nil
}

func (j *journal) writeHeader(f File, h segmentHeader, ballast int64) error {
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	if err := j.sync(f); err != nil {
		return err
	}
	j.syncs.Add(1)
	if err := j.fs.SyncDir(j.set.dir); err != nil {
		return err
	}
	if ballast == 0 {
		return nil
	}
	if _, err := f.WriteAt(make([]byte, ballast), segmentHeaderSize); err != nil {
		return err
	}
	if err := j.sync(f); err != nil {
		return err
	}
	if err := f.Truncate(segmentHeaderSize); err != nil {
		return err
	}
	return j.sync(f)
}

// append writes one group behind the last one and syncs it. After an error the
// file must not be written again: the next group needs a new segment.
func (j *journal) append(group []byte) error {
	if _, err := j.active.file.WriteAt(group, j.size); err != nil {
		return fmt.Errorf("writing to journal %q: %w", j.active.name, err)
	}
	if err := j.sync(j.active.file); err != nil {
		return fmt.Errorf("syncing journal %q: %w", j.active.name, err)
	}
	j.size += int64(len(group))
	j.end.offset = j.size
	j.end.seq++
	j.ahead.note(int64(len(group)))
	j.set.grow(j.active, j.size)
	return nil
}

func (j *journal) sync(f File) error {
	j.syncs.Add(1)
	return f.Sync()
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
