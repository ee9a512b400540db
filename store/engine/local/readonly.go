package local

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tripost/store/engine"
)

// failures is why the engine refuses updates. The journal and the index fail
// and recover each for itself.
type failures struct {
	mu      sync.RWMutex
	journal error
	index   error
	hurry   chan struct{} // asks the prober to try at once
}

func (f *failures) init() { f.hurry = make(chan struct{}, 1) }

// readOnly returns the error that Updates are refused with, nil while they
// are not.
func (e *Engine) readOnly() error {
	e.failures.mu.RLock()
	defer e.failures.mu.RUnlock()
	cause := e.failures.journal
	if cause == nil {
		cause = e.failures.index
	}
	if cause == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", engine.ErrReadOnly, cause)
}

func (e *Engine) journalFailed() bool {
	e.failures.mu.RLock()
	defer e.failures.mu.RUnlock()
	return e.failures.journal != nil
}

// failJournal makes the engine read-only after a write or sync that failed, and
// returns the error for those who waited for it.
func (e *Engine) failJournal(cause error) error { return e.fail(&e.failures.journal, cause) }

// failIndex does the same for a checkpoint.
func (e *Engine) failIndex(cause error) error { return e.fail(&e.failures.index, cause) }

// failLarge does the same for a large body. Its file goes when its owner
// closes the draft, which may be all the space that is missing.
func (e *Engine) failLarge(cause error) error {
	err := e.fail(&e.failures.journal, cause)
	signal(e.failures.hurry)
	return err
}

func (e *Engine) fail(which *error, cause error) error {
	e.failures.mu.Lock()
	first := e.failures.journal == nil && e.failures.index == nil
	*which = cause
	e.failures.mu.Unlock()
	if first {
		e.o.Logf(1, fmt.Sprintf("store is read-only: %v", cause))
	}
	return fmt.Errorf("%w: %w", engine.ErrReadOnly, cause)
}

func (e *Engine) indexWorks() { e.works(&e.failures.index) }

func (e *Engine) works(which *error) {
	e.failures.mu.Lock()
	had := *which != nil
	*which = nil
	all := e.failures.journal == nil && e.failures.index == nil
	e.failures.mu.Unlock()
	if had && all {
		e.o.Logf(2, "store takes updates again")
	}
}

// probeLoop tries now and then whether a read-only engine can write again.
func (e *Engine) probeLoop(ctx context.Context) {
	if e.o.ProbeEvery < 0 {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(e.o.ProbeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-e.failures.hurry:
		}
		// Why it is still read-only stands in Status.
		_ = e.probe()
	}
}

// Probe tries whether a read-only engine can write again, and returns why not.
func (e *Engine) Probe(ctx context.Context) error {
	if err := e.running.enter(); err != nil {
		return err
	}
	defer e.running.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	return e.probe()
}

func (e *Engine) probe() error {
	if e.readOnly() == nil {
		return nil
	}
	if e.journalFailed() {
		err := errors.New("not tried")
		if stopped := e.onCommitter(func() { err = e.committer.reopen() }); stopped != nil {
			return stopped
		}
		if err != nil {
			return err
		}
	}
	if e.readOnly() == nil {
		return nil
	}
	return e.writeFrozen()
}

// reopen begins a new segment after a failure. Its header excludes what the
// failed group may have left on disk, and it proves that there is room for a
// group.
func (c *committer) reopen() error {
	if err := c.journal.rotate(int64(c.o.GroupBytes)); err != nil {
		return c.e.failJournal(err)
	}
	c.e.mu.Lock()
	c.e.end = c.journal.end
	c.e.mu.Unlock()
	c.e.works(&c.e.failures.journal)
	c.e.sweepLeftover()
	return nil
}
