package local

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTree compares trees and their snapshots with plain maps.
func TestTree(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var a arena
	var tr tree
	model := map[string]string{}
	type snapshot struct {
		root  *node
		model map[string]string
	}
	var snapshots []snapshot
	for i := range 20_000 {
		key := fmt.Sprintf("%04d", r.IntN(3000))
		if i < 4000 {
			key = fmt.Sprintf("%05d", i) // ascending first, as blobs are
		}
		value := fmt.Sprint(i)
		switch r.IntN(10) {
		case 0:
			tr.set(a.item([]byte(key), nil, itemDeleted))
			delete(model, key)
		case 1: // done and undone
			it := a.item([]byte(key), []byte(value), itemValue)
			before := tr.set(it)
			if before == nil {
				before = &item{key: it.key, kind: itemNone}
			}
			tr.set(before)
		default:
			tr.set(a.item([]byte(key), []byte(value), itemValue))
			model[key] = value
		}
		if i%1000 == 0 {
			snapshots = append(snapshots, snapshot{tr.snapshot(), maps.Clone(model)})
		}
	}
	snapshots = append(snapshots, snapshot{tr.snapshot(), model})
	for _, s := range snapshots {
		compareTree(t, s.root, s.model, r)
	}
}

func compareTree(t *testing.T, root *node, model map[string]string, r *rand.Rand) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(model))
	for _, key := range keys {
		if it := root.lookup([]byte(key)); it == nil || it.kind != itemValue || string(it.value) != model[key] {
			t.Fatalf("lookup %q: %v, want %q", key, it, model[key])
		}
	}
	for range 20 {
		from := fmt.Sprintf("%04d", r.IntN(3200))
		at, _ := slices.BinarySearch(keys, from)
		var up, down []string
		var it treeIter
		for it.seek(root, []byte(from)); it.item() != nil; it.next() {
			if it.item().kind == itemValue {
				up = append(up, string(it.item().key))
			}
		}
		for it.seekBelow(root, []byte(from)); it.item() != nil; it.previous() {
			if it.item().kind == itemValue {
				down = append(down, string(it.item().key))
			}
		}
		slices.Reverse(down)
		if !slices.Equal(up, keys[at:]) || !slices.Equal(down, keys[:at]) {
			t.Fatalf("from %q: %d keys up and %d down, want %d and %d", from, len(up), len(down), len(keys)-at, at)
		}
	}
}
