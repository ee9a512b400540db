package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tripost/store/engine"
)

// What is in a store's directory.
const (
	formatName = "FORMAT"
	lockName   = "lock"
	indexName  = "index.db"
	journalDir = "journal"
	largeDir   = "large"
	// suspectName is there while a failed commit of the index may have left
	// pages in the system's cache that are not on disk.
	suspectName = "index.suspect"
)

// formatVersion is the version of everything on disk together: segments, body
// map, index.
const formatVersion = 1

// upgrades holds, for each older format, the step to the next one. A step must
// be safe to run again after a crash in the middle of it: the version is
// written when it is done.
var upgrades = map[int]func(dir string, o Options) error{}

// prepare makes the directory ready for opening: created if it is empty,
// upgraded if it is older, refused if it is newer.
func prepare(dir string, o Options) error {
	version, err := readFormat(dir, o.FS)
	if errors.Is(err, os.ErrNotExist) {
		return create(dir, o)
	}
	if err != nil {
		return err
	}
	if err := checkFormat(uint32(version)); err != nil {
		return err
	}
	for ; version < formatVersion; version++ {
		step := upgrades[version]
		if step == nil {
			return fmt.Errorf("%w: no upgrade from format %d", engine.ErrDamaged, version)
		}
		o.Logf(2, fmt.Sprintf("upgrading store %q from format %d", dir, version))
		if err := step(dir, o); err != nil {
			return fmt.Errorf("upgrading from format %d: %w", version, err)
		}
		if err := writeFormat(dir, version+1, o.FS); err != nil {
			return err
		}
	}
	return nil
}

func checkFormat(version uint32) error {
	if version > formatVersion {
		return fmt.Errorf("%w: it has format %d, this program knows formats up to %d; use the newer program", engine.ErrNewerFormat, version, formatVersion)
	}
	return nil
}

// create makes an empty store. The version is written last: whatever a crash
// leaves before that is no store yet, and is made again.
func create(dir string, o Options) error {
	for _, sub := range []string{journalDir, largeDir} {
		name := filepath.Join(dir, sub)
		if err := o.FS.MkdirAll(name, 0o700); err != nil {
			return err
		}
		entries, err := o.FS.ReadDir(name)
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			return fmt.Errorf("%w: %q has files, but the store has no file %s", engine.ErrDamaged, name, formatName)
		}
	}
	if err := createIndex(filepath.Join(dir, indexName), o); err != nil {
		return err
	}
	if err := o.FS.SyncDir(dir); err != nil {
		return err
	}
	if err := writeFormat(dir, formatVersion, o.FS); err != nil {
		return err
	}
	return o.FS.SyncDir(filepath.Dir(dir))
}

const formatWords = "tripost store, format "

func readFormat(dir string, fs FS) (int, error) {
	name := filepath.Join(dir, formatName)
	f, err := fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 100))
	if err != nil {
		return 0, err
	}
	digits, ok := strings.CutPrefix(strings.TrimSpace(string(b)), formatWords)
	version, err := strconv.ParseUint(digits, 10, 31)
	if !ok || err != nil || version == 0 {
		return 0, fmt.Errorf("%w: %q does not say which format the store has", engine.ErrDamaged, name)
	}
	return int(version), nil
}

func writeFormat(dir string, version int, fs FS) error {
	name := filepath.Join(dir, formatName)
	fresh := name + ".new"
	f, err := fs.OpenFile(fresh, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(fmt.Appendf(nil, "%s%d\n", formatWords, version), 0)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %q: %w", fresh, err)
	}
	if err := fs.Rename(fresh, name); err != nil {
		return err
	}
	return fs.SyncDir(dir)
}
