package store

import (
	"iter"
	"slices"
	"sort"
	"strconv"
)

// UIDRange is the UIDs from Lo to Hi, both included.
type UIDRange struct{ Lo, Hi UID }

// UIDSet is a set of UIDs as ranges that ascend, do not touch each other and are
// not empty. The zero value is the empty set.
type UIDSet []UIDRange

// Contains tells whether u is in the set.
func (s UIDSet) Contains(u UID) bool {
	i := s.search(u)
	return i < len(s) && s[i].Lo <= u
}

// search returns the first range that ends at u or after it.
func (s UIDSet) search(u UID) int {
	return sort.Search(len(s), func(i int) bool { return s[i].Hi >= u })
}

// Add puts lo to hi into the set, in either order. Adding in ascending order is
// the cheap case.
func (s *UIDSet) Add(lo, hi UID) {
	if lo > hi {
		lo, hi = hi, lo
	}
	set := *s
	if n := len(set); n > 0 && lo > set[n-1].Hi && lo-set[n-1].Hi == 1 {
		set[n-1].Hi = hi
		return
	} else if n == 0 || lo > set[n-1].Hi && lo-set[n-1].Hi > 1 {
		*s = append(set, UIDRange{lo, hi})
		return
	}
	// The ranges i to j-1 overlap the new one or touch it.
	i := sort.Search(len(set), func(i int) bool { return set[i].Hi >= lo || lo-set[i].Hi == 1 })
	j := i
	for j < len(set) && (set[j].Lo <= hi || set[j].Lo-hi == 1) {
		lo, hi = min(lo, set[j].Lo), max(hi, set[j].Hi)
		j++
	}
	*s = slices.Replace(set, i, j, UIDRange{lo, hi})
}

// Count returns how many UIDs are in the set.
func (s UIDSet) Count() int {
	n := 0
	for _, r := range s {
		n += int(r.Hi-r.Lo) + 1
	}
	return n
}

// All yields the UIDs in ascending order.
func (s UIDSet) All() iter.Seq[UID] {
	return func(yield func(UID) bool) {
		for _, r := range s {
			for u := r.Lo; ; u++ {
				if !yield(u) {
					return
				}
				if u == r.Hi {
					break
				}
			}
		}
	}
}

// Append writes the set in the form of an IMAP sequence-set ("1:3,5"; nothing
// for the empty set).
func (s UIDSet) Append(b []byte) []byte {
	for i, r := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(r.Lo), 10)
		if r.Hi != r.Lo {
			b = append(b, ':')
			b = strconv.AppendUint(b, uint64(r.Hi), 10)
		}
	}
	return b
}

// String returns the set as Append writes it.
func (s UIDSet) String() string { return string(s.Append(nil)) }

// addAll puts the members of other into the set, in time linear in both.
func (s *UIDSet) addAll(other UIDSet) {
	n := len(*s)
	if len(other) < 8 || n == 0 || other[0].Lo > (*s)[n-1].Hi {
		for _, r := range other {
			s.Add(r.Lo, r.Hi)
		}
		return
	}
	merged := make(UIDSet, 0, len(*s)+len(other))
	a, b := *s, other
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].Lo <= b[0].Lo {
			merged.Add(a[0].Lo, a[0].Hi)
			a = a[1:]
		} else {
			merged.Add(b[0].Lo, b[0].Hi)
			b = b[1:]
		}
	}
	*s = merged
}

// Intersect returns the members that are in other too.
func (s UIDSet) Intersect(other UIDSet) UIDSet {
	var out UIDSet
	for len(s) > 0 && len(other) > 0 {
		lo, hi := max(s[0].Lo, other[0].Lo), min(s[0].Hi, other[0].Hi)
		if lo <= hi {
			out = append(out, UIDRange{lo, hi})
		}
		if s[0].Hi < other[0].Hi {
			s = s[1:]
		} else {
			other = other[1:]
		}
	}
	return out
}

// minus returns the members that are not in other.
func (s UIDSet) minus(other UIDSet) UIDSet {
	if len(other) == 0 {
		return s
	}
	var out UIDSet
	for _, r := range s {
		lo := r.Lo
		done := false
		for _, o := range other[other.search(lo):] {
			if o.Lo > r.Hi {
				break
			}
			if o.Lo > lo {
				out = append(out, UIDRange{lo, o.Lo - 1})
			}
			if o.Hi >= r.Hi {
				done = true
				break
			}
			lo = o.Hi + 1
		}
		if !done {
			out = append(out, UIDRange{lo, r.Hi})
		}
	}
	return out
}

// below returns the members that are less than u.
func (s UIDSet) below(u UID) UIDSet {
	if u == 0 {
		return nil
	}
	n := s.search(u)
	if n == len(s) || s[n].Lo >= u {
		return s[:n:n]
	}
	out := slices.Clone(s[:n+1])
	out[n].Hi = u - 1
	return out
}

// take splits off the first n members.
func (s UIDSet) take(n int) (first, rest UIDSet) {
	for i, r := range s {
		size := int(r.Hi-r.Lo) + 1
		if n >= size {
			n -= size
			continue
		}
		first = slices.Clone(s[:i])
		rest = slices.Clone(s[i:])
		if n > 0 {
			first = append(first, UIDRange{r.Lo, r.Lo + UID(n) - 1})
			rest[0].Lo = r.Lo + UID(n)
		}
		return first, rest
	}
	return s, nil
}
