package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
	"tripost/store/storetest"
)

// TestManyFlagsWriteLittle sets a flag on all of a large mailbox: that writes a
// record for every thousand messages or so, however often it is done, and every
// session reads the same from it.
func TestManyFlagsWriteLittle(t *testing.T) {
	t.Parallel()
	s, c := countingStore(t, store.Options{IndexOctets: -1})
	ann := newAccount(t, s, "ann")
	inbox := box(ann, "INBOX")
	const size = 10_000
	fill(t, s, ann, inbox, size)
	v := openView(t, s, ann, inbox)
	set := func(set store.UIDSet, op store.FlagOp, f store.Flags) int64 {
		t.Helper()
		before := c.writes.Load()
		if _, _, err := v.SetFlags(ctx, set, op, store.FlagSet{System: f}, 0); err != nil {
			t.Fatal(err)
		}
		return c.writes.Load() - before
	}
	if n := set(span(1, size), store.FlagsAdd, flagged); n > 15 {
		t.Errorf("a flag for all of %d messages took %d writes", size, n)
	}
	var tenth store.UIDSet
	for u := store.UID(1); u <= size; u += 10 {
		tenth.Add(u, u)
	}
	if n := set(tenth, store.FlagsAdd, seen); n > 15 {
		t.Errorf("a flag for one message in ten took %d writes", n)
	}
	equal(t, "writes for one message", set(uids(5), store.FlagsAdd, deleted), 4)
	if n := set(span(1, size), store.FlagsRemove, flagged); n > 15 {
		t.Errorf("the flag taken from all took %d writes", n)
	}
	want := show(v)
	v.Close()
	v = openView(t, s, ann, inbox)
	equal(t, "read again", show(v), want)
	storetest.Check(t, s)
}

// TestManyFlagsAreAnyFlags changes the flags of many and of few messages, copies,
// moves, expunges and restores them, and compares each message's flags, as the
// session has them, as another is told, and as they are read again.
func TestManyFlagsAreAnyFlags(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			manyFlags(t, rand.New(rand.NewPCG(seed, 3)), seed%2 == 1)
		})
	}
}

func manyFlags(t *testing.T, r *rand.Rand, again bool) {
	e, err := local.Open(t.TempDir(), local.Options{OverlayBytes: 1 << 18, SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var under engine.Engine = e
	if again {
		under = twice{e}
	}
	s, err := store.New(ctx, under, store.Options{IndexOctets: -1, Undelete: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ann := newAccount(t, s, "ann")
	inbox, other := box(ann, "INBOX"), box(ann, "other")
	if err := s.Create(ctx, ann, other, store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	const size = 2600
	fill(t, s, ann, inbox, size)
	a, b := openView(t, s, ann, inbox), openView(t, s, ann, inbox)
	flags := map[store.UID]store.Flags{}
	for u := store.UID(1); u <= size; u++ {
		flags[u] = 0
	}
	for range 60 {
		set := someUIDs(r, size+100)
		op, f := store.FlagOp(r.IntN(3)), store.Flags(1<<r.IntN(4))
		switch r.IntN(12) {
		case 0:
			gone, err := a.Expunge(ctx, set.Intersect(span(1, 900)), true)
			if err != nil {
				t.Fatal(err)
			}
			for u := range gone.All() {
				delete(flags, u)
			}
		case 1:
			refresh(t, a, false)
			res, err := a.Copy(ctx, set, other)
			if err != nil {
				t.Fatal(err)
			}
			checkCopied(t, s, ann, other, flags, res)
		default:
			refresh(t, a, false)
			if _, _, err := a.SetFlags(ctx, set, op, store.FlagSet{System: f}, 0); err != nil {
				t.Fatal(err)
			}
			for u := range set.All() {
				if was, there := flags[u]; there {
					flags[u] = [...]store.Flags{f, was | f, was &^ f}[op]
				}
			}
		}
		if r.IntN(2) == 0 {
			a, b = b, a
		}
	}
	for _, v := range []*store.View{a, b} {
		refresh(t, v, false)
		checkFlags(t, v, flags)
		v.Close()
	}
	fresh := openView(t, s, ann, inbox)
	checkFlags(t, fresh, flags)
	if _, err := fresh.Expunge(ctx, span(1, size), true); err != nil {
		t.Fatal(err)
	}
	checkTrash(t, s, ann, flags)
	storetest.Check(t, s) // of the mailbox's flags nothing is left
	if err := s.Delete(ctx, ann, other); err != nil {
		t.Fatal(err)
	}
	if err := s.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	storetest.Check(t, s)
}

// someUIDs returns a set: a few, one range or one in so many, of UIDs up to n.
func someUIDs(r *rand.Rand, n int) store.UIDSet {
	lo := 1 + r.IntN(n)
	hi := lo + r.IntN(n-lo+1)
	switch r.IntN(4) {
	case 0:
		return uids(store.UID(lo), store.UID(hi))
	case 1:
		return span(1, store.UID(n))
	case 2:
		return span(store.UID(lo), store.UID(hi))
	}
	var set store.UIDSet
	for u, step := lo, 2+r.IntN(40); u <= hi; u += step {
		set.Add(store.UID(u), store.UID(u))
	}
	return set
}

func checkFlags(t *testing.T, v *store.View, want map[store.UID]store.Flags) {
	t.Helper()
	equal(t, "messages", v.Len(), len(want))
	for _, m := range v.Range(1, v.Len()) {
		if f, there := want[m.UID]; !there || f != m.Flags {
			t.Fatalf("message %d has the flags %b, want %b (%t)", m.UID, m.Flags, f, there)
		}
	}
}

func checkCopied(t *testing.T, s *store.Store, ann store.Identity, to store.MailboxRef, flags map[store.UID]store.Flags, res store.CopyResult) {
	t.Helper()
	v, err := s.Open(ctx, ann, to, true)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := v.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	next := v.SeqFloor(firstOf(res.Target))
	for u := range res.Source.All() {
		if m := v.At(next); m.Flags != flags[u] {
			t.Fatalf("the copy of message %d has the flags %b, want %b", u, m.Flags, flags[u])
		}
		next++
	}
}

func firstOf(set store.UIDSet) store.UID {
	if len(set) == 0 {
		return 0
	}
	return set[0].Lo
}

// checkTrash holds the expunged messages against the flags that they had.
func checkTrash(t *testing.T, s *store.Store, ann store.Identity, flags map[store.UID]store.Flags) {
	t.Helper()
	n := 0
	for x, err := range s.Expunged(ctx, ann.Account) {
		if err != nil {
			t.Fatal(err)
		}
		f, there := flags[x.UID]
		if !there {
			continue // went before the end
		}
		n++
		if x.Flags != f {
			t.Fatalf("expunged message %d had the flags %b, want %b", x.UID, x.Flags, f)
		}
	}
	equal(t, "expunged messages", n, len(flags))
}

// TestManyFlagsOfIndividuals changes the flags of all messages of a shared
// mailbox: whoever sees a part of it sees them.
func TestManyFlagsOfIndividuals(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	for i := range 20 {
		appendTo(t, s, ann, inbox, fmt.Sprintf("X-Real-To: %s\r\n%s", []string{"bob", "eve"}[i%2], mail("x")), store.FlagSet{})
	}
	part := func() *store.View {
		t.Helper()
		v, err := s.OpenIndividual(ctx, ann, inbox, "bob", false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(v.Close)
		return v
	}
	early := part()
	all := openView(t, s, ann, inbox)
	if _, _, err := all.SetFlags(ctx, span(1, 20), store.FlagsAdd, store.FlagSet{System: flagged}, 0); err != nil {
		t.Fatal(err)
	}
	equal(t, "flags told", len(refresh(t, early, false).Flags), 10)
	late := part()
	if _, _, err := late.SetFlags(ctx, span(1, 20), store.FlagsAdd, store.FlagSet{System: seen}, 0); err != nil {
		t.Fatal(err)
	}
	refresh(t, early, false)
	for _, v := range []*store.View{early, late, part()} {
		equal(t, "bob's messages", show(v), "1[S F] 3[S F] 5[S F] 7[S F] 9[S F] 11[S F] 13[S F] 15[S F] 17[S F] 19[S F]")
	}
	refresh(t, all, false)
	equal(t, "of the others", int(all.State().Unseen), 10)
}
