package imap

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestConcurrentSessions lets sessions work on one mailbox at the same time. What
// each is told must fit together at every moment; when all is quiet, all of them
// must have been told the same, and it must be what they can fetch.
func TestConcurrentSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	sessions := make([]*modelSession, 4)
	for i := range sessions {
		sessions[i] = &modelSession{c: w.connect("ann")}
	}
	t.Run("at once", func(t *testing.T) {
		for i, s := range sessions {
			t.Run("session", func(t *testing.T) {
				t.Parallel()
				s.model = &model{t: t, rand: rand.New(rand.NewPCG(seed, uint64(i))), flags: make(map[int]map[string]bool), next: 1}
				s.c.t = t
				s.run("SELECT INBOX", false)
				for range 500 {
					s.alone()
				}
			})
		}
	})
	var first []told // what the first session knows
	for i, s := range sessions {
		s.t, s.c.t = t, t
		s.run("NOOP", true)
		before := s.picture()
		s.run("FETCH 1:* (UID FLAGS)", false)
		after := s.picture()
		if i == 0 {
			first = after
		}
		compare(t, "what was told and what is fetched", before, after)
		compare(t, "two sessions", first, after)
	}
}

// alone does something at random, without knowing what others do.
func (s *modelSession) alone() {
	switch n := s.rand.IntN(100); {
	case n < 25:
		s.append()
	case n < 60:
		s.store()
	case n < 68:
		s.expunge()
	case n < 73:
		s.move()
	case n < 76:
		s.copy()
	case n < 80:
		s.fetch()
	case n < 84:
		s.run("SEARCH DELETED", false)
	case n < 88:
		s.idle()
	default:
		if len(s.messages) > 0 {
			s.run("UID FETCH 1:* FLAGS", true)
		}
		s.run("NOOP", true)
	}
}

// picture copies what the session has been told.
func (s *modelSession) picture() []told {
	p := make([]told, len(s.messages))
	for i, m := range s.messages {
		p[i] = *m
	}
	return p
}

// compare compares two pictures as far as both know.
func compare(t *testing.T, what string, a, b []told) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%s: %d and %d messages", what, len(a), len(b))
	}
	for i := range a {
		if a[i].uid != 0 && a[i].uid != b[i].uid {
			t.Fatalf("%s: message %d has UID %d and %d", what, i+1, a[i].uid, b[i].uid)
		}
		if a[i].flags != nil && !slices.Equal(sortedKeys(a[i].flags), sortedKeys(b[i].flags)) {
			t.Fatalf("%s: UID %d has flags %v and %v", what, b[i].uid, a[i].flags, b[i].flags)
		}
	}
}

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }
