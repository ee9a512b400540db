package accounts

import (
	"context"
	"testing"
)

// Sessions of an account end, in whatever state they are, and no others.
func TestSessionsClose(t *testing.T) {
	t.Parallel()
	var s Sessions
	ended := map[string]int{}
	begin := func(name string) (context.Context, func()) {
		return s.Begin(t.Context(), func() { ended[name]++ })
	}
	ann, _ := begin("ann")
	twice, _ := begin("twice")
	bob, _ := begin("bob")
	late, _ := begin("late")
	gone, leave := begin("gone")
	signedIn(t.Context(), 1) // no session: nothing happens
	signedIn(ann, 1)
	signedIn(twice, 2)
	signedIn(twice, 1)
	signedIn(bob, 2)
	signedIn(gone, 1)
	leave()
	leave()
	if n := s.Close(1); n != 2 || ended["ann"] != 1 || ended["twice"] != 1 || len(ended) != 2 {
		t.Errorf("%d sessions, ended: %v", n, ended)
	}
	signedIn(late, 1)
	if ended["late"] != 1 {
		t.Errorf("a session that was signing in goes on: %v", ended)
	}
	s.Open(1)
	again, leave := begin("again")
	signedIn(again, 1)
	leave()
	if ended["again"] != 0 || len(s.of[1]) != 3 {
		t.Errorf("after Open: %v, %d sessions", ended, len(s.of[1]))
	}
}
