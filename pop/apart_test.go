package pop

import (
	"errors"
	"strings"
	"testing"
)

func TestApart(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	if err := apart(func() error { return failed }); err != failed {
		t.Errorf("error %v", err)
	}
	defer func() {
		if p, _ := recover().(string); !strings.HasPrefix(p, "broken\n") || !strings.Contains(p, "apart_test.go") {
			t.Errorf("panic %q", p)
		}
	}()
	apart(func() error { panic("broken") })
}
