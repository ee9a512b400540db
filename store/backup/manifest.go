package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	manifestName = "MANIFEST.json"
	storeDir     = "store"
	filesDir     = "files"
	// unfinished ends the name of a backup that is being made.
	unfinished = ".new"
	// faulty ends the name of one that was set aside.
	faulty = ".faulty"
	// nameForm is how a backup is named after its time, in UTC.
	nameForm = "20060102T150405.000Z"
	// manifestFormat is the version of the layout.
	manifestFormat = 1
	// maxManifest bounds what is read: some hundred octets for each file.
	maxManifest = 1 << 30
)

// ErrDamaged is returned where a backup is not what its manifest says.
var ErrDamaged = errors.New("the backup is damaged")

// ErrNoBackup is returned where there is no finished backup.
var ErrNoBackup = errors.New("there is no backup here")

// Manifest says what a backup consists of.
type Manifest struct {
	Format  int       `json:"format"`
	Product string    `json:"product"` // name and version of the program that made it
	Time    time.Time `json:"time"`
	Files   []File    `json:"files"` // by name
	// Directories are those of the store, by name: an empty one has no file
	// that would tell.
	Directories []string `json:"directories"`
}

// File is one file of a backup.
type File struct {
	Name   string `json:"name"` // relative, with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Octets returns the size of all files together.
func (m *Manifest) Octets() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// read reads the manifest of the backup in dir.
func read(dir string) (*Manifest, error) {
	f, err := os.Open(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%q: %w", dir, ErrNoBackup)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var m Manifest
	if err := json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, manifestName, err)
	}
	if m.Format != manifestFormat {
		return nil, fmt.Errorf("%q was made by %s in format %d, this program knows format %d", dir, m.Product, m.Format, manifestFormat)
	}
	names := slices.Clone(m.Directories)
	for _, file := range m.Files {
		names = append(names, file.Name)
	}
	for _, name := range names {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return nil, fmt.Errorf("%w: its manifest names %q", ErrDamaged, name)
		}
	}
	return &m, nil
}

// write lists all files below dir and writes the manifest. The sums of files
// that are shared with the backup before are taken from its manifest.
func (m *Manifest) write(dir, beforeDir string, before *Manifest) error {
	known := map[string]File{}
	if before != nil {
		for _, f := range before.Files {
			known[f.Name] = f
		}
	}
	var err error
	if m.Directories, err = directories(dir); err != nil {
		return err
	}
	err = eachFile(dir, func(name string, info fs.FileInfo) error {
		slashed := filepath.ToSlash(name)
		if f, ok := known[slashed]; ok {
			if old, err := os.Stat(filepath.Join(beforeDir, name)); err == nil && os.SameFile(old, info) {
				m.Files = append(m.Files, f)
				return nil
			}
		}
		text, size, err := sumOf(filepath.Join(dir, name))
		m.Files = append(m.Files, File{slashed, size, text})
		return err
	})
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, manifestName), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// directories lists those below dir, by name.
func directories(dir string) (list []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		list = append(list, filepath.ToSlash(name))
		return err
	})
	return list, err
}

// eachFile calls fn with each regular file below dir, by name.
func eachFile(dir string, fn func(name string, info fs.FileInfo) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return fn(name, info)
	})
}

func sumOf(path string) (text string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := newSum()
	size, err = io.Copy(h, f)
	return h.String(), size, err
}

// sum is a SHA-256 that reads as the manifest writes it.
type sum struct{ hash.Hash }

func newSum() sum { return sum{sha256.New()} }

func (s sum) String() string { return hex.EncodeToString(s.Sum(nil)) }

// writeFile makes a file that is durable when it returns.
func writeFile(path string, content func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = content(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Entry is one finished backup of a directory of them.
type Entry struct {
	Dir string
	Manifest
}

// List returns the finished backups in dir, the oldest first. A directory that
// is not there has none. damaged is what is wrong with those that cannot be read:
// they stand in the way of no other one.
func List(dir string) (list []Entry, damaged, err error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, d := range names {
		if _, err := time.Parse(nameForm, d.Name()); err != nil || !d.IsDir() {
			continue
		}
		path := filepath.Join(dir, d.Name())
		m, err := read(path)
		if errors.Is(err, ErrNoBackup) {
			continue
		}
		if err != nil {
			damaged = errors.Join(damaged, fmt.Errorf("%s: %w", path, err))
			continue
		}
		list = append(list, Entry{path, *m})
	}
	slices.SortFunc(list, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	return list, damaged, nil
}

// Find returns the backup that dir is, or the newest one in it. Where one in it
// cannot be read that is an error: the others are found by their own names.
func Find(dir string) (Entry, error) {
	m, err := read(dir)
	if err == nil {
		return Entry{dir, *m}, nil
	}
	if !errors.Is(err, ErrNoBackup) {
		return Entry{}, err
	}
	list, damaged, err := List(dir)
	if err := errors.Join(err, damaged); err != nil { // which may be the newest
		return Entry{}, err
	}
	if len(list) == 0 {
		return Entry{}, fmt.Errorf("%q: %w", dir, ErrNoBackup)
	}
	return list[len(list)-1], nil
}
