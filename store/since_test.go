package store_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/storetest"
)

// remembered is what a client knew of a mailbox when it went away.
type remembered struct {
	at    store.ModSeq
	flags map[store.UID]store.Flags
}

func remember(v *store.View) remembered {
	r := remembered{at: v.State().HighestModSeq, flags: map[store.UID]store.Flags{}}
	for seq := 1; seq <= v.Len(); seq++ {
		r.flags[v.At(seq).UID] = v.At(seq).Flags
	}
	return r
}

// update is what the client does with the answer: it forgets what has vanished,
// and asks for the messages that have changed.
func (r remembered) update(t *testing.T, v *store.View, s store.Since) map[store.UID]store.Flags {
	t.Helper()
	now := maps.Clone(r.flags)
	for u := range s.Vanished.All() {
		if _, there := v.Seq(u); there {
			t.Errorf("UID %d has vanished, and is there", u)
		}
		delete(now, u)
	}
	for u := range s.Changed.All() {
		seq, there := v.Seq(u)
		if !there {
			t.Fatalf("UID %d has changed, and is not there", u)
		}
		now[u] = v.At(seq).Flags
	}
	return now
}

// TestSinceAgainstModel lets clients that went away at any moment come back, and
// compares what they then know with the mailbox.
func TestSinceAgainstModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			keep := 10_000
			if seed%2 == 1 {
				keep = 15 // so that some are told that nothing is known
			}
			s := storetest.Open(t, t.TempDir(), store.Options{Undelete: time.Hour, KeepChanges: keep})
			ann := newAccount(t, s, "ann")
			runSince(t, s, ann, rand.New(rand.NewPCG(seed, 7)), keep < 100)
		})
	}
}

func runSince(t *testing.T, s *store.Store, ann store.Identity, r *rand.Rand, forgets bool) {
	inbox := box(ann, "INBOX")
	if err := s.Create(ctx, ann, box(ann, "other"), store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	acting := openView(t, s, ann, inbox)
	known := []remembered{remember(acting)}
	forgotten := 0
	for range 400 {
		refresh(t, acting, r.IntN(3) == 0)
		somethingHappens(t, s, ann, acting, r)
		if r.IntN(4) == 0 {
			refresh(t, acting, false)
			known = append(known, remember(acting))
		}
		if r.IntN(40) == 0 {
			if err := s.Tidy(ctx); err != nil {
				t.Fatal(err)
			}
		}
		// One who opens the mailbox, and reads its messages only later.
		late := openOnly(t, s, ann, inbox)
		old := known[r.IntN(len(known))]
		since, err := late.Since(ctx, old.at)
		if err != nil {
			t.Fatal(err)
		}
		if !since.Whole {
			forgotten++
			late.Close()
			continue
		}
		if err := late.Load(ctx); err != nil {
			t.Fatal(err)
		}
		if got, want := old.update(t, late, since), remember(late).flags; !maps.Equal(got, want) {
			t.Fatalf("since %d a client knows\n%v\nwant\n%v", old.at, got, want)
		}
		late.Close()
	}
	if forgets != (forgotten > 0) {
		t.Errorf("%d clients were told that nothing is known", forgotten)
	}
}

// somethingHappens changes INBOX.
func somethingHappens(t *testing.T, s *store.Store, ann store.Identity, v *store.View, r *rand.Rand) {
	t.Helper()
	some := func() store.UIDSet {
		if v.Len() == 0 {
			return nil
		}
		from := 1 + r.IntN(v.Len())
		to := min(v.Len(), from+r.IntN(3))
		return span(v.At(from).UID, v.At(to).UID)
	}
	var err error
	switch n := r.IntN(10); {
	case n < 4 || v.Len() == 0:
		appendTo(t, s, ann, box(ann, "INBOX"), mail("new"), store.FlagSet{System: store.Flags(r.IntN(8))})
	case n < 7:
		_, _, err = v.SetFlags(ctx, some(), store.FlagOp(r.IntN(3)), store.FlagSet{System: store.Flags(r.IntN(8))}, 0)
	case n < 8:
		_, err = v.Expunge(ctx, some(), true)
	case n < 9:
		_, err = v.Move(ctx, some(), box(ann, "other"))
	default:
		_, err = v.Copy(ctx, some(), box(ann, "INBOX"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What a view still holds, though it is expunged, is told by Refresh and by that
// alone.
func TestSinceLeavesOutWhatIsHeld(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	for range 4 {
		appendTo(t, s, ann, inbox, mail("old"), store.FlagSet{})
	}
	v := openView(t, s, ann, inbox)
	refresh(t, v, false)
	before := v.State().HighestModSeq
	other := openView(t, s, ann, inbox)
	if _, err := other.Expunge(ctx, span(2, 3), true); err != nil {
		t.Fatal(err)
	}
	refresh(t, v, true)
	since, err := v.Since(ctx, before)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "held back", fmt.Sprint(since.Vanished, since.Changed), " ")
	refresh(t, v, false)
	if since, err = v.Since(ctx, before); err != nil {
		t.Fatal(err)
	}
	equal(t, "let go", fmt.Sprint(since.Vanished, since.Changed), "2:3 ")
}

// TestSinceCosts shows that the cost does not grow with the mailbox.
func TestSinceCosts(t *testing.T) {
	s, c := countingStore(t, store.Options{Undelete: time.Hour})
	var costs []string
	for _, size := range []int{100, 20_000} {
		ann := newAccount(t, s, fmt.Sprint("user", size))
		inbox := box(ann, "INBOX")
		fill(t, s, ann, inbox, size)
		v := openView(t, s, ann, inbox)
		before := v.State().HighestModSeq
		for u := store.UID(1); u <= 8; u++ {
			if _, _, err := v.SetFlags(ctx, uids(u), store.FlagsAdd, store.FlagSet{System: seen}, 0); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := v.Expunge(ctx, span(50, 60), true); err != nil {
			t.Fatal(err)
		}
		appendTo(t, s, ann, inbox, mail("new"), store.FlagSet{})
		late := openOnly(t, s, ann, inbox)
		costs = append(costs, c.cost(func() {
			if _, err := late.Since(ctx, before); err != nil {
				t.Fatal(err)
			}
		}))
	}
	equal(t, "costs", costs[1], costs[0])
}

// Metadata of a mailbox count as its change, RFC 7162 section 3.2, but not as one of
// its messages.
func TestMetadataRaiseTheModSeq(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{})
	before := openOnly(t, s, ann, inbox).State().HighestModSeq
	entry := store.MetadataEntry{Name: "/private/comment", Value: []byte("mine")}
	if err := s.SetMetadata(ctx, ann, inbox, []store.MetadataEntry{entry}); err != nil {
		t.Fatal(err)
	}
	v := openOnly(t, s, ann, inbox)
	equal(t, "raised", v.State().HighestModSeq > before, true)
	since, err := v.Since(ctx, before)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "messages", fmt.Sprint(since.Whole, since.Changed, since.Vanished), "true  ")
}
