package pop

import (
	"sync"
	"testing"
)

func TestBounded(t *testing.T) {
	t.Parallel()
	b := newBounded[int, int](100)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 1000 {
				b.put(g*1000+i, i)
				if v, ok := b.get(g*1000 + i); ok && v != i {
					t.Errorf("%d is %d", i, v)
				}
			}
		})
	}
	all.Wait()
	if len(b.values) != 100 {
		t.Errorf("%d things are remembered", len(b.values))
	}
	b.put(-1, 7)
	b.put(-1, 8)
	if v, ok := b.get(-1); !ok || v != 8 {
		t.Errorf("the newest is %d, %v", v, ok)
	}
	b.forget(-1)
	if _, ok := b.get(-1); ok {
		t.Error("what was forgotten is there")
	}
}
