package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tripost/store"
	"tripost/store/storetest"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Unix(1_800_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// trash lists what an account can restore as "mailbox uid".
func trash(t testing.TB, s *store.Store, a store.AccountID) (items []store.Expunged, text string) {
	t.Helper()
	for x, err := range s.Expunged(ctx, a) {
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, x)
		text += fmt.Sprint(x.Mailbox, " ", x.UID, ";")
	}
	return items, text
}

func TestUndelete(t *testing.T) {
	c := newClock()
	s := storetest.Open(t, t.TempDir(), store.Options{Undelete: 48 * time.Hour, Now: c.now})
	ann := newAccount(t, s, "ann")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b"} {
		must(s.Create(ctx, ann, box(ann, name), store.CreateOptions{}))
		for range 3 {
			appendTo(t, s, ann, box(ann, name), mail("x"), store.FlagSet{System: flagged | deleted, Keywords: []string{"kept"}})
		}
	}
	start := c.now()
	_, err := openView(t, s, ann, box(ann, "a")).Expunge(ctx, uids(1, 3), true)
	must(err)
	c.pass(time.Hour)
	must(s.Delete(ctx, ann, box(ann, "b")))
	must(s.Rename(ctx, ann, box(ann, "a"), "c"))
	c.pass(time.Hour)

	items, text := trash(t, s, ann.Account)
	equal(t, "expunged", text, "a 1;a 3;b 1;b 2;b 3;")
	x := items[0]
	if !x.At.Equal(start) || !x.Until.Equal(start.Add(48*time.Hour)) || x.Size == 0 || len(x.Keywords) != 1 || x.Keywords[0] != "kept" {
		t.Errorf("%+v", x)
	}
	n, err := s.Restore(ctx, ann.Account, []store.Expunged{items[4], items[1], items[2]})
	must(err)
	equal(t, "restored", n, 3)
	// Where the mailbox is, under whatever name; a removed one is made anew.
	equal(t, "mailboxes", names(t, s, ann, ann.Account), "INBOX b c")
	equal(t, "renamed", show(openView(t, s, ann, box(ann, "c"))), "2[F D kept] 4[F kept]")
	equal(t, "made anew", show(openView(t, s, ann, box(ann, "b"))), "1[F kept] 2[F kept]")
	if n, err = s.Restore(ctx, ann.Account, items[1:3]); err != nil || n != 0 {
		t.Errorf("restoring twice: %d, %v", n, err)
	}

	must(s.Tidy(ctx))
	_, text = trash(t, s, ann.Account)
	equal(t, "before its time", text, "a 1;b 2;")
	c.pass(46*time.Hour + time.Second)
	must(s.Tidy(ctx))
	_, text = trash(t, s, ann.Account)
	equal(t, "the older is over", text, "b 2;")
	c.pass(time.Hour)
	must(s.Tidy(ctx))
	if res := storetest.Check(t, s); res.Expunged != 0 || res.Messages != 4 || res.Blobs != 4 {
		t.Errorf("in the end: %+v", res)
	}
}

// A clock that ran ahead for a while must not hold back the purge of the rest.
func TestPurgeAfterAClockRanAhead(t *testing.T) {
	c := newClock()
	s := storetest.Open(t, t.TempDir(), store.Options{Undelete: time.Hour, Now: c.now})
	ann := newAccount(t, s, "ann")
	inbox := box(ann, "INBOX")
	for range 2 {
		appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{})
	}
	v := openView(t, s, ann, inbox)
	c.pass(1000 * time.Hour)
	if _, err := v.Expunge(ctx, uids(1), true); err != nil {
		t.Fatal(err)
	}
	c.pass(-1000 * time.Hour)
	if _, err := v.Expunge(ctx, uids(2), true); err != nil {
		t.Fatal(err)
	}
	c.pass(2 * time.Hour)
	if err := s.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	_, text := trash(t, s, ann.Account)
	equal(t, "left", text, "INBOX 1;")
}

func TestNothingIsKeptWithoutUndelete(t *testing.T) {
	s := storetest.Open(t, t.TempDir(), store.Options{})
	ann := newAccount(t, s, "ann")
	for _, name := range []string{"INBOX", "a"} {
		s.Create(ctx, ann, box(ann, name), store.CreateOptions{})
		for range 3 {
			appendTo(t, s, ann, box(ann, name), mail("x"), store.FlagSet{})
		}
	}
	v := openView(t, s, ann, box(ann, "INBOX"))
	if _, err := v.Copy(ctx, span(3, 3), box(ann, "INBOX")); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Expunge(ctx, span(1, 3), true); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, ann, box(ann, "a")); err != nil {
		t.Fatal(err)
	}
	if res := storetest.Check(t, s); res.Expunged != 0 || res.Messages != 1 || res.Blobs != 1 {
		t.Errorf("%+v", res)
	}
}

func TestRemoveAccount(t *testing.T) {
	c := newClock()
	s := storetest.Open(t, t.TempDir(), store.Options{Undelete: time.Hour, Now: c.now})
	ann, bob := newAccount(t, s, "ann"), newAccount(t, s, "bob")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Create(ctx, ann, box(ann, "a/b"), store.CreateOptions{}))
	must(s.Subscribe(ctx, ann.Account, "a/b", true))
	fill(t, s, ann, box(ann, "a/b"), 2500)
	appendTo(t, s, bob, box(bob, "INBOX"), mail("x"), store.FlagSet{})
	v := openView(t, s, ann, box(ann, "a/b"))
	must(s.Update(ctx, func(tx *store.Tx) error { return tx.RemoveAccount(ann.Account) }))

	// All of it is gone at once, for sessions too, before anything was cleared away.
	if _, err := v.Refresh(ctx, false); !errors.Is(err, store.ErrNoMailbox) {
		t.Errorf("session: %v", err)
	}
	if _, err := v.OpenBody(ctx, 1); !errors.Is(err, store.ErrNoMailbox) {
		t.Errorf("body: %v", err)
	}
	if _, err := tryAppend(s, store.System(), box(ann, "INBOX"), mail("x"), store.FlagSet{}); !errors.Is(err, store.ErrNoMailbox) {
		t.Errorf("append: %v", err)
	}
	if _, err := s.Usage(ctx, ann.Account); !errors.Is(err, store.ErrNoAccount) {
		t.Errorf("usage: %v", err)
	}
	err := s.Update(ctx, func(tx *store.Tx) error { return tx.RemoveAccount(ann.Account) })
	if !errors.Is(err, store.ErrNoAccount) {
		t.Errorf("removing it twice: %v", err)
	}
	equal(t, "names", names(t, s, ann, ann.Account), "")
	storetest.Check(t, s)

	must(s.Tidy(ctx))
	items, _ := trash(t, s, ann.Account)
	equal(t, "can be looked at", len(items), 2500)
	if _, err := s.Restore(ctx, ann.Account, items[:1]); !errors.Is(err, store.ErrNoAccount) {
		t.Errorf("restoring to nobody: %v", err)
	}
	c.pass(2 * time.Hour)
	must(s.Tidy(ctx))
	if res := storetest.Check(t, s); res.Accounts != 1 || res.Messages != 1 || res.Expunged != 0 || res.Blobs != 1 {
		t.Errorf("in the end: %+v", res)
	}
	if next := newAccount(t, s, "jim"); next.Account <= bob.Account {
		t.Errorf("account id %d again", next.Account)
	}
}

// What a process that died left to do is done by the next one's Run.
func TestRunClearsWhatWasLeft(t *testing.T) {
	s, ann := open(t)
	fill(t, s, ann, box(ann, "INBOX"), 10)
	bob := newAccount(t, s, "bob")
	done := make(chan error)
	run, stop := context.WithCancel(ctx)
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.RemoveAccount(ann.Account) }); err != nil {
		t.Fatal(err)
	}
	go func() { done <- s.Run(run) }()
	waitFor(t, func() bool {
		items, _ := trash(t, s, ann.Account)
		return len(items) == 10
	})
	// And while it runs it hears of more.
	fill(t, s, bob, box(bob, "INBOX"), 5)
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.RemoveAccount(bob.Account) }); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		items, _ := trash(t, s, bob.Account)
		return len(items) == 5
	})
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// waitFor waits until a condition holds.
func waitFor(t testing.TB, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("waited for long")
		}
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// Old changes are forgotten; a session that knew the mailbox before is still
// brought to the present, and one that has not looked yet is told that it
// cannot be.
func TestChangesAreForgotten(t *testing.T) {
	c := newClock()
	s := storetest.Open(t, t.TempDir(), store.Options{Now: c.now, KeepChanges: 5, KeepChangesFor: time.Hour, IndexOctets: -1})
	ann := newAccount(t, s, "ann")
	inbox := box(ann, "INBOX")
	fill(t, s, ann, inbox, 20)
	loaded, late := openView(t, s, ann, inbox), openOnly(t, s, ann, inbox)
	busy := openView(t, s, ann, inbox)
	for n := range 8 {
		u := store.UID(n + 1)
		if _, _, err := busy.SetFlags(ctx, uids(u), store.FlagsAdd, store.FlagSet{System: flagged}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := busy.Expunge(ctx, uids(2, 11), true); err != nil {
		t.Fatal(err)
	}
	refresh(t, busy, false)
	floor := func() store.ModSeq {
		_, st, err := s.Mailbox(ctx, ann, inbox)
		if err != nil {
			t.Fatal(err)
		}
		return st.Floor
	}
	before := floor()
	if err := s.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	if floor() <= before {
		t.Error("nine changes are kept where five should be")
	}
	if err := late.Load(ctx); !errors.Is(err, store.ErrTooLate) {
		t.Errorf("loading late: %v", err)
	}
	ch := refresh(t, loaded, false)
	equal(t, "told", fmt.Sprint(ch.Expunged, ch.ExpungedUIDs, ch.Flags), "[2 10] 2,11 [1 2 3 4 5 6 7]")
	equal(t, "messages", show(loaded), show(busy))

	before = floor()
	c.pass(2 * time.Hour)
	if err := s.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	if floor() <= before {
		t.Error("changes of two hours ago are kept")
	}
	equal(t, "floor", floor(), busy.State().HighestModSeq)
}

// Run looks again after a while.
func TestRunPurgesInTime(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open(t, dir, store.Options{Undelete: time.Hour})
		ann := newAccount(t, s, "ann")
		appendTo(t, s, ann, box(ann, "INBOX"), mail("x"), store.FlagSet{})
		v := openView(t, s, ann, box(ann, "INBOX"))
		if _, err := v.Expunge(ctx, uids(1), true); err != nil {
			t.Fatal(err)
		}
		run, stop := context.WithTimeout(ctx, 2*time.Hour)
		defer stop()
		if err := s.Run(run); err != nil {
			t.Fatal(err)
		}
		items, _ := trash(t, s, ann.Account)
		equal(t, "left", len(items), 0)
	})
}

// A mailbox has no room for all the keywords of what is restored to it: the
// messages come back without those for which there is none.
func TestRestoreBeyondKeywords(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	for _, name := range []string{"a", "b"} {
		for round := range 2 { // two mailboxes of the name, one after the other
			if err := s.Create(ctx, ann, box(ann, name), store.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			var f store.FlagSet
			for k := range 40 {
				f.Keywords = append(f.Keywords, fmt.Sprint("k", round, "-", k))
			}
			appendTo(t, s, ann, box(ann, name), mail("x"), f)
			if err := s.Delete(ctx, ann, box(ann, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	items, _ := trash(t, s, ann.Account)
	n, err := s.Restore(ctx, ann.Account, items)
	if err != nil || n != 4 {
		t.Errorf("%d restored, %v", n, err)
	}
	v := openView(t, s, ann, box(ann, "a"))
	equal(t, "messages", v.Len(), 2)
	equal(t, "keywords", len(v.Keywords()), store.MaxKeywords)
}
