package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tripost/store/engine"
)

// Options say what is copied.
type Options struct {
	Engine  engine.Engine
	Data    string   // the data directory
	Files   []string // paths in it, of files and directories, that go along with the store; they need not be there
	Product string   // for the manifest
	Now     time.Time
}

// maxFile bounds the files beside the store: certificates and keys are far
// smaller.
const maxFile = 16 << 20

// Made is what [Make] did.
type Made struct {
	Entry
	Written int64 // octets of files that are not shared with the backup before
}

// Make adds a backup to a directory of them, making its last level if need be. The store is
// copied as it is at one moment, while it serves. What was interrupted before is
// removed.
func Make(ctx context.Context, dir string, o Options) (Made, error) {
	if err := MakeDir(dir); err != nil {
		return Made{}, err
	}
	if err := clear(dir); err != nil {
		return Made{}, err
	}
	list, _, err := List(dir)
	if err != nil {
		return Made{}, err
	}
	var before *Entry
	if len(list) > 0 {
		before = &list[len(list)-1]
	}
	made, err := fill(ctx, dir, before, o)
	if err != nil {
		return Made{}, fmt.Errorf("backup into %q: %w", dir, errors.Join(err, clear(dir)))
	}
	return made, nil
}

// MakeDir makes a directory if it is not there. The one above it must be: a
// mistyped path, or a disk that is not mounted, shall not become a tree of its
// own.
func MakeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%q is not a directory", dir)
	}
	return err
}

// clear removes what an interrupted run left.
func clear(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, "*"+unfinished))
	if err != nil {
		return err
	}
	for _, path := range left {
		if _, err := time.Parse(nameForm, strings.TrimSuffix(filepath.Base(path), unfinished)); err != nil {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// fill makes one backup under its unfinished name, and gives it its own when
// all of it is on disk.
func fill(ctx context.Context, dir string, before *Entry, o Options) (Made, error) {
	made := Made{Entry: Entry{
		Dir:      filepath.Join(dir, o.Now.UTC().Format(nameForm)),
		Manifest: Manifest{Format: manifestFormat, Product: o.Product, Time: o.Now.UTC().Truncate(time.Millisecond)},
	}}
	if _, err := os.Lstat(made.Dir); err == nil {
		return made, fmt.Errorf("%q: %w", made.Dir, fs.ErrExist)
	}
	fresh := made.Dir + unfinished
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return made, err
	}
	var earlier string
	var manifest *Manifest
	if before != nil {
		earlier, manifest = before.Dir, &before.Manifest
	}
	share := ""
	if earlier != "" {
		share = filepath.Join(earlier, storeDir)
	}
	if err := o.Engine.Backup(ctx, filepath.Join(fresh, storeDir), share); err != nil {
		return made, err
	}
	if err := copyFiles(ctx, o, filepath.Join(fresh, filesDir)); err != nil {
		return made, err
	}
	if err := made.Manifest.write(fresh, earlier, manifest); err != nil {
		return made, err
	}
	made.Written = written(fresh, earlier, &made.Manifest)
	if err := syncDir(fresh); err != nil {
		return made, err
	}
	if err := os.Rename(fresh, made.Dir); err != nil {
		return made, err
	}
	return made, syncDir(dir)
}

// copyFiles copies what goes along with the store.
func copyFiles(ctx context.Context, o Options, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	done, made := map[string]bool{}, map[string]bool{to: true} // files, directories
	for _, path := range o.Files {
		err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // not there, or gone meanwhile
			}
			if err != nil {
				return err
			}
			name, err := filepath.Rel(o.Data, path)
			target := filepath.Join(to, name)
			if err != nil || d.IsDir() || done[target] {
				return err
			}
			if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
				return nil // it went, or it is no file that could be read to its end
			}
			done[target] = true
			for dir := filepath.Dir(target); !made[dir]; dir = filepath.Dir(dir) {
				made[dir] = true
			}
			return copyFile(ctx, path, target)
		})
		if err != nil {
			return err
		}
	}
	for dir := range made {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies one small file; its directory is made if need be.
func copyFile(ctx context.Context, from, to string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return writeFile(to, func(w io.Writer) error {
		n, err := io.Copy(w, io.LimitReader(f, maxFile+1))
		if err == nil && n > maxFile {
			return fmt.Errorf("%q is larger than %d octets: no certificate or key is", from, maxFile)
		}
		return err
	})
}

// written returns the octets of the files that the backup before does not share.
func written(dir, before string, m *Manifest) (n int64) {
	for _, f := range m.Files {
		name := filepath.FromSlash(f.Name)
		a, errA := os.Stat(filepath.Join(dir, name))
		b, errB := os.Stat(filepath.Join(before, name))
		if before == "" || errA != nil || errB != nil || !os.SameFile(a, b) {
			n += f.Size
		}
	}
	return n
}

// SetAside takes a backup whose verifying failed out of those that [List] and [Prune]
// count and [Find] chooses among: its directory gets another name, which is returned and
// can still be restored by. At most one is kept so in a directory of backups.
func SetAside(e Entry) (string, error) {
	parent := filepath.Dir(e.Dir)
	left, err := filepath.Glob(filepath.Join(parent, "*"+faulty))
	if err != nil {
		return "", err
	}
	for _, path := range left {
		if _, err := time.Parse(nameForm, strings.TrimSuffix(filepath.Base(path), faulty)); err != nil {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return "", err
		}
	}
	aside := e.Dir + faulty
	if err := os.Rename(e.Dir, aside); err != nil {
		return "", err
	}
	return aside, syncDir(parent)
}

// Prune removes the oldest backups until at most keep are left, and returns
// those that went.
func Prune(dir string, keep int) ([]Entry, error) {
	list, _, err := List(dir)
	if err != nil || keep < 1 || len(list) <= keep {
		return nil, err
	}
	gone := list[:len(list)-keep]
	for _, e := range gone {
		// Without its manifest, which goes first, it is no backup any more.
		if err := os.Remove(filepath.Join(e.Dir, manifestName)); err != nil {
			return nil, err
		}
		if err := os.RemoveAll(e.Dir); err != nil {
			return nil, err
		}
	}
	return gone, nil
}
