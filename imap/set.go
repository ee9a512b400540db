package imap

import (
	"math"
	"slices"

	"tripost/store"
)

// numRange is a range of sequence numbers or UIDs as a client wrote it; star is
// "*", the largest number in use, and above all that a client can write.
type numRange struct{ lo, hi int64 }

const star = math.MaxUint32 + 1

// set consumes a sequence-set of RFC 3501 section 9 of at most limit ranges, or the
// "$" of RFC 5182.
func (p *parser) set(limit int) []numRange {
	if p.accept('$') {
		return []numRange{{}}
	}
	var set []numRange
	for p.err == nil {
		lo := p.setNumber()
		hi := lo
		if p.accept(':') {
			hi = p.setNumber()
		}
		if len(set) == limit {
			p.limit("Too many ranges in a set")
			return nil
		}
		set = append(set, numRange{lo, hi})
		if !p.accept(',') {
			break
		}
	}
	return set
}

// limit fails the parse because of a limit: the answer is NO [LIMIT].
func (p *parser) limit(text string) {
	if p.err == nil {
		p.err = &limitError{text}
		p.i = len(p.b)
	}
}

func (p *parser) setNumber() int64 {
	if p.accept('*') {
		return star
	}
	n := p.number()
	if n == 0 {
		p.fail("Zero in a set")
	}
	return int64(n)
}

// seqRange is a range of sequence numbers of the view, lo <= hi.
type seqRange struct{ lo, hi int }

// seqSet is ascending, disjoint and merged.
type seqSet []seqRange

// contains says whether the set holds a sequence number.
func (q seqSet) contains(seq int) bool {
	i, found := slices.BinarySearchFunc(q, seq, func(r seqRange, seq int) int { return r.lo - seq })
	return found || i > 0 && seq <= q[i-1].hi
}

// count returns how many messages the set holds.
func (q seqSet) count() (n int) {
	for _, r := range q {
		n += r.hi - r.lo + 1
	}
	return n
}

// merged sorts ranges and joins those that touch.
func merged(q seqSet) seqSet {
	slices.SortFunc(q, func(a, b seqRange) int { return a.lo - b.lo })
	out := q[:0]
	for _, r := range q {
		if n := len(out); n > 0 && r.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

// resolveSeqs finds the messages that a set of sequence numbers names in a
// mailbox of n messages. With strict, a number beyond the last message is the
// client's error, as RFC 3501 section 9 (seq-number) has it; "*" and ranges with
// it mean the last message, and nothing in an empty mailbox.
func resolveSeqs(set []numRange, n int, strict bool) (seqSet, error) {
	var q seqSet
	for _, r := range set {
		lo, hi := min(r.lo, r.hi), max(r.lo, r.hi)
		if strict && hi != star && hi > int64(n) {
			return nil, &syntaxError{"There is no message of that number"}
		}
		if hi == star { // 7:* is the same as *:7
			lo = min(lo, int64(n))
		}
		if last := min(hi, int64(n)); n > 0 && lo <= last {
			q = append(q, seqRange{int(lo), int(last)})
		}
	}
	return merged(q), nil
}

// numbered is a mailbox whose messages have numbers: a view that has been loaded.
type numbered interface {
	Len() int
	At(seq int) store.Message
	SeqFloor(u store.UID) int
}

// isSaved says whether a set is "$", the result of the last search that was saved.
func isSaved(set []numRange) bool { return len(set) == 1 && set[0] == numRange{} }

// resolveSaved finds those of the saved messages that are still there. RFC 5182
// section 2.1.
func resolveSaved(saved store.UIDSet, v numbered) seqSet {
	var q seqSet
	for _, r := range saved {
		if from, to := v.SeqFloor(r.Lo-1)+1, v.SeqFloor(r.Hi); from <= to {
			q = append(q, seqRange{from, to})
		}
	}
	return merged(q)
}

// resolveUIDs finds the messages that a set of UIDs names. UIDs of which there is
// no message are passed over, RFC 3501 section 6.4.8.
func resolveUIDs(set []numRange, v numbered) seqSet {
	n := v.Len()
	if n == 0 {
		return nil
	}
	last := int64(v.At(n).UID)
	var q seqSet
	for _, r := range set {
		lo, hi := min(r.lo, r.hi), max(r.lo, r.hi)
		if hi == star {
			lo, hi = min(lo, last), last
		}
		from, to := v.SeqFloor(store.UID(lo-1))+1, v.SeqFloor(store.UID(hi))
		if from <= to {
			q = append(q, seqRange{from, to})
		}
	}
	return merged(q)
}

// uidSet turns sequence numbers into the UIDs that they have in the view. A range
// of neighbours becomes one range of UIDs: nothing else of the view lies between.
func uidSet(q seqSet, v *store.View) store.UIDSet {
	var set store.UIDSet
	for _, r := range q {
		set.Add(v.At(r.lo).UID, v.At(r.hi).UID)
	}
	return set
}
