package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

// checkIndex compares an index with the list that it stands for.
func checkIndex(t *testing.T, x *index, want []Message) {
	t.Helper()
	if x.n != len(want) {
		t.Fatalf("%d messages, want %d", x.n, len(want))
	}
	for i := range want {
		if got := *x.at(i + 1); got != want[i] {
			t.Fatalf("message %d is %v, want %v", i+1, got, want[i])
		}
		if seq := x.seq(want[i].UID); seq != i+1 {
			t.Fatalf("UID %d is number %d, want %d", want[i].UID, seq, i+1)
		}
	}
	for i, c := range x.chunks {
		if len(c) == 0 || len(c) > chunkSize {
			t.Fatalf("chunk %d has %d messages", i, len(c))
		}
	}
}

// TestIndexAgainstList changes an index in every way, again and again, and
// looks at all earlier ones too: none may change.
func TestIndexAgainstList(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	type version struct {
		x    *index
		list []Message
	}
	now := version{x: (&builder{}).index(0)}
	var old []version
	next := UID(1)
	for step := range 150 {
		list := slices.Clone(now.list)
		var changed, arrived []Message
		var gone UIDSet
		for range r.IntN(4) {
			if len(list) > 0 {
				u := list[r.IntN(len(list))].UID
				gone.Add(u, u+UID(r.IntN(1+r.IntN(200))))
			}
		}
		for i := range list {
			if r.IntN(100) == 0 {
				list[i].Flags++
				changed = append(changed, list[i])
			}
		}
		changed = append(changed, Message{UID: next}) // one that is not there
		next++
		for range r.IntN(1 + r.IntN(400)) {
			arrived = append(arrived, Message{UID: next, Flags: Flags(step)})
			next += UID(1 + r.IntN(3))
		}
		list = slices.DeleteFunc(list, func(m Message) bool { return gone.Contains(m.UID) })
		list = append(list, arrived...)
		now = version{now.x.apply(ModSeq(step), changed, gone, arrived), list}
		checkIndex(t, now.x, now.list)
		if old = append(old, now); step%50 == 0 {
			for _, v := range old {
				checkIndex(t, v.x, v.list)
			}
			for u := UID(0); u < next; u += 7 {
				want := sort.Search(len(list), func(i int) bool { return list[i].UID > u })
				if got := now.x.floor(u); got != want {
					t.Fatalf("up to UID %d: %d messages, want %d", u, got, want)
				}
			}
		}
	}
}

// One flag of 100,000 messages copies one chunk.
func TestIndexShares(t *testing.T) {
	b := builder{expect: 100_000}
	for u := range UID(100_000) {
		b.add(Message{UID: u + 1})
	}
	x := b.index(1)
	y := x.apply(2, []Message{{UID: 50_000, Flags: FlagSeen}}, UIDSet{{70_000, 70_000}}, []Message{{UID: 100_001}})
	own := 0
	for i := range y.chunks {
		if i >= len(x.chunks) || &y.chunks[i][0] != &x.chunks[i][0] {
			own++
		}
	}
	if own != 3 {
		t.Errorf("%d of %d chunks were copied, want 3", own, len(y.chunks))
	}
	if y.find(50_000).Flags != FlagSeen || x.find(50_000).Flags != 0 || y.find(70_000) != nil || x.find(70_000) == nil {
		t.Error("one index changed with the other")
	}
}

// Removing nearly all must not leave a chunk for each of the few that stay.
func TestIndexDoesNotCrumble(t *testing.T) {
	b := builder{}
	for u := range UID(100_000) {
		b.add(Message{UID: u + 1})
	}
	var gone UIDSet
	for u := UID(1); u <= 100_000; u++ {
		if u%200 != 0 {
			gone.Add(u, u)
		}
	}
	x := b.index(1).apply(2, nil, gone, nil)
	if x.n != 500 || len(x.chunks) > 4 {
		t.Errorf("%d messages in %d chunks", x.n, len(x.chunks))
	}
}

func BenchmarkIndex(b *testing.B) {
	build := builder{expect: 100_000}
	for u := range UID(100_000) {
		build.add(Message{UID: u + 1})
	}
	x := build.index(1)
	b.Run("at", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n = n%x.n + 1
			_ = x.at(n)
		}
	})
	b.Run("seq", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n = (n+7919)%x.n + 1
			_ = x.seq(UID(n))
		}
	})
	for _, n := range []int{1, 1000} {
		changed := make([]Message, n)
		for i := range changed {
			changed[i].UID = UID(1 + i*(100_000/n))
		}
		b.Run(fmt.Sprint("apply/", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.apply(2, changed, nil, nil)
			}
		})
	}
}
