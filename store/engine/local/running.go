package local

import (
	"sync"
	"sync/atomic"

	"tripost/store/engine"
)

// running counts the calls inside the engine, and lets none in after close.
type running struct {
	n    atomic.Int64 // calls; with closing added once close was called
	once sync.Once    // late callers pass zero again while they are turned away
	idle chan struct{}
}

const closing = int64(1) << 62

func (r *running) enter() error {
	if r.n.Add(1) >= closing {
		r.leave()
		return engine.ErrClosed
	}
	return nil
}

func (r *running) leave() {
	if r.n.Add(-1) == closing {
		r.once.Do(func() { close(r.idle) })
	}
}

// close lets nobody in any more and waits for those inside. It reports false
// when it was called before.
func (r *running) close() bool {
	for {
		n := r.n.Load()
		if n >= closing {
			return false
		}
		if r.n.CompareAndSwap(n, n+closing+1) {
			break
		}
	}
	r.leave() // its own count makes sure that somebody closes idle
	<-r.idle
	return true
}
