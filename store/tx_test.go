package store_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
	"tripost/store/storetest"
)

func TestSpaces(t *testing.T) {
	s, _ := open(t)
	var woken atomic.Int64
	stop := s.Watch(store.SpaceQueue, []byte("k2"), func() { woken.Add(1) })
	defer stop()
	err := s.Update(ctx, func(tx *store.Tx) error {
		for _, sp := range []store.Space{store.SpaceDirectory, store.SpaceQueue, store.SpaceRouter, store.SpaceAlerts, store.SpaceHistory, store.SpaceScreen, store.SpaceKeys} {
			for n := range 4 {
				tx.Put(sp, []byte(fmt.Sprint("k", n)), []byte{byte(sp), byte(n)})
			}
			tx.Put(sp, nil, []byte("empty key"))
			tx.Put(sp, []byte{0xff, 0xff}, []byte("last"))
		}
		tx.Delete(store.SpaceQueue, []byte("k1"))
		v, err := tx.Get(store.SpaceQueue, []byte("k2"))
		if string(v) != "Q\x02" {
			return errors.Join(err, fmt.Errorf("own write is %q", v))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if woken.Load() == 0 {
		t.Error("the watch was not told")
	}
	list := func(seq iter.Seq2[engine.Item, error]) string {
		var keys []string
		for item, err := range seq {
			if err != nil {
				t.Error(err)
			}
			keys = append(keys, fmt.Sprintf("%q", item.Key))
		}
		return strings.Join(keys, " ")
	}
	err = s.View(ctx, func(r *store.Snapshot) error {
		equal(t, "all", list(r.Range(store.SpaceQueue, nil, nil)), `"" "k0" "k2" "k3" "\xff\xff"`)
		equal(t, "some", list(r.Range(store.SpaceQueue, []byte("k1"), []byte("k3"))), `"k2"`)
		equal(t, "reverse", list(r.Reverse(store.SpaceHistory, []byte("k1"), []byte("k3"))), `"k2" "k1"`)
		_, err := r.Get('A', []byte{0})
		if err == nil {
			t.Error("the accounts' space is open to other rooms")
		}
		for _, err := range r.Range('P', nil, nil) {
			if err == nil {
				t.Error("the summaries' space is open to other rooms")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range []func(*store.Tx){
		func(tx *store.Tx) { tx.Put('A', []byte("x"), nil) },
		func(tx *store.Tx) { tx.Delete(0, []byte("x")) },
	} {
		if err := s.Update(ctx, func(tx *store.Tx) error { do(tx); return nil }); err == nil {
			t.Error("writing into another space passes")
		}
	}
}

// A body kept by a room above, as by the queue, lives with its references.
func TestBodiesOfOtherRooms(t *testing.T) {
	var held []store.Body
	s := storetest.New(t, func(*store.Snapshot) iter.Seq2[store.Body, error] {
		return func(yield func(store.Body, error) bool) {
			for _, b := range held {
				if !yield(b, nil) {
					return
				}
			}
		}
	})
	ann := newAccount(t, s, "ann")
	d, err := s.Draft(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	text := mail("queued")
	fmt.Fprint(d, text)
	update := func(fn func(tx *store.Tx) error) {
		t.Helper()
		if err := s.Update(ctx, fn); err != nil {
			t.Fatal(err)
		}
	}
	var body store.Body
	update(func(tx *store.Tx) (err error) {
		if body, err = tx.Keep(d); err != nil {
			return err
		}
		_, err = tx.Append(ann, box(ann, "INBOX"), store.NewMessage{Body: body})
		return err
	})
	held = []store.Body{body}
	storetest.Check(t, s, func(*store.Snapshot) iter.Seq2[store.Body, error] {
		return func(yield func(store.Body, error) bool) { yield(body, nil) }
	})
	update(func(tx *store.Tx) error { return tx.Share(body) })
	update(func(tx *store.Tx) error { return tx.Drop(body) })
	b, err := s.OpenBody(ctx, body)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "size", b.Size(), int64(len(text)))
	b.Close()
	err = s.View(ctx, func(r *store.Snapshot) error {
		rec, err := r.Record(body)
		equal(t, "subject", string(rec.Subject()), "queued")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	update(func(tx *store.Tx) error { return tx.Drop(body) })
	held = nil
	if res := storetest.Check(t, s); res.Blobs != 1 { // ann's
		t.Errorf("%+v", res)
	}
}

func TestFormatVersion(t *testing.T) {
	dir := t.TempDir()
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := store.New(ctx, e, store.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.New(ctx, e, store.Options{}); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if err := e.Update(ctx, func(tx engine.Tx) error {
		tx.Put([]byte{'S', 0}, binary.AppendUvarint([]byte{1}, 99))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, err = store.New(ctx, e, store.Options{})
	if !errors.Is(err, engine.ErrNewerFormat) || !strings.Contains(fmt.Sprint(err), "99") {
		t.Errorf("a newer format: %v", err)
	}
}

// TestCheckFindsDamage changes one thing after the other behind the store's
// back.
func TestCheckFindsDamage(t *testing.T) {
	faults := func(t *testing.T, s *store.Store) (list []string) {
		_, err := s.Check(ctx, nil, func(f engine.Fault) { list = append(list, f.Text) })
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	prefix := func(rest ...byte) []byte { return append([]byte{'A', 0, 0, 0, 0, 0, 0, 0, 1}, rest...) }
	inbox := []byte{0x10, 0, 0, 0, 1}
	first := func(tx engine.Tx, prefix []byte) engine.Item {
		for item, err := range tx.Range(prefix, nil) {
			if err == nil {
				return engine.Item{Key: append([]byte(nil), item.Key...), Value: append([]byte(nil), item.Value...)}
			}
		}
		return engine.Item{}
	}
	for _, c := range []struct {
		name   string
		damage func(tx engine.Tx)
		want   string
	}{
		{"a message less", func(tx engine.Tx) {
			tx.Delete(first(tx, prefix(append(inbox, 1)...)).Key)
		}, "it holds 2"},
		{"a record cut short", func(tx engine.Tx) {
			item := first(tx, prefix(append(inbox, 1)...))
			tx.Put(item.Key, item.Value[:3])
		}, "damaged"},
		{"a state less", func(tx engine.Tx) { tx.Delete(prefix(append(inbox, 2)...)) }, "has a state: false"},
		{"a name that leads nowhere", func(tx engine.Tx) {
			tx.Put(prefix(append([]byte{1}, "ghost"...)...), []byte{1, 77})
		}, "does not exist"},
		{"a second name", func(tx engine.Tx) {
			tx.Put(prefix(append([]byte{1}, "again"...)...), []byte{1, 1})
		}, "that mailbox is called"},
		{"a mailbox without its name", func(tx engine.Tx) {
			tx.Delete(prefix(append([]byte{1}, "INBOX"...)...))
		}, "no INBOX"},
		{"an account less", func(tx engine.Tx) { tx.Delete(prefix(0)) }, "account that does not exist"},
		{"a reference too many", func(tx engine.Tx) {
			if err := tx.Share(1); err != nil {
				panic(err)
			}
		}, "references"},
		{"a summary less", func(tx engine.Tx) { tx.Delete([]byte{'P', 0, 0, 0, 0, 0, 0, 0, 1}) }, "summary of body"},
		{"a summary too many", func(tx engine.Tx) { tx.Put([]byte{'P', 0, 0, 0, 0, 0, 0, 0, 99}, []byte("x")) }, "nothing holds"},
		{"contents of no mailbox", func(tx engine.Tx) {
			item := first(tx, prefix(append(inbox, 1)...))
			item.Key[13] = 9
			tx.Put(item.Key, item.Value)
		}, "which does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, err := local.Open(t.TempDir(), local.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			s, err := store.New(ctx, e, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			ann := newAccount(t, s, "ann")
			for range 3 {
				appendTo(t, s, ann, box(ann, "INBOX"), mail("x"), store.FlagSet{})
			}
			if list := faults(t, s); len(list) > 0 {
				t.Fatalf("before: %q", list)
			}
			if err := e.Update(ctx, func(tx engine.Tx) error { c.damage(tx); return nil }); err != nil {
				t.Fatal(err)
			}
			if list := faults(t, s); !strings.Contains(strings.Join(list, "\n"), c.want) {
				t.Errorf("found %q, want %q", list, c.want)
			}
		})
	}
}

// A context that has ended ends long reads.
func TestCancelled(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	fill(t, s, ann, inbox, 3000)
	v := openOnly(t, s, ann, inbox)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := v.Load(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("loading: %v", err)
	}
	if err := v.Load(ctx); err != nil {
		t.Errorf("loading after that: %v", err)
	}
	if _, _, err := v.SetFlags(ended, span(1, 9), store.FlagsAdd, store.FlagSet{System: seen}, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("setting flags: %v", err)
	}
	refresh(t, v, false)
	equal(t, "flags", v.At(1).Flags, 0)
}
