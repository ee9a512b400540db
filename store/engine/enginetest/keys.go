package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tripost/store/engine"
)

var background = context.Background()

// update and view fail the test when the transaction does.
func update(t testing.TB, e engine.Engine, fn func(engine.Tx) error) {
	t.Helper()
	if err := e.Update(background, fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t testing.TB, e engine.Engine, fn func(engine.Reader) error) {
	t.Helper()
	if err := e.View(background, fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func put(t testing.TB, e engine.Engine, pairs ...string) {
	t.Helper()
	update(t, e, func(tx engine.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			tx.Put([]byte(pairs[i]), []byte(pairs[i+1]))
		}
		return nil
	})
}

// get returns a value, "<none>" when there is none.
func get(t testing.TB, e engine.Engine, key string) string {
	t.Helper()
	value := "<none>"
	view(t, e, func(r engine.Reader) error {
		v, err := r.Get([]byte(key))
		if v != nil {
			value = string(v)
		}
		return err
	})
	return value
}

// listing writes down a range as "a=1 b=2", or backwards.
func listing(r engine.Reader, lo, hi []byte, backwards bool) (string, error) {
	seq := r.Range(lo, hi)
	if backwards {
		seq = r.Reverse(lo, hi)
	}
	var b strings.Builder
	for it, err := range seq {
		if err != nil {
			return "", err
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%s", it.Key, it.Value)
	}
	return b.String(), nil
}

func testKeys(t *testing.T, open Opener) {
	e, reopen := open(t)
	if got := get(t, e, "a"); got != "<none>" {
		t.Errorf("empty store has a = %q", got)
	}
	long := strings.Repeat("v", 100_000)
	put(t, e, "a", "1", "b", "", "c", long)
	update(t, e, func(tx engine.Tx) error {
		tx.Delete([]byte("a"))
		tx.Delete([]byte("never"))
		tx.Put([]byte("d"), nil)
		return nil
	})
	check := func() {
		t.Helper()
		for key, want := range map[string]string{"a": "<none>", "b": "", "c": long, "d": "", "never": "<none>"} {
			if got := get(t, e, key); got != want {
				t.Errorf("%s = %.20q, want %.20q", key, got, want)
			}
		}
	}
	check()
	e = reopen()
	check()
	for _, key := range []string{"", "\x00", "\x00b12345678"} {
		err := e.Update(background, func(tx engine.Tx) error {
			tx.Put([]byte("x"), []byte("y"))
			tx.Put([]byte(key), []byte("z"))
			return nil
		})
		if err == nil {
			t.Errorf("key %q was taken", key)
		}
		if got := get(t, e, "x"); got != "<none>" {
			t.Errorf("a refused update left x = %q", got)
		}
	}
	CheckClean(t, e)
}

func testRanges(t *testing.T, open Opener) {
	e, reopen := open(t)
	put(t, e, "b", "1", "d", "1", "f", "1", "h", "1")
	e = reopen() // what was put is now wherever the engine keeps old things
	put(t, e, "a", "2", "d", "2", "g", "2")
	update(t, e, func(tx engine.Tx) error {
		tx.Delete([]byte("b"))
		tx.Delete([]byte("g"))
		return nil
	})
	tests := []struct {
		lo, hi      []byte
		up, down    string
		explanation string
	}{
		{nil, nil, "a=2 d=2 f=1 h=1", "h=1 f=1 d=2 a=2", "everything"},
		{[]byte("b"), []byte("f"), "d=2", "d=2", "lower bound deleted, upper bound excluded"},
		{[]byte("d"), []byte("h"), "d=2 f=1", "f=1 d=2", "lower bound included"},
		{[]byte("e"), nil, "f=1 h=1", "h=1 f=1", "no upper bound"},
		{nil, []byte("d"), "a=2", "a=2", "no lower bound"},
		{[]byte("i"), nil, "", "", "behind the last"},
		{[]byte("f"), []byte("f"), "", "", "empty range"},
		{[]byte("h"), []byte("a"), "", "", "bounds crossed"},
		{nil, []byte{}, "", "", "upper bound is the lowest key"},
	}
	view(t, e, func(r engine.Reader) error {
		for _, test := range tests {
			for _, backwards := range []bool{false, true} {
				want := test.up
				if backwards {
					want = test.down
				}
				got, err := listing(r, test.lo, test.hi, backwards)
				if err != nil {
					return err
				}
				if got != want {
					t.Errorf("%s, backwards %v: %q, want %q", test.explanation, backwards, got, want)
				}
			}
		}
		for it := range r.Range(nil, nil) { // leaving early must be harmless
			if !bytes.Equal(it.Key, []byte("a")) {
				t.Errorf("first key is %q", it.Key)
			}
			break
		}
		return nil
	})
}

func testOwnWrites(t *testing.T, open Opener) {
	e, _ := open(t)
	put(t, e, "a", "1", "b", "1", "c", "1")
	var up, down, kept string
	var deleted []byte
	update(t, e, func(tx engine.Tx) error {
		tx.Put([]byte("b"), []byte("2"))
		tx.Delete([]byte("c"))
		tx.Put([]byte("d"), []byte("2"))
		var err error
		if deleted, err = tx.Get([]byte("c")); err != nil {
			return err
		}
		if up, err = listing(tx, nil, nil, false); err != nil {
			return err
		}
		if down, err = listing(tx, nil, nil, true); err != nil {
			return err
		}
		// A loop sees the keys as they were when it began.
		seen := 0
		for it, err := range tx.Range(nil, nil) {
			if err != nil {
				return err
			}
			seen++
			tx.Put(append([]byte("z"), it.Key...), []byte("3"))
		}
		if seen != 3 {
			return fmt.Errorf("the loop saw %d keys", seen)
		}
		kept, err = listing(tx, []byte("z"), nil, false)
		return err
	})
	if deleted != nil || up != "a=1 b=2 d=2" || down != "d=2 b=2 a=1" || kept != "za=3 zb=3 zd=3" {
		t.Errorf("own writes read as %q, %q, %q, %q", deleted, up, down, kept)
	}
}

var errRefused = errors.New("refused")

func testErrorUndoes(t *testing.T, open Opener) {
	e, reopen := open(t)
	put(t, e, "a", "1", "b", "1")
	err := e.Update(background, func(tx engine.Tx) error {
		tx.Put([]byte("a"), []byte("2"))
		tx.Put([]byte("a"), []byte("3"))
		tx.Delete([]byte("b"))
		tx.Put([]byte("c"), []byte("2"))
		return errRefused
	})
	if !errors.Is(err, errRefused) {
		t.Errorf("update returned %v, want its function's error", err)
	}
	for range 2 {
		view(t, e, func(r engine.Reader) error {
			got, err := listing(r, nil, nil, false)
			if got != "a=1 b=1" {
				t.Errorf("after the error: %q", got)
			}
			return err
		})
		put(t, e, "a", "1") // so that a commit follows
		e = reopen()
	}
}

func testPanicUndoes(t *testing.T, open Opener) {
	e, _ := open(t)
	put(t, e, "a", "1")
	err := e.Update(background, func(tx engine.Tx) error {
		tx.Put([]byte("a"), []byte("2"))
		panic("broken")
	})
	if err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("update returned %v", err)
	}
	if got := get(t, e, "a"); got != "1" {
		t.Errorf("a = %q after the panic", got)
	}
	put(t, e, "a", "3")
	if got := get(t, e, "a"); got != "3" {
		t.Errorf("a = %q after a later update", got)
	}
}

func testCancel(t *testing.T, open Opener) {
	e, _ := open(t)
	ctx, cancel := context.WithCancel(background)
	cancel()
	ran := false
	err := e.Update(ctx, func(engine.Tx) error { ran = true; return nil })
	if !errors.Is(err, context.Canceled) || ran {
		t.Errorf("update with a cancelled context: %v, ran: %v", err, ran)
	}
	if err := e.View(ctx, func(engine.Reader) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("view with a cancelled context: %v", err)
	}

	// One that ends while others are being served is withdrawn or done, never
	// in between.
	ctx, cancel = context.WithCancel(background)
	done := make(chan error, 50)
	for i := range cap(done) {
		go func() {
			done <- e.Update(ctx, func(tx engine.Tx) error {
				tx.Put(fmt.Appendf(nil, "k%02d", i), []byte("1"))
				return nil
			})
		}()
	}
	cancel()
	committed := 0
	for range cap(done) {
		switch err := <-done; {
		case err == nil:
			committed++
		case !errors.Is(err, context.Canceled):
			t.Errorf("update: %v", err)
		}
	}
	view(t, e, func(r engine.Reader) error {
		n := 0
		for range r.Range(nil, nil) {
			n++
		}
		if n != committed {
			t.Errorf("%d keys after %d committed updates", n, committed)
		}
		return nil
	})
}
