package pop

import "sync"

// bounded is a map that remembers at most so many things: beyond that it forgets
// some, whichever. It may be used by many goroutines.
type bounded[K comparable, V any] struct {
	most int

	mu     sync.Mutex // guards values
	values map[K]V
}

func newBounded[K comparable, V any](most int) *bounded[K, V] {
	return &bounded[K, V]{most: most, values: make(map[K]V)}
}

func (b *bounded[K, V]) get(k K) (v V, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok = b.values[k]
	return v, ok
}

func (b *bounded[K, V]) put(k K, v V) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.values[k]; !known && len(b.values) >= b.most {
		for other := range b.values {
			delete(b.values, other)
			break
		}
	}
	b.values[k] = v
}

func (b *bounded[K, V]) forget(k K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.values, k)
}
