package local

import (
	"io"
	"os"
)

// FS is the file operations the engine stands on, so that tests can fail,
// shorten and drop them. Names are whole paths.
//
// The index is a bbolt file, which does its own reading and writing:
// CommitIndex stands around each of its commits, so that a layer can refuse
// one, or see the file before and after it.
type FS interface {
	OpenFile(name string, flag int, perm os.FileMode) (File, error)
	Remove(name string) error
	Rename(from, to string) error
	Link(from, to string) error
	MkdirAll(name string, perm os.FileMode) error
	ReadDir(name string) ([]os.DirEntry, error)
	// SyncDir makes the entries of a directory durable: files created,
	// renamed and removed in it.
	SyncDir(name string) error
	CommitIndex(name string, commit func() error) error
}

// File is an open file. Reading and writing at offsets may run concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the octets and the length durable. After an error the file's
	// state on disk is unknown and a second Sync proves nothing.
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
}

// OS is the FS of the operating system.
type OS struct{}

// OpenFile opens or creates a file.
func (OS) OpenFile(name string, flag int, perm os.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Remove removes a file.
func (OS) Remove(name string) error { return os.Remove(name) }

// Rename gives a file another name, replacing what had it.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Link gives a file a second name.
func (OS) Link(from, to string) error { return os.Link(from, to) }

// MkdirAll creates a directory and those above it.
func (OS) MkdirAll(name string, perm os.FileMode) error { return os.MkdirAll(name, perm) }

// ReadDir lists a directory by name.
func (OS) ReadDir(name string) ([]os.DirEntry, error) { return os.ReadDir(name) }

// SyncDir makes a directory's entries durable.
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		d.Close()
		return err
	}
	return d.Close()
}

// CommitIndex runs commit.
func (OS) CommitIndex(_ string, commit func() error) error { return commit() }

type osFile struct{ *os.File }

func (f osFile) Sync() error { return datasync(f.File) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
