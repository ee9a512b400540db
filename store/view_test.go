package store_test

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
	"tripost/store/storetest"
)

func TestMessageComesBackAsItWas(t *testing.T) {
	s, ann := open(t)
	text := mail("first")
	u := appendTo(t, s, ann, box(ann, "INBOX"), text, store.FlagSet{System: flagged, Keywords: []string{"$Junk"}})
	v := openView(t, s, ann, box(ann, "inbox"))
	equal(t, "messages", show(v), "1[F $Junk]")
	b, err := v.OpenBody(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var got bytes.Buffer
	if _, err := b.WriteTo(&got); err != nil {
		t.Fatal(err)
	}
	equal(t, "octets", got.String(), text)
	equal(t, "size", v.At(1).Size, int64(len(text)))
	d, err := v.Detail(ctx, u)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "lines", d.Lines, 6)
}

// POP3 announces counts at sign-in and reads the messages later: the two must
// agree, whatever others did in between.
func TestLoadIsAsOfTheOpening(t *testing.T) {
	for name, undelete := range map[string]time.Duration{"kept": time.Hour, "dropped": 0} {
		t.Run(name, func(t *testing.T) {
			s := storetest.Open(t, t.TempDir(), store.Options{Undelete: undelete})
			ann := newAccount(t, s, "ann")
			inbox := box(ann, "INBOX")
			for range 30 {
				appendTo(t, s, ann, inbox, mail("old"), store.FlagSet{})
			}
			before := show(openView(t, s, ann, inbox))
			v := openOnly(t, s, ann, inbox)
			st := v.State()

			other := openView(t, s, ann, inbox)
			if _, err := other.Expunge(ctx, span(3, 9), true); err != nil {
				t.Fatal(err)
			}
			if err := s.Create(ctx, ann, box(ann, "kept"), store.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := other.Move(ctx, span(28, 30), box(ann, "kept")); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				appendTo(t, s, ann, inbox, mail("a much longer subject than before"), store.FlagSet{})
			}
			if _, err := other.Expunge(ctx, span(33, 34), true); err != nil {
				t.Fatal(err)
			}

			refresh(t, other, false) // no session has the old picture any more

			if err := v.Load(ctx); err != nil {
				t.Fatal(err)
			}
			equal(t, "length", v.Len(), int(st.Exists))
			var octets int64
			for seq := 1; seq <= v.Len(); seq++ {
				octets += v.At(seq).Size
			}
			equal(t, "octets", octets, st.Octets)
			equal(t, "messages, gone ones marked", show(v),
				"1 2 -3 -4 -5 -6 -7 -8 -9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 -28 -29 -30")
			equal(t, "before", before, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30")
			if _, err := v.OpenBody(ctx, 4); !errors.Is(err, store.ErrNoMessage) {
				t.Errorf("opening an expunged message: %v", err)
			}
			c := refresh(t, v, false)
			equal(t, "expunged", len(c.Expunged), 10)
			equal(t, "after", show(v), show(openView(t, s, ann, inbox)))
		})
	}
}

func TestRefreshTellsWhatOthersDid(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	for range 6 {
		appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{})
	}
	a, b := openView(t, s, ann, inbox), openView(t, s, ann, inbox)
	refresh(t, a, false)
	equal(t, "nothing to tell", a.Changed(), false)

	if _, _, err := b.SetFlags(ctx, span(2, 3), store.FlagsAdd, store.FlagSet{System: seen, Keywords: []string{"work"}}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Expunge(ctx, uids(1, 4), true); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, ann, inbox, mail("new"), store.FlagSet{})
	equal(t, "something to tell", a.Changed(), true)

	c := refresh(t, a, true)
	equal(t, "held", show(a), "-1 2[S work] 3[S work] -4 5 6 7")
	if !c.Pending || !c.Exists || !c.Keywords || len(c.Expunged) != 0 {
		t.Errorf("holding back: %+v", c)
	}
	if len(c.Flags) != 2 || c.Flags[0] != 2 || c.Flags[1] != 3 {
		t.Errorf("flags of %v", c.Flags)
	}
	c = refresh(t, a, false)
	equal(t, "let go", show(a), "2[S work] 3[S work] 5 6 7")
	if len(c.Expunged) != 2 || c.Expunged[0] != 1 || c.Expunged[1] != 3 || c.Pending || c.Exists {
		t.Errorf("letting go: %+v", c)
	}
	refresh(t, b, false)
	equal(t, "the other", show(b), show(a))
}

func TestRefreshReadsNoMessagesWithoutNeed(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	appendTo(t, s, ann, inbox, mail("first"), store.FlagSet{})
	v := openOnly(t, s, ann, inbox)
	refresh(t, v, false)
	equal(t, "loaded", v.Loaded(), false)
	equal(t, "something to look for", v.Changed(), false)
	appendTo(t, s, ann, inbox, mail("second"), store.FlagSet{})
	equal(t, "arrivals", refresh(t, v, false).Exists, true)
	equal(t, "messages", show(v), "1 2")
}

// TestOpenWhileStoreIsReadOnly opens a mailbox with new messages on a disk that
// takes no writes: they are read and \Recent, and so again once it is well.
func TestOpenWhileStoreIsReadOnly(t *testing.T) {
	dir := t.TempDir()
	fs := faultfs.New(dir)
	e, err := local.Open(dir, local.Options{FS: fs, ProbeEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(ctx, e, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ann := newAccount(t, s, "ann")
	inbox := box(ann, "INBOX")
	appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{})
	fs.FailWhen(func(int, faultfs.Op) faultfs.Fault { return faultfs.Fault{Err: syscall.EIO} })
	for range 2 {
		v := openView(t, s, ann, inbox)
		if n := v.Recent(); n != 1 {
			t.Errorf("%d messages are recent, want 1", n)
		}
		if b, err := v.OpenBody(ctx, 1); err != nil {
			t.Error(err)
		} else {
			b.Close()
		}
		v.Close()
	}
	fs.FailWhen(nil)
	if err := e.Probe(ctx); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		v := openView(t, s, ann, inbox)
		if n := v.Recent(); n != want {
			t.Errorf("%d messages are recent, want %d", n, want)
		}
		v.Close()
	}
}
