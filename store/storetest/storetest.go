// Package storetest gives tests a real mail store in a temporary directory.
package storetest

import (
	"context"
	"iter"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
)

// Held yields the bodies that a room above the store holds, one for each
// reference.
type Held = func(*store.Snapshot) iter.Seq2[store.Body, error]

// New returns a store that keeps expunged messages for a day. When the test
// ends it is checked for consistency and closed. held says what the rooms above
// hold at that time; without it they must hold nothing.
func New(t testing.TB, held ...Held) *store.Store {
	t.Helper()
	return Open(t, t.TempDir(), store.Options{Undelete: 24 * time.Hour}, held...)
}

// Open is New for a directory and options of the test's own.
func Open(t testing.TB, dir string, o store.Options, held ...Held) *store.Store {
	t.Helper()
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatalf("opening an engine: %v", err)
	}
	s, err := store.New(context.Background(), e, o)
	if err != nil {
		e.Close()
		t.Fatalf("opening a store: %v", err)
	}
	t.Cleanup(func() {
		Check(t, s, held...)
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

// Check fails the test for each fault that the store's check finds, and returns
// what it counted.
func Check(t testing.TB, s *store.Store, held ...Held) store.CheckResult {
	t.Helper()
	all := func(r *store.Snapshot) iter.Seq2[store.Body, error] {
		return func(yield func(store.Body, error) bool) {
			for _, h := range held {
				for b, err := range h(r) {
					if !yield(b, err) {
						return
					}
				}
			}
		}
	}
	res, err := s.Check(context.Background(), all, func(f engine.Fault) {
		t.Errorf("store check: %s: %s", f.Place, f.Text)
	})
	if err != nil {
		t.Errorf("store check: %v", err)
	}
	return res
}
