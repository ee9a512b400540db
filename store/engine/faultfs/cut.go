package faultfs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// sector is the unit that a disk writes whole or not at all, in octets.
const sector = 512

// inodeState is a file during a rebuild.
type inodeState struct {
	durable []byte
	pending []event // writes and truncations since the last sync
	commit  *event  // a commit of the index that has begun and not ended
}

// dirState is a directory during a rebuild.
type dirState struct {
	durable map[string]int // base name to inode
	pending []event
}

// Cut writes into dir what the disk might hold if the power went just before
// event at. Of each file all is there that was synced, and of the rest
// nothing, everything, some of the writes, or some of their sectors; of each
// directory's unsynced changes, the first few. It calls the functions given to
// Mark before that moment.
func (f *FS) Cut(dir string, at int, r *rand.Rand) error {
	f.mu.Lock()
	events := f.events[:at]
	f.mu.Unlock()
	inodes := map[int]*inodeState{}
	dirs := map[string]*dirState{}
	for i := range events {
		if events[i].kind == evMark {
			events[i].mark()
			continue
		}
		apply(inodes, dirs, &events[i])
	}
	files := map[string]int{}
	for name, d := range dirs {
		for _, e := range d.pending[:r.IntN(len(d.pending)+1)] {
			d.change(e)
		}
		for base, inode := range d.durable {
			files[filepath.Join(name, base)] = inode
		}
	}
	for _, sub := range []string{"journal", "large"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	left := map[int][]byte{} // two names of one file show the same octets
	for name, inode := range files {
		if _, ok := left[inode]; !ok && inodes[inode] != nil {
			left[inode] = inodes[inode].left(r)
		}
		if err := os.WriteFile(filepath.Join(dir, name), left[inode], 0o600); err != nil {
			return fmt.Errorf("rebuilding: %w", err)
		}
	}
	return nil
}

func apply(inodes map[int]*inodeState, dirs map[string]*dirState, e *event) {
	switch e.kind {
	case evCreate, evRename, evRemove:
		d := dirOf(dirs, filepath.Dir(e.name))
		d.pending = append(d.pending, *e)
		return
	case evSyncDir:
		d := dirOf(dirs, e.name)
		for _, change := range d.pending {
			d.change(change)
		}
		d.pending = nil
		return
	}
	n := inodes[e.inode]
	if n == nil {
		n = &inodeState{}
		inodes[e.inode] = n
	}
	switch e.kind {
	case evWrite, evTruncate:
		n.pending = append(n.pending, *e)
	case evSync:
		for _, w := range n.pending {
			n.durable = written(n.durable, w)
		}
		n.pending = nil
	case evIndexBegin:
		n.commit = e
	case evIndexEnd:
		n.durable, n.commit = bytes.Clone(n.commit.data), nil
	}
}

func dirOf(dirs map[string]*dirState, name string) *dirState {
	if dirs[name] == nil {
		dirs[name] = &dirState{durable: map[string]int{}}
	}
	return dirs[name]
}

func (d *dirState) change(e event) {
	base := filepath.Base(e.name)
	switch e.kind {
	case evCreate:
		d.durable[base] = e.inode
	case evRemove:
		delete(d.durable, base)
	case evRename:
		d.durable[filepath.Base(e.to)] = d.durable[base]
		delete(d.durable, base)
	}
}

// written returns b after one whole write or truncation. It may change b.
func written(b []byte, e event) []byte {
	if e.kind == evTruncate {
		return resized(b, e.off)
	}
	if end := e.off + int64(len(e.data)); end > int64(len(b)) {
		b = resized(b, end)
	}
	copy(b[e.off:], e.data)
	return b
}

// resized returns b cut, or lengthened with zeros. It may change b.
func resized(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

// left is what a power cut leaves of a file.
func (n *inodeState) left(r *rand.Rand) []byte {
	if n.commit != nil {
		return leftOfIndex(n.commit.before, n.commit.data, r)
	}
	b := n.durable
	mode := r.IntN(5)
	for _, e := range n.pending {
		switch {
		case mode == 0: // nothing
		case mode == 1, mode == 2 && r.IntN(2) == 0, e.kind == evTruncate && r.IntN(2) == 0:
			b = written(b, e)
		case mode >= 3 && e.kind == evWrite:
			b = torn(b, e, r, mode == 4)
		}
	}
	return b
}

// torn does a write with some of its sectors missing. The file may already
// have its new length, and then zeros are where they should be, or what another
// file has left on the disk.
func torn(b []byte, e event, r *rand.Rand, stale bool) []byte {
	end := e.off + int64(len(e.data))
	old := int64(len(b))
	size := max(old, e.off+r.Int64N(end-e.off+1))
	b = resized(b, size)
	for at := e.off - e.off%sector; at < end; at += sector {
		if r.IntN(2) == 0 {
			for i := max(at, old); stale && i < min(at+sector, size); i++ {
				b[i] = byte(r.Uint32())
			}
			continue
		}
		from, to := max(at, e.off), min(at+sector, end, size)
		if from < to {
			copy(b[from:to], e.data[from-e.off:])
		}
	}
	return b
}

// leftOfIndex is a bbolt file in the middle of a commit: bbolt writes and syncs
// its data pages first, and then the page that makes them count.
func leftOfIndex(before, after []byte, r *rand.Rand) []byte {
	const metaPages = 2 * 4096
	b := make([]byte, max(len(before), len(after)))
	copy(b, before)
	dataDone := r.IntN(2) == 0
	for at := 0; at < len(after); at += sector {
		meta := at < metaPages
		if meta && !dataDone || !(dataDone && !meta) && r.IntN(2) == 0 {
			continue
		}
		copy(b[at:min(at+sector, len(after))], after[at:])
	}
	if !dataDone && r.IntN(2) == 0 {
		b = b[:len(before)]
	}
	return b
}

// Kill writes into dir what a process leaves that is killed just before event
// at, with the system going on: all that was written is there. It returns a
// layer for dir that goes on recording, and knows what is not synced yet.
func (f *FS) Kill(dir string, at int) (*FS, error) {
	f.mu.Lock()
	events := append([]event(nil), f.events[:at]...)
	f.mu.Unlock()
	inodes := map[int]*inodeState{}
	dirs := map[string]*dirState{}
	next := New(dir)
	for i := range events {
		if e := &events[i]; e.kind != evMark {
			apply(inodes, dirs, e)
			next.next = max(next.next, e.inode)
		}
	}
	for _, sub := range []string{"journal", "large"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	for name, d := range dirs {
		for _, e := range d.pending {
			d.change(e)
		}
		for base, inode := range d.durable {
			rel := filepath.Join(name, base)
			next.inodes[rel] = inode
			if err := os.WriteFile(filepath.Join(dir, rel), inodes[inode].all(), 0o600); err != nil {
				return nil, err
			}
		}
	}
	next.events, next.record = events, true
	return next, nil
}

// all is what a file shows while the system runs. A commit of the index that
// was under way counts as not begun.
func (n *inodeState) all() []byte {
	if n == nil {
		return nil
	}
	b := n.durable
	if n.commit != nil {
		b = bytes.Clone(n.commit.before)
	}
	for _, e := range n.pending {
		b = written(b, e)
	}
	return b
}
