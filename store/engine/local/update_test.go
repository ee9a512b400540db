package local_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"tripost/store/engine"
	"tripost/store/engine/local"
)

// TestGoexit ends the goroutine that has the committer's turn in the middle of a
// group, as a failing test does: only that Update fails.
func TestGoexit(t *testing.T) {
	t.Parallel()
	e, err := local.Open(t.TempDir(), local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	for i := range 20 {
		go func() {
			// Where the function ran on this goroutine, Update does not return.
			err := errors.New("update ended the caller's goroutine")
			defer func() { results <- err }()
			err = e.Update(context.Background(), func(tx engine.Tx) error {
				tx.Put([]byte{'k', byte(i)}, nil)
				if i%4 == 0 {
					runtime.Goexit()
				}
				return nil
			})
		}()
	}
	failed := 0
	for range 20 {
		if err := <-results; err != nil {
			failed++
			if !strings.Contains(err.Error(), "goroutine") {
				t.Errorf("update returned %v", err)
			}
		}
	}
	keys := 0
	err = e.View(context.Background(), func(r engine.Reader) error {
		for range r.Range(nil, nil) {
			keys++
		}
		return nil
	})
	if err != nil || failed != 5 || keys != 15 {
		t.Errorf("%d updates failed, %d keys, %v", failed, keys, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// TestOutsideItsFunction uses transactions that have ended.
func TestOutsideItsFunction(t *testing.T) {
	t.Parallel()
	e, err := local.Open(t.TempDir(), local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var kept engine.Reader
	var tx engine.Tx
	if err := e.Update(context.Background(), func(t engine.Tx) error { tx = t; t.Put([]byte("a"), nil); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := e.View(context.Background(), func(r engine.Reader) error { kept = r; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, r := range []engine.Reader{kept, tx} {
		if _, err := r.Get([]byte("a")); err == nil {
			t.Error("a value was read")
		}
		for _, err := range r.Range(nil, nil) {
			if err == nil {
				t.Error("a range was read")
			}
		}
	}
	if _, err := tx.Drop(1); err == nil {
		t.Error("a blob was dropped")
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	e, err := local.Open(t.TempDir(), local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	long := make([]byte, 65<<20)
	for name, change := range map[string]func(engine.Tx){
		"key":   func(tx engine.Tx) { tx.Put(long[:40_000], nil) },
		"value": func(tx engine.Tx) { tx.Put([]byte("k"), long) },
		"update": func(tx engine.Tx) {
			for i := range byte(5) {
				tx.Put([]byte{'k', i}, long[:60<<20])
			}
		},
	} {
		long[0] = 'x'
		if err := e.Update(context.Background(), func(tx engine.Tx) error { change(tx); return nil }); err == nil || errors.Is(err, engine.ErrReadOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := putRecord(e, 1); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestFailingUpdates lets a great many Updates fail and none succeed: they
// leave nothing in memory. It does not run beside other tests, which would be
// weighed as well.
func TestFailingUpdates(t *testing.T) {
	e, err := local.Open(t.TempDir(), local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	refused := errors.New("over quota")
	value := make([]byte, 1000)
	const updates = 50_000
	before := heap()
	for i := range uint32(updates) {
		err := e.Update(context.Background(), func(tx engine.Tx) error {
			tx.Put(keyOf("k", i), value)
			return refused
		})
		if err != refused {
			t.Fatal(err)
		}
	}
	if more := heap() - before; more > 8<<20 {
		t.Errorf("%d Updates that failed hold %d octets", updates, more)
	}
}
