package local

import "sync"

// watchers are the functions to call when a key has changed. Thousands of sessions
// that wait have some each, so those of a key are a list through themselves.
type watchers struct {
	mu    sync.RWMutex // held for reading while functions run: stop waits for them
	byKey map[string]*watcher
}

// watcher is one call of Watch.
type watcher struct {
	set            *watchers
	key            string // the same string for all that watch it
	wake           func()
	previous, next *watcher
}

// Watch calls wake after commits that changed key; see [engine.Engine]. wake
// must not call stop or Watch.
func (e *Engine) Watch(key []byte, wake func()) (stop func()) {
	return e.watchers.add(key, wake).stop
}

func (w *watchers) add(key []byte, wake func()) *watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey == nil {
		w.byKey = map[string]*watcher{}
	}
	one := &watcher{set: w, wake: wake, next: w.byKey[string(key)]}
	if one.next == nil {
		one.key = string(key)
	} else {
		one.key, one.next.previous = one.next.key, one
	}
	w.byKey[one.key] = one
	return one
}

// stop takes the watcher out of its list. It does nothing the second time.
func (one *watcher) stop() {
	w := one.set
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case one.wake == nil:
		return
	case one.previous != nil:
		one.previous.next = one.next
	case one.next != nil:
		w.byKey[one.key] = one.next
	default:
		delete(w.byKey, one.key)
	}
	if one.next != nil {
		one.next.previous = one.previous
	}
	one.wake, one.previous, one.next = nil, nil, nil
}

// wake calls those who watch a key among ops.
func (w *watchers) wake(ops []op) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if len(w.byKey) == 0 {
		return
	}
	for i := range ops {
		for one := w.byKey[string(ops[i].now.key)]; one != nil; one = one.next {
			one.wake()
		}
	}
}
