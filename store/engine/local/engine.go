package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tripost/store/engine"
)

// Engine is an open store. It is safe for concurrent use.
type Engine struct {
	dir      string
	o        Options
	lock     *lockFile
	segments *segmentSet
	large    largeFiles
	watchers watchers
	running  running
	opened   time.Time
	mended   string

	requests      chan *request
	queued        atomic.Int64 // callers that have put one there and are not answered
	idle          requestPool
	control       chan func() // run in the committer's turn, between groups
	stop          chan struct{}
	committerDone chan struct{}
	background    sync.WaitGroup
	cancel        context.CancelFunc // ends the background's work
	committer     *committer

	nextBlob atomic.Uint64
	commits  atomic.Uint64
	updates  atomic.Uint64
	syncs    atomic.Uint64
	freed    atomic.Int64 // octets given back by removing files

	// mu is held shortly, never over a write: for reading to take a consistent
	// picture, for writing to change it.
	mu     sync.RWMutex
	active *node    // changes since the freeze, as of the last durable group
	end    position // of that group
	frozen *frozen  // changes being written to the index; nil when none are
	index  *index

	checkpoints  checkpoints
	copies       indexCopies
	failures     failures
	compactionMu sync.Mutex // one compaction at a time
}

var _ engine.Engine = (*Engine)(nil)

// Open opens the store in dir, and creates it if there is none. It undoes what
// a crash left half done, and says so in Status.
func Open(dir string, o Options) (*Engine, error) {
	o = o.withDefaults()
	e := &Engine{
		dir: dir, o: o, opened: o.Now(),
		segments:      newSegmentSet(o.FS, filepath.Join(dir, journalDir), o.OpenSegments),
		requests:      make(chan *request, 4*o.GroupUpdates),
		control:       make(chan func()),
		stop:          make(chan struct{}),
		committerDone: make(chan struct{}),
		running:       running{idle: make(chan struct{})},
	}
	e.large.init(filepath.Join(dir, largeDir))
	e.checkpoints.init()
	e.copies.init()
	e.failures.init()
	if err := e.open(); err != nil {
		e.release()
		return nil, fmt.Errorf("opening store %q: %w", dir, err)
	}
	e.start()
	return e, nil
}

func (e *Engine) open() error {
	if err := e.o.FS.MkdirAll(e.dir, 0o700); err != nil {
		return err
	}
	lock, err := lockStore(filepath.Join(e.dir, lockName), e.o.LockTimeout)
	if err != nil {
		return err
	}
	e.lock = lock
	if err := prepare(e.dir, e.o); err != nil {
		return err
	}
	// A process that was killed may have left names that are not durable yet.
	for _, sub := range []string{"", journalDir} {
		if err := e.o.FS.SyncDir(filepath.Join(e.dir, sub)); err != nil {
			return err
		}
	}
	if e.index, err = openIndex(filepath.Join(e.dir, indexName), e.o); err != nil {
		return unusable(err)
	}
	return guarded(indexName, func() error {
		format, cp, err := e.index.load()
		if err != nil {
			return unusable(err)
		}
		if err := checkFormat(format); err != nil {
			return err
		}
		return e.recover(cp)
	})
}

// recover brings the state up to the end of the journal.
func (e *Engine) recover(cp checkpoint) error {
	c := &committer{e: e, o: &e.o, chores: make(chan struct{}, 1)}
	c.tx.c = c
	e.committer = c
	e.nextBlob.Store(cp.nextBlob)
	found, err := replay(e.segments, cp, e.o.Logf, func(key, value []byte) error {
		if b, ok := blobOfKey(key); ok && uint64(b) >= e.nextBlob.Load() {
			e.nextBlob.Store(uint64(b) + 1)
		}
		kind := uint8(itemValue)
		if value == nil {
			kind = itemDeleted
		}
		c.tree.set(c.arena.item(key, value, kind))
		return nil
	})
	if err != nil {
		return err
	}
	c.published = c.tree.snapshot()
	e.active, e.end = c.published, found.end
	c.journal = journal{
		fs: e.o.FS, set: e.segments, rand: e.o.Rand, syncs: &e.syncs,
		end: found.end, highest: found.highest, segBytes: e.o.SegmentSize, tail: found.tail,
	}
	e.checkpoints.done = cp
	e.checkpoints.suspect = e.indexSuspected()
	count, err := e.countBodies(cp.position)
	if err != nil {
		return err
	}
	e.findCopy()
	e.mended = describe(found, count)
	if e.mended != "" {
		e.o.Logf(2, fmt.Sprintf("store %q: %s", e.dir, e.mended))
	}
	// From here on a disk that takes no writes only makes the store read-only.
	if err := c.journal.confirm(); err != nil {
		e.failJournal(err)
		return nil
	}
	if found.torn > 0 {
		if err := c.journal.rotate(0); err != nil {
			e.failJournal(err)
			return nil
		}
		e.end = c.journal.end
	}
	if found.groups > 0 {
		c.freeze()
		// The failure, if any, is noted where it happens.
		_ = e.writeFrozen()
	}
	return nil
}

// describe says what opening had to mend, or could not; empty when nothing.
func describe(r replayed, bodies bodyCount) string {
	var parts []string
	if r.groups > 0 {
		parts = append(parts, fmt.Sprintf("%d commit groups replayed from the journal", r.groups))
	}
	if r.torn > 0 {
		parts = append(parts, fmt.Sprintf("%d octets of an unfinished group cut off at %s", r.torn, r.end))
	}
	if bodies.orphans > 0 {
		parts = append(parts, fmt.Sprintf("%d unfinished body files removed", bodies.orphans))
	}
	if bodies.faulty > 0 {
		parts = append(parts, fmt.Sprintf("%d entries of the body map make no sense, so no body file or segment will be removed", bodies.faulty))
	}
	return strings.Join(parts, ", ")
}

// start begins the engine's goroutines. Close waits for them.
func (e *Engine) start() {
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	go e.committer.run(false)
	for _, work := range []func(context.Context){e.checkpointLoop, e.probeLoop, e.compactLoop, e.copyLoop} {
		e.background.Add(1)
		go func() {
			defer e.background.Done()
			work(ctx)
		}()
	}
}

// onCommitter runs fn in the committer's turn, between groups.
func (e *Engine) onCommitter(fn func()) error {
	done := make(chan struct{})
	select {
	case e.control <- func() { fn(); close(done) }:
		<-done
		return nil
	case <-e.committerDone:
		return engine.ErrClosed
	}
}

// layersNow returns the durable state. The caller ends its tx.
func (e *Engine) layersNow() (layers, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	l := layers{active: e.active}
	if e.frozen != nil {
		l.frozen = e.frozen.root
	}
	tx, err := e.index.db.Begin(false)
	if err != nil {
		return layers{}, fmt.Errorf("%w: %w", engine.ErrClosed, err)
	}
	err = guarded(indexName, func() error {
		if l.bucket = tx.Bucket(bucketKeys); l.bucket == nil {
			return fmt.Errorf("%w: index has no bucket", engine.ErrDamaged)
		}
		return nil
	})
	if err != nil {
		_ = tx.Rollback()
		return layers{}, err
	}
	l.tx = tx
	return l, nil
}

// publish makes a durable group visible.
func (e *Engine) publish(active *node, end position) {
	e.mu.Lock()
	e.active, e.end = active, end
	e.mu.Unlock()
}

// View runs fn on the durable state; see [engine.Engine].
func (e *Engine) View(ctx context.Context, fn func(engine.Reader) error) error {
	if err := e.running.enter(); err != nil {
		return err
	}
	defer e.running.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	l, err := e.layersNow()
	if err != nil {
		return err
	}
	r := &reader{l}
	defer func() {
		r.done = true
		// A read-only transaction has nothing to lose.
		_ = r.tx.Rollback()
	}()
	return viewed(func() error { return fn(r) })
}

func (e *Engine) newBlob() engine.Blob { return engine.Blob(e.nextBlob.Add(1) - 1) }

// Status tells how the engine is.
func (e *Engine) Status() engine.Status {
	disk, live := e.segments.sum()
	for _, name := range []string{indexName, copyName} {
		if info, err := os.Stat(filepath.Join(e.dir, name)); err == nil {
			disk += info.Size()
		}
	}
	return engine.Status{
		Engine: "local", Format: formatVersion,
		ReadOnly: e.readOnly(),
		Commits:  e.commits.Load(), Updates: e.updates.Load(), Syncs: e.syncs.Load(),
		DiskOctets: disk, LiveOctets: live,
		Opened: e.opened, Recovered: e.mended,
	}
}

// Close waits for what is running, writes the overlay to the index and lets
// go of the store. Bodies that are still open stay readable.
func (e *Engine) Close() error {
	if !e.running.close() {
		return engine.ErrClosed
	}
	e.cancel()
	e.background.Wait()
	close(e.stop)
	<-e.committerDone
	err := e.finalCheckpoint()
	if !e.journalFailed() {
		err = errors.Join(err, e.committer.journal.cut())
	}
	return errors.Join(err, e.release())
}

func (e *Engine) finalCheckpoint() error {
	if e.readOnly() != nil {
		return nil // the journal has all that was acknowledged
	}
	if err := e.writeFrozen(); err != nil {
		return err
	}
	e.committer.freeze()
	return e.writeFrozen()
}

// release gives back what Open took.
func (e *Engine) release() error {
	var errs []error
	if e.committer != nil && e.committer.journal.active != nil {
		e.segments.release(e.committer.journal.active)
	}
	e.segments.closeAll()
	if e.index != nil {
		errs = append(errs, e.index.db.Close())
	}
	e.checkpoints.oldIndexes.Wait()
	if e.lock != nil {
		errs = append(errs, e.lock.release())
	}
	return errors.Join(errs...)
}
