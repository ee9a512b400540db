package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"tripost/store/engine"
)

// largeFiles are the bodies with a file of their own.
type largeFiles struct {
	dir string

	mu       sync.Mutex
	drafts   map[engine.Blob]bool   // being written by this process
	dropped  map[uint64][]largeFile // by the group that took the last reference
	leftover []engine.Blob          // discarded, but could not be removed yet
}

type largeFile struct {
	blob   engine.Blob
	octets int64
}

func (l *largeFiles) init(dir string) {
	l.dir = dir
	l.drafts = map[engine.Blob]bool{}
	l.dropped = map[uint64][]largeFile{}
}

func largeName(b engine.Blob) string { return fmt.Sprintf("%016x.msg", uint64(b)) }

func largeNumber(name string) (engine.Blob, bool) {
	digits, ok := strings.CutSuffix(name, ".msg")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	return engine.Blob(n), err == nil && largeName(engine.Blob(n)) == name
}

func (e *Engine) largePath(b engine.Blob) string {
	return filepath.Join(e.large.dir, largeName(b))
}

// drafting notes that a draft's file is being written, until it is settled or
// discarded.
func (e *Engine) drafting(b engine.Blob) {
	e.large.mu.Lock()
	e.large.drafts[b] = true
	e.large.mu.Unlock()
}

// settled notes that a draft's file is a blob's now.
func (e *Engine) settled(b engine.Blob) {
	e.large.mu.Lock()
	delete(e.large.drafts, b)
	e.large.mu.Unlock()
}

// dropLarge notes files whose blobs went in group seq.
func (e *Engine) dropLarge(files []largeFile, seq uint64) {
	if len(files) == 0 {
		return
	}
	e.large.mu.Lock()
	defer e.large.mu.Unlock()
	e.large.dropped[seq] = append(e.large.dropped[seq], files...)
}

// sweepLarge removes the files dropped up to group seq.
func (e *Engine) sweepLarge(seq uint64) int64 {
	e.large.mu.Lock()
	defer e.large.mu.Unlock()
	var freed int64
	for group, files := range e.large.dropped {
		if group > seq {
			continue
		}
		for _, f := range files {
			freed += f.octets
			e.large.leftover = append(e.large.leftover, f.blob)
		}
		delete(e.large.dropped, group)
	}
	e.removeLeftover()
	return freed
}

// discard removes the file of a draft that came to nothing: at once, or, if a
// crash could still bring back a refused group that names it, when the journal
// goes on in a segment that excludes that group.
func (e *Engine) discard(b engine.Blob, doubtful bool) {
	e.large.mu.Lock()
	defer e.large.mu.Unlock()
	delete(e.large.drafts, b)
	if doubtful && e.journalFailed() || !e.removeLarge(b) {
		e.large.leftover = append(e.large.leftover, b)
	}
}

func (e *Engine) removeLarge(b engine.Blob) bool {
	return ignoreMissing(e.o.FS.Remove(e.largePath(b))) == nil
}

// sweepLeftover tries again to remove what could not be removed.
func (e *Engine) sweepLeftover() {
	e.large.mu.Lock()
	defer e.large.mu.Unlock()
	e.removeLeftover()
}

// removeLeftover does so with the mutex held. While the journal is failed some
// of the files may still be needed.
func (e *Engine) removeLeftover() {
	if e.journalFailed() {
		return
	}
	kept := e.large.leftover[:0]
	for _, b := range e.large.leftover {
		if !e.removeLarge(b) {
			kept = append(kept, b)
		}
	}
	e.large.leftover = kept
}

// largeOnDisk lists the body files.
func (e *Engine) largeOnDisk() (map[engine.Blob]bool, error) {
	entries, err := e.o.FS.ReadDir(e.large.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", engine.ErrDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	files := make(map[engine.Blob]bool)
	for _, entry := range entries {
		if b, ok := largeNumber(entry.Name()); ok {
			files[b] = true
		}
	}
	return files, nil
}
