package store

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// plain turns a set into its members, checking its form.
func plain(t *testing.T, s UIDSet) []UID {
	t.Helper()
	for i, r := range s {
		if r.Lo > r.Hi || i > 0 && (s[i-1].Hi >= r.Lo || r.Lo-s[i-1].Hi == 1) {
			t.Fatalf("%v is not in order, or not merged", s)
		}
	}
	return slices.Collect(s.All())
}

// TestUIDSetAgainstList does what a set does with a list.
func TestUIDSetAgainstList(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func() (UIDSet, []bool) {
		var s UIDSet
		has := make([]bool, 64)
		for range r.IntN(20) {
			lo := UID(1 + r.IntN(60))
			hi := lo + UID(r.IntN(3))
			if r.IntN(2) == 0 {
				s.Add(lo, hi)
			} else {
				s.Add(hi, lo)
			}
			for u := lo; u <= hi; u++ {
				has[u] = true
			}
		}
		return s, has
	}
	list := func(has []bool, keep func(UID) bool) (out []UID) {
		for u, in := range has {
			if in && keep(UID(u)) {
				out = append(out, UID(u))
			}
		}
		return out
	}
	every := func(UID) bool { return true }
	for range 2000 {
		a, inA := draw()
		b, inB := draw()
		if got, want := plain(t, a), list(inA, every); !slices.Equal(got, want) || a.Count() != len(want) {
			t.Fatalf("add: %v, want %v", got, want)
		}
		for u := range inA {
			if a.Contains(UID(u)) != inA[u] {
				t.Fatalf("%v contains %d: %t", a, u, a.Contains(UID(u)))
			}
		}
		if got, want := plain(t, a.minus(b)), list(inA, func(u UID) bool { return !inB[u] }); !slices.Equal(got, want) {
			t.Fatalf("%v minus %v: %v, want %v", a, b, got, want)
		}
		n := r.IntN(64)
		if got, want := plain(t, a.Intersect(b)), list(inA, func(u UID) bool { return inB[u] }); !slices.Equal(got, want) {
			t.Fatalf("%v and %v: %v, want %v", a, b, got, want)
		}
		if got, want := plain(t, a.below(UID(n))), list(inA, func(u UID) bool { return u < UID(n) }); !slices.Equal(got, want) {
			t.Fatalf("%v below %d: %v, want %v", a, n, got, want)
		}
		first, rest := a.take(n)
		all := append(plain(t, first), plain(t, rest)...)
		if !slices.Equal(all, list(inA, every)) || len(plain(t, first)) != min(n, len(all)) {
			t.Fatalf("%v cut after %d: %v and %v", a, n, first, rest)
		}
		for u := range inB {
			inB[u] = inA[u] || inB[u]
		}
		before := slices.Clone(b)
		b.addAll(a)
		if got, want := plain(t, b), list(inB, every); !slices.Equal(got, want) {
			t.Fatalf("%v with %v: %v, want %v", before, a, got, want)
		}
		var d decoder
		d.b = appendSet(nil, b)
		if got := d.set(); d.bad || !slices.Equal(got, b) {
			t.Fatalf("%v reads back as %v", b, got)
		}
	}
}

func TestUIDSetAtTheEdge(t *testing.T) {
	const most = ^UID(0)
	var s UIDSet
	s.Add(most, most)
	s.Add(most-2, most-1)
	s.Add(0, 0)
	if got := s.String(); got != "0,4294967293:4294967295" {
		t.Errorf("%s", got)
	}
	if n := s.Count(); n != 4 {
		t.Errorf("%d members", n)
	}
	if got := s.minus(UIDSet{{most, most}}).String(); got != "0,4294967293:4294967294" {
		t.Errorf("without the last: %s", got)
	}
	if got := s.below(most).String(); got != "0,4294967293:4294967294" {
		t.Errorf("below the last: %s", got)
	}
	if got := len(plain(t, s)); got != 4 {
		t.Errorf("%d members yielded", got)
	}
	if UIDSet(nil).String() != "" || UIDSet(nil).Contains(1) || UIDSet(nil).below(9) != nil {
		t.Error("the empty set is not empty")
	}
}
