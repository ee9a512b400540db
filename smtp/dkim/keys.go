package dkim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tripost/store"
)

// Errors callers may test for with [errors.Is].
var (
	ErrAlgorithm = errors.New("no such algorithm: rsa or ed25519")
	ErrHasKey    = errors.New("the domain signs with such a key already: rotate it")
	ErrNoKey     = errors.New("the domain has no such key")
	ErrWaiting   = errors.New("waits to sign already: it begins by itself; to make another, remove it first")
	ErrOverlap   = errors.New("the overlap, in which the old keys go on signing, is between 0 and 30 days")
)

// maxOverlap bounds how long new keys wait.
const maxOverlap = 30 * 24 * time.Hour

// maxKeys bounds the keys of one domain.
const maxKeys = 50

// Keys are the keys of all domains.
type Keys struct {
	store *store.Store
	now   func() time.Time

	changes atomic.Uint64

	mu    sync.Mutex // guards what follows
	seen  uint64     // changes when cache was begun
	cache map[string][]*Key
}

var keyChanges = []byte("g")

const keyKey = 'k'

// New returns the keys in a store. now is for tests; nil: time.Now.
func New(st *store.Store, now func() time.Time) *Keys {
	if now == nil {
		now = time.Now
	}
	k := &Keys{store: st, now: now}
	st.Watch(store.SpaceKeys, keyChanges, func() { k.changes.Add(1) })
	return k
}

func prefix(domain string) []byte { return append([]byte{keyKey}, domain+"\x00"...) }

func (k *Key) key() []byte { return append(prefix(k.Domain), k.Selector...) }

// List returns all keys of a domain, in the order in which they were made.
// domain is canonical, here and elsewhere.
func (k *Keys) List(ctx context.Context, domain string) (all []*Key, err error) {
	err = k.store.View(ctx, func(r *store.Snapshot) error {
		all, err = read(r, domain)
		return err
	})
	return all, err
}

func read(r *store.Snapshot, domain string) ([]*Key, error) {
	var all []*Key
	from := prefix(domain)
	to := append(slices.Clone(from[:len(from)-1]), 1)
	for it, err := range r.Range(store.SpaceKeys, from, to) {
		if err != nil {
			return nil, err
		}
		one, err := decode(string(it.Key[1:]), it.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b *Key) int { return a.Created.Compare(b.Created) })
	return all, nil
}

// Add makes keys for a domain that has none of these algorithms. They sign at
// once.
func (k *Keys) Add(ctx context.Context, domain string, algorithms ...Algorithm) ([]*Key, error) {
	return k.change(ctx, domain, func(have []*Key, now time.Time) ([]*Key, []*Key, error) {
		made := make([]*Key, 0, len(algorithms))
		for _, a := range algorithms {
			if old := latest(have, a, Waiting, now); old != nil {
				return nil, nil, fmt.Errorf("%s %w", old.Selector, ErrWaiting)
			}
			if latest(have, a, Signing, now) != nil {
				return nil, nil, fmt.Errorf("%s: %w", a, ErrHasKey)
			}
			one, err := newKey(domain, selector(append(have, made...), a, now), a, now, now)
			if err != nil {
				return nil, nil, err
			}
			made = append(made, one)
		}
		return made, nil, nil
	})
}

// Rotate makes a new key for each that signs. The new ones wait for overlap, so
// that their records are known when they are needed; until then the old ones
// sign. Keys that are over are removed.
func (k *Keys) Rotate(ctx context.Context, domain string, overlap time.Duration) ([]*Key, error) {
	if overlap < 0 || overlap > maxOverlap {
		return nil, ErrOverlap
	}
	return k.change(ctx, domain, func(have []*Key, now time.Time) (put, remove []*Key, err error) {
		begins := now.Add(overlap)
		var made []Algorithm
		for _, old := range have {
			switch old.State(now) {
			case Over:
				remove = append(remove, old)
			case Waiting:
				return nil, nil, fmt.Errorf("%s %w", old.Selector, ErrWaiting)
			case Signing:
				if old.Ends.IsZero() || old.Ends.After(begins) {
					old.Ends = begins
				}
				put = append(put, old)
				if slices.Contains(made, old.Algorithm) {
					continue
				}
				made = append(made, old.Algorithm)
			}
		}
		if len(made) == 0 {
			return nil, nil, ErrNoKey
		}
		for _, a := range made {
			one, err := newKey(domain, selector(append(have, put...), a, now), a, now, begins)
			if err != nil {
				return nil, nil, err
			}
			put = append(put, one)
		}
		return put, remove, nil
	})
}

// Remove removes a key at once, whatever its state; with an empty selector all
// keys of the domain. Within a rotation the other key takes its place: one that
// waits begins at once when nothing else of its algorithm signs, and one that was to
// end goes on when its successor is gone.
func (k *Keys) Remove(ctx context.Context, domain, selector string) error {
	_, err := k.change(ctx, domain, func(have []*Key, now time.Time) (put, remove []*Key, err error) {
		var left []*Key
		for _, one := range have {
			if selector == "" || one.Selector == selector {
				remove = append(remove, one)
			} else {
				left = append(left, one)
			}
		}
		if len(remove) == 0 && selector != "" {
			return nil, nil, fmt.Errorf("%q: %w", selector, ErrNoKey)
		}
		for _, gone := range remove {
			if one := succeed(left, gone, now); one != nil {
				put = append(put, one)
			}
		}
		return put, remove, nil
	})
	return err
}

// succeed changes the key that takes the place of one that is gone, and returns it;
// nil where there is none.
func succeed(left []*Key, gone *Key, now time.Time) *Key {
	waiting, signing := latest(left, gone.Algorithm, Waiting, now), latest(left, gone.Algorithm, Signing, now)
	switch {
	case signing == nil && waiting != nil && gone.State(now) == Signing:
		waiting.Begins = now
		return waiting
	case signing != nil && waiting == nil && gone.State(now) == Waiting:
		signing.Ends = time.Time{}
		return signing
	}
	return nil
}

// latest returns the key of an algorithm and a state that was made last, or nil.
func latest(keys []*Key, a Algorithm, s State, now time.Time) *Key {
	for _, one := range slices.Backward(keys) {
		if one.Algorithm == a && one.State(now) == s {
			return one
		}
	}
	return nil
}

// change runs fn on the keys of a domain and records what it says, unless they
// have changed meanwhile: then it is run anew. Keys are made outside of the
// transaction, for that takes its time. It returns all keys that there are then.
func (k *Keys) change(ctx context.Context, domain string, fn func(have []*Key, now time.Time) (put, remove []*Key, err error)) ([]*Key, error) {
	now := k.now().UTC().Truncate(time.Second)
	for {
		have, err := k.List(ctx, domain)
		if err != nil {
			return nil, err
		}
		names := selectors(have)
		put, remove, err := fn(have, now)
		if err != nil {
			return nil, err
		}
		if len(have)+len(put) > maxKeys+len(remove) {
			return nil, fmt.Errorf("the domain has %d keys: remove some", len(have))
		}
		stale := false
		err = k.store.Update(ctx, func(tx *store.Tx) error {
			there, err := read(&tx.Snapshot, domain)
			if stale = err == nil && !slices.Equal(selectors(there), names); err != nil || stale {
				return err
			}
			return record(tx, put, remove)
		})
		if err != nil {
			return nil, fmt.Errorf("keys of %q: %w", domain, err)
		}
		if !stale {
			return k.List(ctx, domain)
		}
	}
}

func selectors(all []*Key) []string {
	names := make([]string, 0, len(all))
	for _, one := range all {
		names = append(names, one.Selector)
	}
	return names
}

func record(tx *store.Tx, put, remove []*Key) error {
	for _, one := range remove {
		tx.Delete(store.SpaceKeys, one.key())
	}
	for _, one := range put {
		b, err := one.encode()
		if err != nil {
			return err
		}
		tx.Put(store.SpaceKeys, one.key(), b)
	}
	tx.Put(store.SpaceKeys, keyChanges, nil)
	return nil
}

// selector finds a name that no key of the domain has: the date and a letter for
// the algorithm, with a number where there are more.
func selector(have []*Key, a Algorithm, now time.Time) string {
	base := now.UTC().Format("20060102") + string(a[0])
	name := base
	for n := 2; slices.ContainsFunc(have, func(k *Key) bool { return k.Selector == name }); n++ {
		name = fmt.Sprint(base, n)
	}
	return name
}

// signing returns the keys that sign for a domain now.
func (k *Keys) signing(ctx context.Context, domain string) ([]*Key, error) {
	now := k.now()
	all, err := k.cached(ctx, domain)
	if err != nil {
		return nil, err
	}
	var some []*Key
	for _, one := range all {
		if one.State(now) == Signing {
			some = append(some, one)
		}
	}
	return some, nil
}

// maxCached bounds the domains whose keys are in memory.
const maxCached = 10_000

func (k *Keys) cached(ctx context.Context, domain string) ([]*Key, error) {
	k.mu.Lock()
	if n := k.changes.Load(); k.cache == nil || n != k.seen || len(k.cache) >= maxCached {
		k.cache, k.seen = make(map[string][]*Key), n
	}
	all, ok := k.cache[domain]
	at := k.seen
	k.mu.Unlock()
	if ok {
		return all, nil
	}
	all, err := k.List(ctx, domain)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen == at && k.changes.Load() == at {
		k.cache[strings.Clone(domain)] = all
	}
	return all, nil
}
