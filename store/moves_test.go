package store_test

import (
	"testing"

	"tripost/store"
)

// The number of moves goes up with each change of name, rights and existence,
// before that change is answered, and with nothing else.
func TestMoves(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	ref := box(ann, "work")
	if err := s.Create(ctx, ann, ref, store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	v, err := s.Open(ctx, ann, ref, false)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, step := range []struct {
		what  string
		do    func() error
		moves bool
	}{
		{"append", func() error { appendTo(t, s, ann, ref, mail("x"), store.FlagSet{}); return nil }, false},
		{"flags", func() error {
			_, _, err := v.SetFlags(ctx, store.UIDSet{{Lo: 1, Hi: 1}}, store.FlagsAdd, store.FlagSet{System: seen}, 0)
			return err
		}, false},
		{"expunge", func() error { _, err := v.Expunge(ctx, store.UIDSet{{Lo: 1, Hi: 1}}, true); return err }, false},
		{"ACL", func() error {
			return s.SetACL(ctx, ann, ref, store.ACLEntry{ID: "anyone", Rights: store.RightLookup}, store.RightsReplace)
		}, true},
		{"rename", func() error { return s.Rename(ctx, ann, ref, "other") }, true},
		{"delete", func() error { return s.Delete(ctx, ann, box(ann, "other")) }, true},
	} {
		before := v.Moves()
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if moved := v.Moves() != before; moved != step.moves {
			t.Errorf("after %s: moved %v", step.what, moved)
		}
	}
}
