package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"tripost/store/engine"
)

// damagedIndexName is what [Rebuild] renames the index to.
const damagedIndexName = indexName + ".damaged"

// ErrIndex is returned by [Open] where the index is missing or makes no sense:
// [Rebuild] makes a new one.
var ErrIndex = errors.New("the index cannot be used")

// unusable makes an ErrIndex of what opening the index says, unless that is of the
// machine.
func unusable(err error) error {
	var of syscall.Errno
	if errors.As(err, &of) && of != syscall.ENOENT {
		return err
	}
	return fmt.Errorf("%w: %w", ErrIndex, err)
}

// Rebuild makes a new index for a store whose own is lost or makes no sense. It
// begins with the store's copy of the index, or with the index of a backup where
// one is given, and the journal is replayed from there on when the store is opened.
// Where the copy is missing or damaged it begins with nothing, which needs the
// journal from its first segment on. What must be whole is every segment since:
// otherwise ErrDamaged names what is missing.
//
// The store is opened and closed once to prove it. If that fails, everything is
// as it was before. The index that was there is kept as index.db.damaged.
func Rebuild(dir, backup string, o Options) error {
	o = o.withDefaults()
	lock, err := lockStore(filepath.Join(dir, lockName), o.LockTimeout)
	if err != nil {
		return err
	}
	fresh := filepath.Join(dir, indexName+".rebuilt")
	noCopy, err := beginIndex(dir, fresh, backup, o)
	if err := errors.Join(err, lock.release()); err != nil {
		return err
	}
	name, old := filepath.Join(dir, indexName), filepath.Join(dir, damagedIndexName)
	had := true
	if err := o.FS.Rename(name, old); errors.Is(err, os.ErrNotExist) {
		had = false
	} else if err != nil {
		return err
	}
	if err := o.FS.Rename(fresh, name); err != nil {
		return err
	}
	if err := tryOpen(dir, o); err != nil {
		err = errors.Join(fmt.Errorf("rebuilding the index: %w", err), noCopy)
		if !had {
			return errors.Join(err, o.FS.Remove(name))
		}
		return errors.Join(err, o.FS.Rename(old, name))
	}
	return o.FS.SyncDir(dir)
}

// beginIndex makes the index that replay begins with. noCopy is why it could not use
// the copy, if it should have.
func beginIndex(dir, fresh, backup string, o Options) (noCopy, err error) {
	if backup != "" {
		return nil, indexFromBackup(fresh, backup, o)
	}
	noCopy = errors.Join(ignoreMissing(o.FS.Remove(fresh)), indexFromCopy(fresh, filepath.Join(dir, copyName), o))
	if noCopy == nil {
		return nil, nil
	}
	if !errors.Is(noCopy, os.ErrNotExist) && !errors.Is(noCopy, engine.ErrDamaged) {
		return nil, noCopy
	}
	if err := ignoreMissing(o.FS.Remove(fresh)); err != nil {
		return nil, err
	}
	return noCopy, createIndex(fresh, o)
}

// indexFromBackup copies the index of a backup.
func indexFromBackup(fresh, backup string, o Options) error {
	if err := ignoreMissing(o.FS.Remove(fresh)); err != nil {
		return err
	}
	from, err := o.FS.OpenFile(filepath.Join(backup, indexName), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	size, err := from.Size()
	if err != nil {
		return err
	}
	return writeDurably(o.FS, fresh, func(w *offsetWriter) error {
		_, err := io.Copy(w, io.NewSectionReader(from, 0, size))
		return err
	})
}

// tryOpen opens a store, which replays the journal, and closes it, which writes
// the index. A store that takes no writes has not been rebuilt.
func tryOpen(dir string, o Options) error {
	o.recount = true
	e, err := Open(dir, o)
	if err != nil {
		return err
	}
	if err := e.readOnly(); err != nil {
		return errors.Join(err, e.Close())
	}
	var faulty error
	if e.segments.doubted() {
		faulty = fmt.Errorf("%w: the body map does not fit the bodies", engine.ErrDamaged)
	}
	return errors.Join(faulty, e.Close())
}
