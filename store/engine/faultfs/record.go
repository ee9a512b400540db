package faultfs

import (
	"os"
	"path/filepath"
)

// Kinds of recorded events.
const (
	evCreate = iota // name is given to inode
	evRename        // name becomes to
	evRemove
	evSyncDir
	evWrite
	evTruncate
	evSync
	evIndexBegin // data, before: the index file after and before a commit
	evIndexEnd
	evMark
)

// event is one step of what happened, in order.
type event struct {
	kind   int
	inode  int
	name   string // relative to the root
	to     string
	off    int64 // of a write; the size of a truncation
	data   []byte
	before []byte
	mark   func()
}

// Record begins recording. What is in the directory now counts as durable.
func (f *FS) Record() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.record, f.events = true, nil
	return filepath.WalkDir(f.root, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return f.adopt(f.rel(name))
	})
}

// adopt takes a file that nobody recorded as it is, and as durable. mu is held.
func (f *FS) adopt(rel string) error {
	b, err := os.ReadFile(filepath.Join(f.root, rel))
	if err != nil {
		return err
	}
	f.next++
	f.inodes[rel] = f.next
	f.events = append(f.events,
		event{kind: evCreate, inode: f.next, name: rel},
		event{kind: evWrite, inode: f.next, data: b},
		event{kind: evSync, inode: f.next},
		event{kind: evSyncDir, name: filepath.Dir(rel)})
	return nil
}

// Mark notes a moment, such as an acknowledgement: fn is called for each cut
// that comes after it.
func (f *FS) Mark(fn func()) { f.add(event{kind: evMark, mark: fn}) }

// Events returns how many events there are.
func (f *FS) Events() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.events)
}

func (f *FS) rel(name string) string {
	rel, err := filepath.Rel(f.root, name)
	if err != nil {
		return name
	}
	return rel
}

func (f *FS) add(e event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.record {
		f.events = append(f.events, e)
	}
}

// opened returns the inode of an opened file, and notes its creation.
func (f *FS) opened(name string, creating bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	rel := f.rel(name)
	inode := f.inodes[rel]
	if inode == 0 {
		f.next++
		inode = f.next
		f.inodes[rel] = inode
		if f.record && creating {
			f.events = append(f.events, event{kind: evCreate, inode: inode, name: rel})
		}
	} else if f.record && creating {
		f.events = append(f.events, event{kind: evTruncate, inode: inode})
	}
	return inode
}

func (f *FS) removed(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rel := f.rel(name)
	delete(f.inodes, rel)
	if f.record {
		f.events = append(f.events, event{kind: evRemove, name: rel})
	}
}

func (f *FS) renamed(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, to = f.rel(from), f.rel(to)
	if f.inodes[from] == 0 && f.record {
		// bbolt made it, and synced it.
		f.next++
		f.inodes[from] = f.next
		b, err := os.ReadFile(filepath.Join(f.root, to))
		if err != nil {
			return err
		}
		f.events = append(f.events,
			event{kind: evCreate, inode: f.next, name: from},
			event{kind: evWrite, inode: f.next, data: b},
			event{kind: evSync, inode: f.next})
	}
	f.inodes[to] = f.inodes[from]
	delete(f.inodes, from)
	if f.record {
		f.events = append(f.events, event{kind: evRename, name: from, to: to})
	}
	return nil
}

func (f *FS) wrote(inode int, b []byte, off int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.record {
		f.events = append(f.events, event{kind: evWrite, inode: inode, off: off, data: append([]byte(nil), b...)})
	}
}

// aroundIndex runs a commit of the index and records the file before and after.
func (f *FS) aroundIndex(name string, commit func() error) error {
	if !f.recording() {
		return commit()
	}
	before, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f.mu.Lock()
	begin := len(f.events)
	inode := f.inodes[f.rel(name)]
	f.events = append(f.events, event{kind: evIndexBegin, inode: inode})
	f.mu.Unlock()
	failed := commit()
	after, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events[begin].before, f.events[begin].data = before, after
	f.events = append(f.events, event{kind: evIndexEnd, inode: inode})
	return failed
}

func (f *FS) recording() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.record
}
