package e2e

import (
	"strings"
	"testing"
)

// TestDrill runs the drill that an administrator may run beside a server.
func TestDrill(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann")
	out := s.run("store", "drill", "--rounds", "2")
	if !strings.HasPrefix(out, "2 kills, ") || !strings.Contains(out, " acknowledged, 0 lost, 0 damaged, 0 faults") || strings.Contains(out, " 0 acknowledged") {
		t.Errorf("drill: %s", out)
	}
}
