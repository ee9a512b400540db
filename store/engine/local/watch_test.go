package local

import (
	"fmt"
	"slices"
	"testing"
)

// TestWatchers: those who watch a key are called, each once, until they stop, whichever
// of them stops first.
func TestWatchers(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}} {
		var w watchers
		var called []string
		watch := func(key, name string) *watcher {
			return w.add([]byte(key), func() { called = append(called, name) })
		}
		wake := func(want ...string) {
			t.Helper()
			called = nil
			w.wake([]op{{now: &item{key: []byte("b")}}, {now: &item{key: []byte("a")}}, {now: &item{key: []byte("c")}}})
			slices.Sort(called)
			if !slices.Equal(called, want) {
				t.Errorf("stopped in the order %v: called %q, want %q", order, called, want)
			}
		}
		var of []*watcher
		for i := range order {
			of = append(of, watch("a", fmt.Sprint("a", i)))
		}
		other := watch("b", "b")
		wake("a0", "a1", "a2", "b")
		left := []string{"a0", "a1", "a2", "b"}
		for _, i := range order {
			of[i].stop()
			of[i].stop()
			left = slices.DeleteFunc(left, func(name string) bool { return name == fmt.Sprint("a", i) })
			wake(left...)
		}
		again := watch("a", "again")
		wake("again", "b")
		again.stop()
		other.stop()
		wake()
		if len(w.byKey) != 0 {
			t.Errorf("%d keys are watched by nobody", len(w.byKey))
		}
	}
}
