package store_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
)

// counting is an engine that counts what is asked of it.
type counting struct {
	engine.Engine
	gets, items, views, updates, writes atomic.Int64
}

func (c *counting) View(ctx context.Context, fn func(engine.Reader) error) error {
	c.views.Add(1)
	return c.Engine.View(ctx, func(r engine.Reader) error { return fn(&countingReader{r, c}) })
}

func (c *counting) Update(ctx context.Context, fn func(engine.Tx) error) error {
	c.updates.Add(1)
	return c.Engine.Update(ctx, func(tx engine.Tx) error { return fn(&countingTx{countingReader{tx, c}, tx}) })
}

type countingReader struct {
	engine.Reader
	c *counting
}

func (r *countingReader) Get(key []byte) ([]byte, error) {
	r.c.gets.Add(1)
	return r.Reader.Get(key)
}

func (r *countingReader) Range(lo, hi []byte) iter.Seq2[engine.Item, error] {
	return r.count(r.Reader.Range(lo, hi))
}

func (r *countingReader) Reverse(lo, hi []byte) iter.Seq2[engine.Item, error] {
	return r.count(r.Reader.Reverse(lo, hi))
}

func (r *countingReader) count(seq iter.Seq2[engine.Item, error]) iter.Seq2[engine.Item, error] {
	return func(yield func(engine.Item, error) bool) {
		for item, err := range seq {
			r.c.items.Add(1)
			if !yield(item, err) {
				return
			}
		}
	}
}

type countingTx struct {
	countingReader
	tx engine.Tx
}

func (t *countingTx) Put(key, value []byte) {
	t.c.writes.Add(1)
	t.tx.Put(key, value)
}

func (t *countingTx) Delete(key []byte) {
	t.c.writes.Add(1)
	t.tx.Delete(key)
}

func (t *countingTx) Keep(d engine.Draft) (engine.Blob, error) { return t.tx.Keep(d) }
func (t *countingTx) Share(b engine.Blob) error                { return t.tx.Share(b) }
func (t *countingTx) Drop(b engine.Blob) (bool, error)         { return t.tx.Drop(b) }
func (t *countingTx) BlobSize(b engine.Blob) (int64, error)    { return t.tx.BlobSize(b) }
func (t *countingTx) References(b engine.Blob) (int64, error)  { return t.tx.References(b) }

// cost is what one operation asked of the engine.
func (c *counting) cost(fn func()) string {
	before := [...]int64{c.views.Load(), c.updates.Load(), c.gets.Load(), c.items.Load(), c.writes.Load()}
	fn()
	return fmt.Sprintf("%d views, %d updates, %d gets, %d items, %d writes", c.views.Load()-before[0],
		c.updates.Load()-before[1], c.gets.Load()-before[2], c.items.Load()-before[3], c.writes.Load()-before[4])
}

func countingStore(t testing.TB, o store.Options) (*store.Store, *counting) {
	t.Helper()
	e, err := local.Open(t.TempDir(), local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &counting{Engine: e}
	s, err := store.New(ctx, c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, c
}

// TestCostsDoNotGrow does the same in mailboxes of very different size and
// compares what that asked of the engine.
func TestCostsDoNotGrow(t *testing.T) {
	s, c := countingStore(t, store.Options{Undelete: time.Hour})
	costs := map[string][]string{}
	for _, size := range []int{50, 20_000} {
		ann := newAccount(t, s, fmt.Sprint("user", size))
		inbox := box(ann, "INBOX")
		fill(t, s, ann, inbox, size)
		look := openView(t, s, ann, inbox)
		refresh(t, look, false)
		acting := openView(t, s, ann, inbox)
		refresh(t, acting, false)
		check := func(what string, fn func() error) {
			t.Helper()
			costs[what] = append(costs[what], c.cost(func() {
				t.Helper()
				if err := fn(); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}))
		}
		see := func() error {
			_, err := look.Refresh(ctx, false)
			return err
		}
		check("status", func() error {
			_, _, err := s.Mailbox(ctx, ann, inbox)
			return err
		})
		check("open", func() error {
			v, err := s.Open(ctx, ann, inbox, false)
			if err == nil {
				v.Close()
			}
			return err
		})
		check("nothing happened", see)
		check("append", func() error {
			_, err := tryAppend(s, store.System(), inbox, mail("x"), store.FlagSet{})
			return err
		})
		check("see the append", see)
		check("set a flag", func() error {
			_, _, err := acting.SetFlags(ctx, uids(20), store.FlagsAdd, store.FlagSet{System: seen}, 0)
			return err
		})
		check("see the flag", see)
		check("expunge one", func() error {
			_, err := acting.Expunge(ctx, uids(30), true)
			return err
		})
		check("see the expunge", see)
		check("expunge none", func() error {
			_, err := acting.Expunge(ctx, nil, false)
			return err
		})
		check("copy one", func() error {
			_, err := acting.Copy(ctx, uids(10), inbox)
			return err
		})
		check("move one", func() error {
			_, err := acting.Move(ctx, uids(11), inbox)
			return err
		})
		check("see both", see)
		check("a body", func() error {
			b, err := look.OpenBody(ctx, 5)
			if err == nil {
				b.Close()
			}
			return err
		})
		check("another session", func() error {
			v := openView(t, s, ann, inbox)
			return v.Load(ctx)
		})
		check("rename", func() error { return s.Rename(ctx, ann, inbox, "old") })
		appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{}) // a new INBOX, and used
	}
	for what, list := range costs {
		t.Logf("%-18s %s", what, list[0])
		if list[0] != list[1] {
			t.Errorf("%s: %s in a small mailbox, %s in a large one", what, list[0], list[1])
		}
	}
	// What the promises say in so many words.
	for what, want := range map[string]string{
		"nothing happened": "0 views, 0 updates, 0 gets, 0 items, 0 writes",
		"a body":           "0 views, 0 updates, 0 gets, 0 items, 0 writes",
		"append":           "0 views, 1 updates, 3 gets, 0 items, 4 writes",
	} {
		equal(t, what, costs[what][0], want)
	}
}

// TestSessionsShareTheIndex opens one large mailbox again and again: sessions
// after the first cost next to nothing, read or not.
func TestSessionsShareTheIndex(t *testing.T) {
	s, _ := countingStore(t, store.Options{Undelete: time.Hour})
	ann := newAccount(t, s, "ann")
	inbox := box(ann, "INBOX")
	const size, sessions = 20_000, 50
	fill(t, s, ann, inbox, size)
	first := openView(t, s, ann, inbox)
	views := make([]*store.View, sessions)
	memory := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := memory()
	for i := range views {
		views[i] = openView(t, s, ann, inbox)
	}
	each := (memory() - before) / sessions
	t.Logf("%d octets a session", each)
	if each > 2048 {
		t.Errorf("a session more costs %d octets", each)
	}
	// All of them see a change, and still share.
	if _, _, err := first.SetFlags(ctx, span(1, size), store.FlagsAdd, store.FlagSet{System: flagged}, 0); err != nil {
		t.Fatal(err)
	}
	refresh(t, first, false)
	appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{})
	before = memory()
	for _, v := range views {
		if ch := refresh(t, v, false); len(ch.Flags) != size || !ch.Exists {
			t.Fatalf("%d flags, arrivals %t", len(ch.Flags), ch.Exists)
		}
	}
	each = (memory() - before) / sessions
	t.Logf("%d octets more a session after a change", each)
	if each > 8192 {
		t.Errorf("after a change of all messages a session costs %d octets more", each)
	}
	runtime.KeepAlive(views)
}

// TestIdleIndexes reads a mailbox again after all its sessions have gone.
func TestIdleIndexes(t *testing.T) {
	const size = 1000 // an index of about 50,000 octets
	for _, c := range []struct {
		name   string
		octets int64
		want   [3]int64 // items read: unchanged; after two changes; after four other mailboxes
	}{
		{"kept", 1 << 20, [3]int64{0, 3, 0}},
		{"pushed out by others", 150_000, [3]int64{0, 3, size + 1}},
		{"none is kept", -1, [3]int64{size, size + 1, size + 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, n := countingStore(t, store.Options{IndexOctets: c.octets})
			ann := newAccount(t, s, "ann")
			read := func(name string) int64 {
				before := n.items.Load()
				v, err := s.Open(ctx, ann, box(ann, name), true)
				if err != nil {
					t.Fatal(err)
				}
				defer v.Close()
				if err := v.Load(ctx); err != nil {
					t.Fatal(err)
				}
				return n.items.Load() - before
			}
			fill(t, s, ann, box(ann, "INBOX"), size)
			for i := range 4 {
				name := fmt.Sprint("other", i)
				if err := s.Create(ctx, ann, box(ann, name), store.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				fill(t, s, ann, box(ann, name), size)
			}
			read("INBOX")
			equal(t, "unchanged", read("INBOX"), c.want[0])
			v, err := s.OpenQuietly(ctx, ann, box(ann, "INBOX"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Expunge(ctx, uids(7), true); err != nil {
				t.Fatal(err)
			}
			v.Close()
			appendTo(t, s, ann, box(ann, "INBOX"), mail("x"), store.FlagSet{})
			appendTo(t, s, ann, box(ann, "INBOX"), mail("x"), store.FlagSet{})
			equal(t, "after two changes", read("INBOX"), c.want[1])
			for i := range 4 {
				read(fmt.Sprint("other", i))
			}
			equal(t, "after other mailboxes", read("INBOX"), c.want[2])
		})
	}
}
