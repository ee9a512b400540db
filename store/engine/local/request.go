package local

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"tripost/store/engine"
)

// request is one Update on its way through the committer.
type request struct {
	ctx  context.Context
	fn   func(*tx) error
	err  error
	done chan struct{} // one send when err is set
	// unsynced are large drafts that the function kept before they were
	// durable. The caller syncs them and comes again.
	unsynced []*draft
	state    atomic.Int32
}

const (
	requestWaiting   = iota
	requestTaken     // by the committer, which will answer
	requestWithdrawn // by the caller, which has gone
)

// requestPool keeps requests for the next Update. Each engine has its own: a
// request's channel may belong to a bubble of testing/synctest.
type requestPool struct{ pool sync.Pool }

func (p *requestPool) get() *request {
	if r, ok := p.pool.Get().(*request); ok {
		return r
	}
	return &request{done: make(chan struct{}, 1)}
}

func (p *requestPool) put(r *request) { p.pool.Put(r) }

// Update runs fn as one atomic change; see [engine.Engine].
//
// fn runs in the committer's turn, on its goroutine or the caller's: it must not
// call Update, and must not end its goroutine. A panic in it becomes this
// Update's error.
func (e *Engine) Update(ctx context.Context, fn func(engine.Tx) error) error {
	return e.update(ctx, func(t *tx) error { return fn(t) })
}

func (e *Engine) update(ctx context.Context, fn func(*tx) error) error {
	if err := e.running.enter(); err != nil {
		return err
	}
	defer e.running.leave()
	for {
		unsynced, err := e.submit(ctx, fn)
		if len(unsynced) == 0 {
			return err
		}
		for _, d := range unsynced {
			if err := d.sync(); err != nil {
				return err
			}
		}
	}
}

// submit has fn run in a commit group and waits for the outcome.
func (e *Engine) submit(ctx context.Context, fn func(*tx) error) ([]*draft, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := e.idle.get()
	r.ctx, r.fn, r.err, r.unsynced = ctx, fn, nil, nil
	r.state.Store(requestWaiting)
	if !e.committer.lead(r) {
		if err := e.queue(ctx, r); err != nil {
			return nil, err
		}
	}
	unsynced, err := r.unsynced, r.err
	r.ctx, r.fn, r.err, r.unsynced = nil, nil, nil, nil
	e.idle.put(r)
	return unsynced, err
}

// queue gives r to the committer and waits until it is answered. An error is that of
// ctx, and then r was not run.
func (e *Engine) queue(ctx context.Context, r *request) error {
	e.queued.Add(1)
	defer e.queued.Add(-1)
	select {
	case e.requests <- r:
	case <-ctx.Done():
		e.idle.put(r)
		return ctx.Err()
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(requestWaiting, requestWithdrawn) {
			return ctx.Err() // the committer still holds r: not for the pool
		}
		<-r.done
	}
	return nil
}

// call runs the function and turns a panic into an error.
func (r *request) call(t *tx) (err error) {
	finished := false
	defer func() {
		if finished {
			return
		}
		if p := recover(); p != nil {
			err = fmt.Errorf("update panicked: %v\n%s", p, debug.Stack())
			return
		}
		t.c.goexit(r)
	}()
	err = r.fn(t)
	finished = true
	return err
}

var errGoexit = errors.New("update ended its goroutine")
