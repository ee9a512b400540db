package local

import "sync"

// watchers are the functions to call when a key has changed.
type watchers struct {
	mu    sync.RWMutex // held for reading while functions run: stop waits for them
	byKey map[string]map[*watcher]struct{}
}

type watcher struct{ wake func() }

// Watch calls wake after commits that changed key; see [engine.Engine]. wake
// must not call stop or Watch.
func (e *Engine) Watch(key []byte, wake func()) (stop func()) {
	return e.watchers.add(string(key), wake)
}

func (w *watchers) add(key string, wake func()) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := &watcher{wake}
	if w.byKey == nil {
		w.byKey = map[string]map[*watcher]struct{}{}
	}
	if w.byKey[key] == nil {
		w.byKey[key] = map[*watcher]struct{}{}
	}
	w.byKey[key][one] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.byKey[key], one)
		if len(w.byKey[key]) == 0 {
			delete(w.byKey, key)
		}
	}
}

// wake calls those who watch a key among ops.
func (w *watchers) wake(ops []op) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if len(w.byKey) == 0 {
		return
	}
	for i := range ops {
		for one := range w.byKey[string(ops[i].now.key)] {
			one.wake()
		}
	}
}
