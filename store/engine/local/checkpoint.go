package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// frozen is an overlay on its way into the index.
type frozen struct {
	root  *node
	upTo  checkpoint
	tally *tally // as of upTo; nil: not known
}

// checkpoints is the state of writing overlays to the index.
type checkpoints struct {
	mu         sync.Mutex // one at a time
	due        chan struct{}
	written    chan struct{} // one send after each attempt, for a waiting committer
	suspect    bool          // a commit of the index failed: guarded by mu
	tallied    bool          // the last overlay that was frozen has a tally: guarded by Engine.mu
	oldIndexes sync.WaitGroup

	posMu sync.Mutex
	done  checkpoint // what the index has
}

func (k *checkpoints) init() {
	k.due = make(chan struct{}, 1)
	k.written = make(chan struct{}, 1)
}

// covered returns what the index has.
func (k *checkpoints) covered() checkpoint {
	k.posMu.Lock()
	defer k.posMu.Unlock()
	return k.done
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (c *committer) freezeDue() bool {
	return c.arena.taken >= c.o.OverlayBytes || c.since >= c.o.SegmentSize
}

// freezeWhenDue begins a checkpoint when the overlay or the journal behind it
// is long enough. It holds up the committer while the overlay is twice as long
// as it should be and the one before is not written yet.
func (c *committer) freezeWhenDue() {
	if !c.freezeDue() {
		return
	}
	for !c.freeze() && c.arena.taken >= 2*c.o.OverlayBytes && c.e.readOnly() == nil {
		select {
		case <-c.e.checkpoints.written:
		case fn := <-c.e.control:
			fn()
		case <-c.e.stop:
			return // Close writes what is left
		}
	}
}

// freeze sets the overlay aside for the index and begins an empty one. It
// reports false while the one before is still there.
func (c *committer) freeze() bool {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.frozen != nil {
		return false
	}
	if c.journal.tail != nil {
		return true // the index must not be ahead of the journal
	}
	t := e.segments.tallied(e.end)
	if c.published == nil && e.end.segment == e.checkpoints.covered().segment && (e.checkpoints.tallied || t == nil) {
		return true
	}
	e.frozen = &frozen{root: c.published, upTo: checkpoint{e.end, e.nextBlob.Load()}, tally: t}
	e.checkpoints.tallied = t != nil
	c.tree.restore(nil)
	c.published, e.active = nil, nil
	c.arena, c.since = arena{}, 0
	signal(e.checkpoints.due)
	return true
}

// checkpointLoop writes overlays to the index as they are frozen, and sees to
// it that none waits too long.
func (e *Engine) checkpointLoop(ctx context.Context) {
	tick := time.NewTicker(e.o.CheckpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.checkpoints.due:
			// A failure makes the engine read-only, which says so.
			_ = e.writeFrozen()
		case <-tick.C:
			_ = e.checkpoint()
		}
	}
}

// checkpoint brings the index up to the journal's end as it is now.
func (e *Engine) checkpoint() error {
	if err := e.writeFrozen(); err != nil {
		return err
	}
	if err := e.onCommitter(func() { e.committer.freeze() }); err != nil {
		return err
	}
	return e.writeFrozen()
}

// writeFrozen writes the frozen overlay, if there is one, to the index. When it
// fails nothing is lost: the journal has it all, and the overlay stays.
func (e *Engine) writeFrozen() error {
	k := &e.checkpoints
	k.mu.Lock()
	defer k.mu.Unlock()
	defer signal(k.written)
	e.mu.RLock()
	f, x := e.frozen, e.index
	e.mu.RUnlock()
	if f == nil {
		return nil
	}
	if k.suspect {
		if err := guarded(indexName, e.replaceIndex); err != nil {
			return e.failIndex(err)
		}
		x = e.index
	}
	e.syncs.Add(2)
	if err := x.write(e.o.FS, f); err != nil {
		e.suspectIndex()
		return e.failIndex(fmt.Errorf("writing to index %q: %w", x.name, err))
	}
	e.mu.Lock()
	e.frozen = nil
	e.mu.Unlock()
	k.posMu.Lock()
	k.done = f.upTo
	k.posMu.Unlock()
	e.indexWorks()
	e.sweep()
	if e.copyDue() {
		signal(e.copies.due)
	}
	return nil
}

// suspectIndex notes that a commit of the index failed: for the next checkpoint,
// and for the next process, which would read from the system's cache what may
// not be on disk. After a restart of the system there is nothing to suspect.
func (e *Engine) suspectIndex() {
	e.checkpoints.suspect = true
	f, err := e.o.FS.OpenFile(filepath.Join(e.dir, suspectName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		e.o.Logf(3, fmt.Sprintf("marking the index: %v", err))
		return
	}
	f.Close()
}

// indexSuspected reports whether an earlier process left that note.
func (e *Engine) indexSuspected() bool {
	f, err := e.o.FS.OpenFile(filepath.Join(e.dir, suspectName), os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// replaceIndex goes on with a copy of the index file. After a failed commit
// nobody knows which of its pages are on disk; what can be read is whole, and
// in a new file it is written and synced from the beginning.
func (e *Engine) replaceIndex() error {
	name := filepath.Join(e.dir, indexName)
	fresh := name + ".new"
	old := e.index
	if _, err := old.copyTo(e.o.FS, fresh); err != nil {
		return err
	}
	if err := e.o.FS.Rename(fresh, name); err != nil {
		return err
	}
	if err := e.o.FS.SyncDir(e.dir); err != nil {
		return err
	}
	x, err := openIndex(name, e.o)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.index = x
	e.mu.Unlock()
	e.checkpoints.suspect = false
	if err := ignoreMissing(e.o.FS.Remove(filepath.Join(e.dir, suspectName))); err != nil {
		e.o.Logf(3, err.Error()) // the next process copies the index once more
	}
	e.checkpoints.oldIndexes.Add(1)
	go func() { // waits for the readers of the old file
		defer e.checkpoints.oldIndexes.Done()
		_ = old.db.Close()
	}()
	return nil
}

// sweep removes the files that nothing needs any more, now that the index
// covers the commits which dropped them.
func (e *Engine) sweep() {
	cp := e.checkpoints.covered()
	freed, err := e.segments.sweep(cp.position)
	if err != nil {
		e.o.Logf(3, err.Error())
	}
	if !e.segments.pinned() {
		freed += e.sweepLarge(cp.seq)
	}
	e.freed.Add(freed)
}
