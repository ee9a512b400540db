package wire

import (
	"errors"
	"strings"
	"testing"
)

func TestApart(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	if err := Apart(func() error { return failed }); err != failed {
		t.Errorf("error %v", err)
	}
	defer func() {
		if p, _ := recover().(string); !strings.HasPrefix(p, "broken\n") || !strings.Contains(p, "apart_test.go") {
			t.Errorf("panic %q", p)
		}
	}()
	Apart(func() error { panic("broken") })
}

func BenchmarkApart(b *testing.B) {
	for b.Loop() {
		Apart(func() error { return nil })
	}
}
