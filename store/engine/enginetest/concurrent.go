package enginetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tripost/store/engine"
)

func number(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func numeral(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// parallel runs fn in n goroutines and waits for them.
func parallel(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			fn(i)
		}()
	}
	wg.Wait()
}

// within waits for a condition that another goroutine brings about.
func within(t testing.TB, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("waited too long for %s", what)
	}
}

// testCounters loses no increment, and every Update sees the one before it.
func testCounters(t *testing.T, open Opener) {
	e, reopen := open(t)
	const workers, each, counters = 16, 50, 3
	parallel(workers, func(w int) {
		for i := range each {
			key := fmt.Appendf(nil, "counter %d", (w+i)%counters)
			err := e.Update(background, func(tx engine.Tx) error {
				for _, k := range [][]byte{key, []byte("total")} {
					v, err := tx.Get(k)
					if err != nil {
						return err
					}
					tx.Put(k, numeral(number(v)+1))
				}
				return nil
			})
			if err != nil {
				t.Errorf("update: %v", err)
			}
		}
	})
	e = reopen()
	view(t, e, func(r engine.Reader) error {
		var sum uint64
		for it, err := range r.Range([]byte("counter"), []byte("d")) {
			if err != nil {
				return err
			}
			sum += number(it.Value)
		}
		total, err := r.Get([]byte("total"))
		if sum != workers*each || number(total) != sum {
			t.Errorf("counters add up to %d and %d, want %d", sum, number(total), workers*each)
		}
		return err
	})
}

// testSnapshots writes the same number to many keys in each Update: no View
// may see two numbers, nor one lower than an Update that has returned.
func testSnapshots(t *testing.T, open Opener) {
	e, _ := open(t)
	const keys, rounds = 40, 150
	key := func(i int) []byte { return fmt.Appendf(nil, "k%03d", i) }
	var acknowledged atomic.Uint64
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := acknowledged.Load()
				if err := e.View(background, func(r engine.Reader) error { return oneNumber(r, least, keys) }); err != nil {
					t.Errorf("view: %v", err)
					return
				}
			}
		}()
	}
	for n := range uint64(rounds) {
		update(t, e, func(tx engine.Tx) error {
			for i := range keys {
				tx.Put(key(i), numeral(n+1))
			}
			return nil
		})
		acknowledged.Store(n + 1)
	}
	close(stop)
	readers.Wait()
}

func oneNumber(r engine.Reader, least uint64, keys int) error {
	seen := map[uint64]int{}
	for it, err := range r.Range(nil, nil) {
		if err != nil {
			return err
		}
		seen[number(it.Value)]++
	}
	for it, err := range r.Reverse(nil, nil) {
		if err != nil {
			return err
		}
		seen[number(it.Value)]++
	}
	if len(seen) > 1 {
		return fmt.Errorf("one snapshot shows several states: %v", seen)
	}
	for n, count := range seen {
		if n < least || count != 2*keys {
			return fmt.Errorf("snapshot shows state %d with %d keys after %d was acknowledged", n, count/2, least)
		}
	}
	return nil
}

func testWatch(t *testing.T, open Opener) {
	e, _ := open(t)
	woken := make(chan struct{}, 1000)
	stop := e.Watch([]byte("watched"), func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	other := e.Watch([]byte("other"), func() {})
	defer other()

	for n := range uint64(20) {
		put(t, e, "watched", fmt.Sprint(n))
		within(t, "the wake-up", woken)
		if got := get(t, e, "watched"); got != fmt.Sprint(n) {
			t.Errorf("woken before the change could be seen: %s", got)
		}
	}
	update(t, e, func(tx engine.Tx) error { tx.Delete([]byte("watched")); return nil })
	within(t, "the wake-up of a deletion", woken)

	stop()
	for len(woken) > 0 {
		<-woken
	}
	put(t, e, "watched", "x")
	put(t, e, "watched", "y") // by now a late wake-up of x would have come
	if len(woken) > 0 {
		t.Error("woken after stop")
	}
}

// testBlobsConcurrently keeps, shares, drops and reads from many goroutines,
// while the engine compacts.
func testBlobsConcurrently(t *testing.T, open Opener) {
	e, reopen := open(t)
	const workers, each = 8, 25
	type kept struct {
		blob engine.Blob
		size int
		seed uint64
	}
	var mu sync.Mutex
	var all []kept
	parallel(workers, func(w int) {
		for i := range each {
			k := kept{size: 500 + 700*i, seed: uint64(w*each + i)}
			if i == each/2 {
				k.size = 300_000
			}
			blob, err := keepQuietly(e, octets(k.size, k.seed))
			if err != nil {
				t.Errorf("keep: %v", err)
				return
			}
			k.blob = blob
			if i%2 == 0 { // half of them go again
				if err := e.Update(background, func(tx engine.Tx) error { _, err := tx.Drop(blob); return err }); err != nil {
					t.Errorf("drop: %v", err)
				}
				continue
			}
			if i%10 == 9 {
				if _, err := e.Compact(background); err != nil {
					t.Errorf("compact: %v", err)
				}
			}
			mu.Lock()
			all = append(all, k)
			one := all[len(all)/2]
			mu.Unlock()
			if got := read(t, e, one.blob); !bytes.Equal(got, octets(one.size, one.seed)) {
				t.Errorf("blob %d differs", one.blob)
			}
		}
	})
	CheckClean(t, e)
	e = reopen()
	for _, k := range all {
		if got := read(t, e, k.blob); !bytes.Equal(got, octets(k.size, k.seed)) {
			t.Errorf("blob %d differs after reopening", k.blob)
		}
	}
	if result := CheckClean(t, e); result.Blobs != int64(len(all)) {
		t.Errorf("%d blobs, want %d", result.Blobs, len(all))
	}
}

func keepQuietly(e engine.Engine, content []byte) (blob engine.Blob, err error) {
	d, err := e.Draft(background, int64(len(content)))
	if err != nil {
		return 0, err
	}
	defer d.Close()
	if _, err := d.Write(content); err != nil {
		return 0, err
	}
	err = e.Update(background, func(tx engine.Tx) (err error) {
		blob, err = tx.Keep(d)
		return err
	})
	return blob, err
}

func testClosed(t *testing.T, open Opener) {
	e, _ := open(t)
	put(t, e, "a", "1")
	blob := keep(t, e, []byte("octets"))
	body, err := e.Open(background, blob)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if err := e.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	calls := map[string]error{
		"View":   e.View(background, func(engine.Reader) error { return nil }),
		"Update": e.Update(background, func(engine.Tx) error { return nil }),
		"Close":  e.Close(),
	}
	_, calls["Draft"] = e.Draft(background, 0)
	_, calls["Open"] = e.Open(background, blob)
	_, calls["Check"] = e.Check(background, func(engine.Fault) {})
	_, calls["Compact"] = e.Compact(background)
	for name, err := range calls {
		if !errors.Is(err, engine.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	if got := readBody(t, body); string(got) != "octets" {
		t.Errorf("open body reads %q after Close", got)
	}
}
