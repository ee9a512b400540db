// Package faultfs is a file layer for crash tests of the local engine. It
// fails or shortens chosen operations, and it records all of them, so that the
// files can be rebuilt as a power cut at any moment might have left them.
package faultfs

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"tripost/store/engine/local"
)

// Op is an operation that changes something on disk.
type Op struct {
	Kind  string // create, write, truncate, sync, syncdir, rename, remove, link, mkdir, index
	Name  string // base name of the file
	Zeros bool   // a write: of nothing but zeros; a sync: after such a write
}

// Fault says what becomes of one operation. The zero Fault is none.
type Fault struct {
	Err   error
	Short bool // a write: half of it is done before the error
	After bool // a sync or commit: all of it is done, and still it fails
}

// FS does what it is asked through the operating system, except for faults, and
// for syncs, which it only notes: what they are for is what Cut plays through.
// It is safe for concurrent use.
type FS struct {
	local.OS
	root string

	mu     sync.Mutex
	count  int
	fault  func(n int, op Op) Fault // nil: none
	deaf   func(name string) bool   // files whose syncs are swallowed
	blind  func(name string) error  // files that cannot be read
	record bool
	events []event
	inodes map[string]int // by name relative to root
	next   int
}

// New returns a layer for a store at root.
func New(root string) *FS { return &FS{root: root, inodes: map[string]int{}} }

// FailWhen asks fault about each operation; n counts them from 1 on. nil stops
// all faults.
func (f *FS) FailWhen(fault func(n int, op Op) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count, f.fault = 0, fault
}

// Count returns how many operations there were since FailWhen.
func (f *FS) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// SwallowSyncs makes the syncs of some files do nothing, as a broken engine
// that forgets them would.
func (f *FS) SwallowSyncs(name func(name string) bool) { f.deaf = name }

// FailReads makes reading some files fail. nil: none.
func (f *FS) FailReads(fault func(name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blind = fault
}

// unreadable returns why a file cannot be read.
func (f *FS) unreadable(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.blind == nil {
		return nil
	}
	return f.blind(filepath.Base(name))
}

// ask counts an operation and returns its fault.
func (f *FS) ask(kind, name string) Fault { return f.askOf(kind, name, false) }

func (f *FS) askOf(kind, name string, zeros bool) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.fault == nil {
		return Fault{}
	}
	return f.fault(f.count, Op{kind, filepath.Base(name), zeros})
}

// OpenFile opens or creates a file.
func (f *FS) OpenFile(name string, flag int, perm os.FileMode) (local.File, error) {
	creating := flag&os.O_CREATE != 0
	if creating {
		if fault := f.ask("create", name); fault.Err != nil {
			return nil, &os.PathError{Op: "open", Path: name, Err: fault.Err}
		}
	}
	base, err := f.OS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &file{File: base, fs: f, name: name, inode: f.opened(name, creating)}, nil
}

// Remove removes a file.
func (f *FS) Remove(name string) error {
	if fault := f.ask("remove", name); fault.Err != nil {
		return &os.PathError{Op: "remove", Path: name, Err: fault.Err}
	}
	if err := f.OS.Remove(name); err != nil {
		return err
	}
	f.removed(name)
	return nil
}

// Rename renames a file.
func (f *FS) Rename(from, to string) error {
	if fault := f.ask("rename", from); fault.Err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fault.Err}
	}
	if err := f.OS.Rename(from, to); err != nil {
		return err
	}
	return f.renamed(from, to)
}

// Link gives a file a second name.
func (f *FS) Link(from, to string) error {
	if fault := f.ask("link", from); fault.Err != nil {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: fault.Err}
	}
	return f.OS.Link(from, to)
}

// MkdirAll creates a directory, which counts as durable at once.
func (f *FS) MkdirAll(name string, perm os.FileMode) error {
	if fault := f.ask("mkdir", name); fault.Err != nil {
		return &os.PathError{Op: "mkdir", Path: name, Err: fault.Err}
	}
	return f.OS.MkdirAll(name, perm)
}

// SyncDir makes the names in a directory durable.
func (f *FS) SyncDir(name string) error {
	fault := f.ask("syncdir", name)
	if fault.Err != nil && !fault.After {
		return &os.PathError{Op: "sync", Path: name, Err: fault.Err}
	}
	f.add(event{kind: evSyncDir, name: f.rel(name)})
	if fault.Err != nil {
		return &os.PathError{Op: "sync", Path: name, Err: fault.Err}
	}
	return nil
}

// CommitIndex runs a commit of the index, or refuses it.
func (f *FS) CommitIndex(name string, commit func() error) error {
	fault := f.ask("index", name)
	if fault.Err != nil && !fault.After {
		return &os.PathError{Op: "write", Path: name, Err: fault.Err}
	}
	if err := f.aroundIndex(name, commit); err != nil {
		return err
	}
	if fault.Err != nil {
		return &os.PathError{Op: "sync", Path: name, Err: fault.Err}
	}
	return nil
}

type file struct {
	local.File
	fs    *FS
	name  string
	inode int
	zeros atomic.Bool // the last write was of nothing else
}

func (f *file) ReadAt(b []byte, off int64) (int, error) {
	if err := f.fs.unreadable(f.name); err != nil {
		return 0, &os.PathError{Op: "read", Path: f.name, Err: err}
	}
	return f.File.ReadAt(b, off)
}

func (f *file) WriteAt(b []byte, off int64) (int, error) {
	zeros := len(bytes.TrimLeft(b, "\x00")) == 0
	f.zeros.Store(zeros)
	fault := f.fs.askOf("write", f.name, zeros)
	if fault.Err != nil {
		n := 0
		if fault.Short {
			f.fs.wrote(f.inode, b[:len(b)/2], off)
			n, _ = f.File.WriteAt(b[:len(b)/2], off)
		}
		return n, &os.PathError{Op: "write", Path: f.name, Err: fault.Err}
	}
	f.fs.wrote(f.inode, b, off)
	return f.File.WriteAt(b, off)
}

func (f *file) Truncate(size int64) error {
	if fault := f.fs.ask("truncate", f.name); fault.Err != nil {
		return &os.PathError{Op: "truncate", Path: f.name, Err: fault.Err}
	}
	f.zeros.Store(false)
	f.fs.add(event{kind: evTruncate, inode: f.inode, off: size})
	return f.File.Truncate(size)
}

func (f *file) Sync() error {
	fault := f.fs.askOf("sync", f.name, f.zeros.Load())
	if fault.Err != nil && !fault.After {
		return &os.PathError{Op: "sync", Path: f.name, Err: fault.Err}
	}
	if f.fs.deaf != nil && f.fs.deaf(filepath.Base(f.name)) {
		return nil
	}
	f.fs.add(event{kind: evSync, inode: f.inode})
	if fault.Err != nil {
		return &os.PathError{Op: "sync", Path: f.name, Err: fault.Err}
	}
	return nil
}

// CopyDir copies a directory as a process killed now would leave it: what was
// written is there, synced or not.
func CopyDir(from, to string) error {
	return filepath.WalkDir(from, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return copyFile(name, target)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
