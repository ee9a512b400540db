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
)

// Verify compares every file of a backup with its manifest. The error names
// what differs, and is ErrDamaged.
func Verify(ctx context.Context, e Entry) error {
	listed := map[string]bool{manifestName: true}
	for _, f := range e.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		listed[f.Name] = true
		text, size, err := sumOf(filepath.Join(e.Dir, filepath.FromSlash(f.Name)))
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		case size != f.Size || text != f.SHA256:
			return fmt.Errorf("%w: %q has other octets than its manifest says", ErrDamaged, f.Name)
		}
	}
	return eachFile(e.Dir, func(name string, _ fs.FileInfo) error {
		if !listed[filepath.ToSlash(name)] {
			return fmt.Errorf("%w: %q is not in its manifest", ErrDamaged, name)
		}
		return nil
	})
}

// Scratch makes a copy of a backup's store in dir, which must not be there yet,
// that can be opened without changing the backup. Most files are hard links
// where that is possible.
func Scratch(ctx context.Context, e Entry, dir string) error {
	var journal string // the newest segment, whose end an opening may write again
	for _, f := range e.Files {
		if strings.HasPrefix(f.Name, storeDir+"/journal/") {
			journal = max(journal, f.Name)
		}
	}
	return each(ctx, e, storeDir, dir, func(f File, from, to string) error {
		frozen := strings.HasPrefix(f.Name, storeDir+"/large/") || strings.HasPrefix(f.Name, storeDir+"/journal/") && f.Name != journal
		if frozen && os.Link(from, to) == nil {
			return nil
		}
		return copyVerified(f, from, to)
	})
}

// ErrNotEmpty is returned where there is a store already.
var ErrNotEmpty = errors.New("there is a store already")

// Restore brings a backup back into a data directory, which may have no store.
// Every octet is compared with the manifest on its way. finish gets the
// directory of the restored store before it comes into its place: whatever
// fails or stops before leaves no store. Files beside the store that are there
// already stay as they are; their names are returned.
func Restore(ctx context.Context, e Entry, data string, finish func(storeDir string) error) (kept []string, err error) {
	final := filepath.Join(data, storeDir)
	if _, err := os.Lstat(final); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("%q: %w", final, ErrNotEmpty), err)
	}
	fresh := final + unfinished
	if err := os.RemoveAll(fresh); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	if err := each(ctx, e, storeDir, fresh, copyVerified); err != nil {
		return nil, errors.Join(err, os.RemoveAll(fresh))
	}
	if err := finish(fresh); err != nil {
		return nil, errors.Join(err, os.RemoveAll(fresh))
	}
	err = each(ctx, e, filesDir, data, func(f File, from, to string) error {
		err := copyVerified(f, from, to)
		if errors.Is(err, fs.ErrExist) {
			kept = append(kept, to)
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := os.Rename(fresh, final); err != nil {
		return nil, err
	}
	return kept, syncDir(data)
}

// each calls fn for the files of one part of a backup, with where they are and
// where they go below dir. Directories are made, and durable in the end.
func each(ctx context.Context, e Entry, part, dir string, fn func(f File, from, to string) error) error {
	made := map[string]bool{dir: true}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range e.Directories {
		if name, ok := strings.CutPrefix(d, part+"/"); ok {
			to := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(to, 0o700); err != nil {
				return err
			}
			made[to] = true
		}
	}
	for _, f := range e.Files {
		name, ok := strings.CutPrefix(f.Name, part+"/")
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := fn(f, filepath.Join(e.Dir, filepath.FromSlash(f.Name)), to); err != nil {
			return err
		}
	}
	for sub := range made {
		if err := syncDir(sub); err != nil {
			return err
		}
	}
	return nil
}

// copyVerified copies a file, never over another one, and compares what was
// copied with the manifest.
func copyVerified(f File, from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer source.Close()
	sum := newSum()
	err = writeFile(to, func(w io.Writer) error {
		_, err := io.Copy(io.MultiWriter(w, sum), source)
		return err
	})
	if err != nil {
		return err
	}
	if sum.String() != f.SHA256 {
		return errors.Join(fmt.Errorf("%w: %q has other octets than its manifest says", ErrDamaged, f.Name), os.Remove(to))
	}
	return nil
}
