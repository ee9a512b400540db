package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"tripost/store/engine"
)

// model is what a store should hold.
type model struct {
	keys  map[string]string
	blobs map[engine.Blob]modelBlob
}

type modelBlob struct {
	content []byte
	refs    int64
}

func (m *model) clone() *model {
	return &model{maps.Clone(m.keys), maps.Clone(m.blobs)}
}

// testRandom does random operations to a store and to plain maps, and compares
// them all along and after reopening.
func testRandom(t *testing.T, open Opener, runTwice bool) {
	for seed := range uint64(3) {
		e, reopen := open(t)
		r := rand.New(rand.NewPCG(seed, 99))
		m := &model{map[string]string{}, map[engine.Blob]modelBlob{}}
		for round := range 300 {
			target := e
			if runTwice {
				target = Twice(e)
			}
			m = randomUpdate(t, target, m, r)
			if round%20 == 0 {
				compare(t, e, m, r)
			}
			switch r.IntN(60) {
			case 0:
				e = reopen()
				compare(t, e, m, r)
			case 1:
				if _, err := e.Compact(background); err != nil {
					t.Fatalf("compact: %v", err)
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d, round %d", seed, round)
			}
		}
		e = reopen()
		compare(t, e, m, r)
		CheckClean(t, e)
	}
}

func randomKey(r *rand.Rand) string {
	switch r.IntN(3) {
	case 0:
		return fmt.Sprintf("a%03d", r.IntN(400))
	case 1:
		return fmt.Sprintf("b%d", r.IntN(30))
	default:
		return string([]byte{byte(1 + r.IntN(255)), byte(r.IntN(256)), byte(r.IntN(3))}[:1+r.IntN(3)])
	}
}

// step is one random operation, settled before the Update so that its function
// can run any number of times.
type step struct {
	kind       int
	key, value string
	draft      engine.Draft
	content    []byte
	blob       engine.Blob
}

func randomUpdate(t *testing.T, e engine.Engine, m *model, r *rand.Rand) *model {
	t.Helper()
	steps := make([]step, 1+r.IntN(8))
	for i := range steps {
		s := &steps[i]
		s.kind = r.IntN(8)
		s.key, s.value = randomKey(r), fmt.Sprintf("%d%s", r.Uint32(), bytes.Repeat([]byte("."), r.IntN(60)))
		switch s.kind {
		case 4:
			size := r.IntN(5000)
			if r.IntN(40) == 0 {
				size = 300_000
			}
			s.content = octets(size, r.Uint64())
			s.draft = draftOf(t, e, s.content)
			defer s.draft.Close()
		case 5, 6:
			if len(m.blobs) > 0 {
				all := slices.Sorted(maps.Keys(m.blobs))
				s.blob = all[r.IntN(len(all))]
			}
		}
	}
	fail := r.IntN(6) == 0
	var after *model
	err := e.Update(background, func(tx engine.Tx) error {
		after = m.clone()
		for _, s := range steps {
			if err := s.do(tx, after); err != nil {
				return err
			}
		}
		if fail {
			return errRefused
		}
		return nil
	})
	switch {
	case fail && !errors.Is(err, errRefused), !fail && err != nil:
		t.Fatalf("update: %v", err)
	case fail:
		return m
	}
	return after
}

func (s *step) do(tx engine.Tx, m *model) error {
	switch s.kind {
	case 0, 1:
		tx.Put([]byte(s.key), []byte(s.value))
		m.keys[s.key] = s.value
	case 2:
		tx.Delete([]byte(s.key))
		delete(m.keys, s.key)
	case 3:
		v, err := tx.Get([]byte(s.key))
		if want, ok := m.keys[s.key]; err != nil || ok != (v != nil) || string(v) != want {
			return fmt.Errorf("get %q: %q, %v, want %q", s.key, v, err, want)
		}
	case 4:
		blob, err := tx.Keep(s.draft)
		if err != nil {
			return err
		}
		m.blobs[blob] = modelBlob{s.content, 1}
	case 5:
		return s.share(tx, m)
	case 6:
		return s.drop(tx, m)
	case 7:
		return m.compareRange(tx, s.key, s.key+"\xff")
	}
	return nil
}

func (s *step) share(tx engine.Tx, m *model) error {
	if s.blob == 0 {
		return nil
	}
	err := tx.Share(s.blob)
	b, ok := m.blobs[s.blob]
	if !ok {
		return wantNoBlob(err)
	}
	b.refs++
	m.blobs[s.blob] = b
	return err
}

func (s *step) drop(tx engine.Tx, m *model) error {
	if s.blob == 0 {
		return nil
	}
	last, err := tx.Drop(s.blob)
	b, ok := m.blobs[s.blob]
	if !ok {
		return wantNoBlob(err)
	}
	b.refs--
	m.blobs[s.blob] = b
	if b.refs == 0 {
		delete(m.blobs, s.blob)
	}
	if last != (b.refs == 0) {
		return fmt.Errorf("drop said last: %v with %d references left", last, b.refs)
	}
	return err
}

func wantNoBlob(err error) error {
	if errors.Is(err, engine.ErrNoBlob) {
		return nil
	}
	return fmt.Errorf("dropped blob: %v", err)
}

// compareRange compares one range in both directions.
func (m *model) compareRange(r engine.Reader, lo, hi string) error {
	var want []string
	for key, value := range m.keys {
		if key >= lo && key < hi {
			want = append(want, key+"\x00"+value)
		}
	}
	slices.Sort(want)
	for range 2 {
		seq := r.Range([]byte(lo), []byte(hi))
		if len(want) > 1 && want[0] > want[1] {
			seq = r.Reverse([]byte(lo), []byte(hi))
		}
		var got []string
		for it, err := range seq {
			if err != nil {
				return err
			}
			got = append(got, string(it.Key)+"\x00"+string(it.Value))
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("range %q to %q: %q, want %q", lo, hi, got, want)
		}
		slices.Reverse(want)
	}
	return nil
}

// compare compares everything.
func compare(t *testing.T, e engine.Engine, m *model, r *rand.Rand) {
	t.Helper()
	view(t, e, func(reader engine.Reader) error {
		for range 5 {
			a, b := randomKey(r), randomKey(r)
			if err := m.compareRange(reader, min(a, b), max(a, b)); err != nil {
				return err
			}
		}
		for blob, b := range m.blobs {
			if n, err := reader.References(blob); err != nil || n != b.refs {
				t.Errorf("blob %d has %d references, want %d: %v", blob, n, b.refs, err)
			}
		}
		return m.compareRange(reader, "\x01", "\xff\xff\xff\xff")
	})
	for blob, b := range m.blobs {
		if got := read(t, e, blob); !bytes.Equal(got, b.content) {
			t.Errorf("blob %d differs", blob)
		}
	}
}
