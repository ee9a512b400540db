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
	doubtful []string               // named by a refused group that may be on disk
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

// drafting notes that a draft's file is, or is no longer, being written.
func (e *Engine) drafting(b engine.Blob, yes bool) {
	e.large.mu.Lock()
	defer e.large.mu.Unlock()
	if yes {
		e.large.drafts[b] = true
	} else {
		delete(e.large.drafts, b)
	}
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
			if err := ignoreMissing(e.o.FS.Remove(e.largePath(f.blob))); err != nil {
				// The next opening removes it.
				e.o.Logf(3, fmt.Sprintf("removing a dropped body: %v", err))
				continue
			}
			freed += f.octets
		}
		delete(e.large.dropped, group)
	}
	return freed
}

// removeDoubtful removes a discarded draft's file once no crash can bring back
// the refused group that names it.
func (e *Engine) removeDoubtful(name string) {
	e.large.mu.Lock()
	e.large.doubtful = append(e.large.doubtful, name)
	e.large.mu.Unlock()
	if !e.journalFailed() {
		e.sweepDoubtful()
	}
}

func (e *Engine) sweepDoubtful() {
	e.large.mu.Lock()
	defer e.large.mu.Unlock()
	for _, name := range e.large.doubtful {
		if err := ignoreMissing(e.o.FS.Remove(name)); err != nil {
			e.o.Logf(3, fmt.Sprintf("removing a discarded body: %v", err))
		}
	}
	e.large.doubtful = nil
}

// countBodies learns at opening what of each segment is live, and removes the
// body files that no blob has. It returns how many those were.
func (e *Engine) countBodies() (orphans int, err error) {
	files, err := e.largeOnDisk()
	if err != nil {
		return 0, err
	}
	l, err := e.layersNow()
	if err != nil {
		return 0, err
	}
	defer l.tx.Rollback()
	var changes []liveChange
	for it, err := range l.forward(bodyFirst, bodyEnd) {
		if err != nil {
			return 0, err
		}
		b, ok := blobOfKey(it.Key)
		entry, err := parseBodyEntry(it.Value)
		if !ok || err != nil {
			e.o.Logf(1, fmt.Sprintf("body map: key %x is malformed", it.Key))
			continue
		}
		if entry.segment == 0 && !files[b] {
			e.o.Logf(1, fmt.Sprintf("body file %s is missing", largeName(b)))
		}
		delete(files, b)
		changes = append(changes, liveChange{entry.segment, entry.footprint()})
		if len(changes) == 4096 {
			e.segments.account(changes, 0)
			changes = changes[:0]
		}
	}
	e.segments.account(changes, 0)
	for b := range files {
		if err := ignoreMissing(e.o.FS.Remove(e.largePath(b))); err != nil {
			return 0, err
		}
	}
	return len(files), nil
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
