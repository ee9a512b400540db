package screen

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"tripost/store"
)

// memory keeps things with an end in the store's space for this room:
//
//	e end key   for each thing, in the order in which they end
//	key         since when, and the end: two times in milliseconds, 8 octets each
//
// A key begins with its kind: 'g' an attempt that was put off, 'n' a network that
// came back, 't' an address that wrote to a trap.
type memory struct {
	store *store.Store
	limit int

	mu    sync.Mutex // guards what follows
	known bool       // count was read
	count int        // things in the store
}

const keyEnd = 'e'

// thing is what is remembered under a key.
type thing struct {
	since, end time.Time
}

var errThing = errors.New("damaged record of the screen")

func (m *memory) get(ctx context.Context, key []byte) (t thing, err error) {
	err = m.store.View(ctx, func(r *store.Snapshot) (err error) {
		t, err = readThing(r, key)
		return err
	})
	return t, err
}

func readThing(r *store.Snapshot, key []byte) (t thing, err error) {
	b, err := r.Get(store.SpaceScreen, key)
	if err != nil || b == nil {
		return t, err
	}
	if len(b) != 16 {
		return t, errThing
	}
	t.since = time.UnixMilli(int64(binary.BigEndian.Uint64(b)))
	t.end = time.UnixMilli(int64(binary.BigEndian.Uint64(b[8:])))
	return t, nil
}

func endKey(end time.Time, key []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{keyEnd}, uint64(max(end.UnixMilli(), 0)))
	return append(b, key...)
}

// put remembers a thing, in the place of what was there under its key. When there
// is no room, what ends first is forgotten.
func (m *memory) put(ctx context.Context, key []byte, t thing) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.load(ctx); err != nil {
		return err
	}
	count := 0
	err := m.store.Update(ctx, func(tx *store.Tx) error {
		count = m.count
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], uint64(t.since.UnixMilli()))
		binary.BigEndian.PutUint64(b[8:], uint64(t.end.UnixMilli()))
		old, err := tx.Get(store.SpaceScreen, key)
		switch {
		case err != nil:
			return err
		case len(old) == 16:
			tx.Delete(store.SpaceScreen, endKey(time.UnixMilli(int64(binary.BigEndian.Uint64(old[8:]))), key))
		default:
			count++
		}
		if count > m.limit {
			n, err := forget(tx, time.Time{}, 1+m.limit/100)
			if err != nil {
				return err
			}
			count -= n
		}
		tx.Put(store.SpaceScreen, key, b[:])
		tx.Put(store.SpaceScreen, endKey(t.end, key), nil)
		return nil
	})
	if err != nil {
		return fmt.Errorf("remember: %w", err)
	}
	m.count = count
	return nil
}

// load counts what there is, once.
func (m *memory) load(ctx context.Context) error {
	if m.known {
		return nil
	}
	err := m.store.View(ctx, func(r *store.Snapshot) error {
		m.count = 0
		for _, err := range r.Range(store.SpaceScreen, []byte{keyEnd}, []byte{keyEnd + 1}) {
			if err != nil {
				return err
			}
			m.count++
		}
		return nil
	})
	m.known = err == nil
	return err
}

// forget removes at most so many things, those that end first; only what ends
// before a time, if one is given.
func forget(tx *store.Tx, before time.Time, most int) (n int, err error) {
	var hi []byte
	if hi = []byte{keyEnd + 1}; !before.IsZero() {
		hi = endKey(before, nil)
	}
	var keys [][]byte
	for it, err := range tx.Range(store.SpaceScreen, []byte{keyEnd}, hi) {
		if err != nil {
			return 0, err
		}
		if keys = append(keys, append([]byte(nil), it.Key...)); len(keys) == most {
			break
		}
	}
	for _, k := range keys {
		tx.Delete(store.SpaceScreen, k)
		if len(k) > 9 {
			tx.Delete(store.SpaceScreen, k[9:])
		}
	}
	return len(keys), nil
}

// purgeSome is how many things one transaction forgets.
const purgeSome = 1000

// purge forgets what has ended.
func (m *memory) purge(ctx context.Context, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.load(ctx); err != nil {
		return err
	}
	for m.count > 0 {
		var n int
		err := m.store.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = forget(tx, now, purgeSome)
			return err
		})
		if err != nil {
			return err
		}
		m.count -= n
		if n < purgeSome {
			break
		}
	}
	return nil
}
