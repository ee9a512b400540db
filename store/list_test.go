package store_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
)

// weighing is an engine that takes the memory in use at the end of each range.
type weighing struct {
	engine.Engine
	most uint64
}

func (w *weighing) View(ctx context.Context, fn func(engine.Reader) error) error {
	return w.Engine.View(ctx, func(r engine.Reader) error { return fn(weighingReader{r, w}) })
}

type weighingReader struct {
	engine.Reader
	w *weighing
}

func (r weighingReader) Range(lo, hi []byte) iter.Seq2[engine.Item, error] {
	return func(yield func(engine.Item, error) bool) {
		r.Reader.Range(lo, hi)(yield)
		r.w.most = max(r.w.most, heap())
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Listing mailboxes does not hold all their ACLs at once: children inherit
// them, so that one long ACL makes thousands.
func TestListingHoldsNoACLs(t *testing.T) {
	const mailboxes = 300
	// No checkpoint may take memory at the same time.
	e, err := local.Open(t.TempDir(), local.Options{OverlayBytes: 1 << 30, CheckpointEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	w := &weighing{Engine: e}
	s, err := store.New(ctx, w, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ann := newAccount(t, s, "ann")
	if err := s.Create(ctx, ann, box(ann, "a"), store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		id := fmt.Sprintf("%03d%s@company.test", i, strings.Repeat("x", 230))
		if err := s.SetACL(ctx, ann, box(ann, "a"), store.ACLEntry{ID: id, Rights: store.RightLookup}, store.RightsReplace); err != nil {
			t.Fatal(err)
		}
	}
	err = s.Update(ctx, func(tx *store.Tx) error {
		for i := range mailboxes {
			if err := tx.CreateMailbox(ann, box(ann, fmt.Sprint("a/", i)), store.CreateOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	list, err := s.Mailboxes(ctx, ann, ann.Account)
	if err != nil || len(list) != mailboxes+2 {
		t.Fatalf("%d mailboxes, %v", len(list), err)
	}
	if w.most > before+4<<20 {
		t.Errorf("listing %d mailboxes holds %d KiB", mailboxes, (w.most-before)>>10)
	}
}
