package store_test

import (
	"math"
	"testing"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/storetest"
)

// TestSkipAhead goes on from a store as if clients had known it later.
func TestSkipAhead(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	inbox := box(ann, store.Inbox)
	first := appendTo(t, s, ann, inbox, mail("one"), store.FlagSet{})
	_, before, err := s.Mailbox(ctx, ann, inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SkipAhead(ctx); err != nil {
		t.Fatal(err)
	}
	_, after, err := s.Mailbox(ctx, ann, inbox)
	if err != nil {
		t.Fatal(err)
	}
	if after.UIDValidity != before.UIDValidity || after.UIDNext < before.UIDNext+1<<20 || after.Exists != 1 {
		t.Errorf("%+v became %+v", before, after)
	}
	if after.HighestModSeq < before.HighestModSeq+1<<32 || after.Floor != after.HighestModSeq {
		t.Errorf("modseqs %d, floor %d after %d", after.HighestModSeq, after.Floor, before.HighestModSeq)
	}
	next := appendTo(t, s, ann, inbox, mail("two"), store.FlagSet{})
	if next != after.UIDNext || next == first+1 {
		t.Errorf("UID %d after %d", next, first)
	}
	v, err := s.Open(ctx, ann, inbox, false)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := v.Load(ctx); err != nil || v.Len() != 2 || v.At(1).UID != first || v.At(2).UID != next {
		t.Errorf("%d messages, %v", v.Len(), err)
	}
}

// TestSkipAheadWithChanges goes on from a store that remembers changes: they are of no
// use to anybody then, and no fault. The next tidying forgets them.
func TestSkipAheadWithChanges(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	inbox := box(ann, store.Inbox)
	fill(t, s, ann, inbox, 3)
	v := openView(t, s, ann, inbox)
	known := v.State().HighestModSeq
	if _, _, err := v.SetFlags(ctx, uids(1), store.FlagsAdd, store.FlagSet{System: flagged}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Expunge(ctx, uids(2), true); err != nil {
		t.Fatal(err)
	}
	if err := s.SkipAhead(ctx); err != nil {
		t.Fatal(err)
	}
	storetest.Check(t, s)
	since := func() store.Since {
		v := openOnly(t, s, ann, inbox)
		since, err := v.Since(ctx, known)
		if err != nil {
			t.Fatal(err)
		}
		return since
	}
	if got := since(); got.Whole {
		t.Errorf("a client that knew modseq %d is told %+v", known, got)
	}
	records := func() (n int) {
		err := s.Engine().View(ctx, func(r engine.Reader) error {
			for item, err := range r.Range(nil, nil) {
				if err != nil {
					return err
				}
				if len(item.Key) > 14 && item.Key[0] == 'A' && item.Key[9] == 0x10 && item.Key[14] == 0x03 {
					n++
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := records(); n != 2 {
		t.Fatalf("%d change records, want 2", n)
	}
	if err := s.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	if n := records(); n != 0 {
		t.Errorf("%d change records after tidying", n)
	}
	if got := since(); got.Whole {
		t.Errorf("after tidying a client that knew modseq %d is told %+v", known, got)
	}
	appendTo(t, s, ann, inbox, mail("new"), store.FlagSet{})
}

// TestSkipAheadWithoutRoom gives a mailbox that is at the end of its UIDs a new
// UIDVALIDITY.
func TestSkipAheadWithoutRoom(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	inbox := box(ann, store.Inbox)
	for n := 0; ; n++ {
		_, before, err := s.Mailbox(ctx, ann, inbox)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SkipAhead(ctx); err != nil {
			t.Fatal(err)
		}
		_, after, err := s.Mailbox(ctx, ann, inbox)
		if err != nil {
			t.Fatal(err)
		}
		if after.UIDNext > before.UIDNext {
			continue
		}
		if after.UIDValidity <= before.UIDValidity || n < math.MaxUint32>>20-2 {
			t.Errorf("skip %d: %+v became %+v", n, before, after)
		}
		break
	}
	appendTo(t, s, ann, inbox, mail("one"), store.FlagSet{})
}

// TestSkipAheadDamaged tells of an account that cannot be read, and does the
// others.
func TestSkipAheadDamaged(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	key := append([]byte{'A', 0, 0, 0, 0, 0, 0, 0, byte(ann.Account)}, 0)
	var was []byte
	damage := func(value []byte) {
		err := s.Engine().Update(ctx, func(tx engine.Tx) error {
			b, err := tx.Get(key)
			was = append([]byte(nil), b...)
			tx.Put(key, value)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	damage([]byte{9})
	if err := s.SkipAhead(ctx); err == nil {
		t.Error("no word of the damage")
	}
	damage(was)
	if _, st, err := s.Mailbox(ctx, bob, box(bob, store.Inbox)); err != nil || st.UIDNext == 1 {
		t.Errorf("the other account: %+v, %v", st, err)
	}
}
