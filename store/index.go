package store

import (
	"slices"
	"sort"
	"unsafe"
)

// chunkSize is how many messages a chunk of an index holds at most: small
// enough that changing one flag copies little, large enough that a mailbox of
// 100,000 has few.
const chunkSize = 256

// index is the messages of a mailbox in the order of their UIDs, as of one
// modseq. It never changes once made: a changed one shares all chunks that are
// alike, so that many sessions, at slightly different moments, cost little more
// than one.
type index struct {
	modSeq ModSeq
	chunks [][]Message // none is empty
	starts []int32     // messages before each chunk
	n      int
}

// octets estimates the memory that the index holds.
func (x *index) octets() int64 {
	return int64(x.n)*int64(unsafe.Sizeof(Message{})) + int64(len(x.chunks))*32 + 128
}

// at returns the message with a sequence number from 1 to len.
func (x *index) at(seq int) *Message {
	i := sort.Search(len(x.starts), func(i int) bool { return int(x.starts[i]) >= seq }) - 1
	return &x.chunks[i][seq-1-int(x.starts[i])]
}

// each yields the messages with sequence numbers from..to.
func (x *index) each(from, to int, yield func(int, *Message) bool) {
	i := sort.Search(len(x.starts), func(i int) bool { return int(x.starts[i]) >= from }) - 1
	for seq := from; seq <= to; i++ {
		c, first := x.chunks[i], int(x.starts[i])+1
		for last := min(to, first+len(c)-1); seq <= last; seq++ {
			if !yield(seq, &c[seq-first]) {
				return
			}
		}
	}
}

// eachOf calls fn with the messages of a set and their sequence numbers.
func (x *index) eachOf(set UIDSet, fn func(int, *Message)) {
	seq := 0 // the last one looked at
	for _, r := range set {
		if seq < x.n && x.at(seq+1).UID < r.Lo {
			seq = x.floor(r.Lo - 1)
		}
		x.each(seq+1, x.n, func(at int, m *Message) bool {
			if m.UID > r.Hi {
				return false
			}
			seq = at
			fn(at, m)
			return true
		})
	}
}

// floor returns how many messages have UIDs up to u.
func (x *index) floor(u UID) int {
	i := sort.Search(len(x.chunks), func(i int) bool { return x.chunks[i][0].UID > u }) - 1
	if i < 0 {
		return 0
	}
	c := x.chunks[i]
	return int(x.starts[i]) + sort.Search(len(c), func(j int) bool { return c[j].UID > u })
}

// seq returns the sequence number of a UID, 0 when there is no such message.
func (x *index) seq(u UID) int {
	n := x.floor(u)
	if n == 0 || x.at(n).UID != u {
		return 0
	}
	return n
}

// find returns the message with a UID, nil when there is none.
func (x *index) find(u UID) *Message {
	n := x.floor(u)
	if n == 0 {
		return nil
	}
	if m := x.at(n); m.UID == u {
		return m
	}
	return nil
}

// collect returns the messages of a set.
func (x *index) collect(set UIDSet) []Message {
	var list []Message
	x.eachOf(set, func(_ int, m *Message) { list = append(list, *m) })
	return list
}

// uids returns the UIDs of all messages.
func (x *index) uids() UIDSet {
	var set UIDSet
	for _, c := range x.chunks {
		for i := range c {
			set.Add(c[i].UID, c[i].UID)
		}
	}
	return set
}

// builder puts an index together from messages and chunks in ascending order.
type builder struct {
	chunks [][]Message
	fresh  bool // the last chunk is the builder's own
	expect int  // messages that are likely to be added
}

// share appends a chunk of another index.
func (b *builder) share(c []Message) {
	if n := len(b.chunks); b.fresh && n > 0 && len(b.chunks[n-1])+len(c) <= chunkSize/2 {
		b.add(c...) // keep the chunks from falling into crumbs
		return
	}
	b.seal()
	b.chunks = append(b.chunks, c)
}

// add appends messages.
func (b *builder) add(list ...Message) {
	for len(list) > 0 {
		n := len(b.chunks)
		if !b.fresh || len(b.chunks[n-1]) == chunkSize {
			b.seal()
			b.chunks = append(b.chunks, make([]Message, 0, min(chunkSize, max(len(list), b.expect, 16))))
			b.fresh = true
			n++
		}
		last := b.chunks[n-1]
		take := min(len(list), chunkSize-len(last))
		b.chunks[n-1] = append(last, list[:take]...)
		list = list[take:]
	}
}

// seal fits the last chunk to its size.
func (b *builder) seal() {
	if n := len(b.chunks); b.fresh && n > 0 {
		if last := b.chunks[n-1]; cap(last)-len(last) > len(last)/8 {
			b.chunks[n-1] = slices.Clip(slices.Clone(last))
		}
	}
	b.fresh = false
}

func (b *builder) index(at ModSeq) *index {
	b.seal()
	x := &index{modSeq: at, chunks: b.chunks, starts: make([]int32, len(b.chunks))}
	for i, c := range b.chunks {
		x.starts[i] = int32(x.n)
		x.n += len(c)
	}
	return x
}

// apply returns the index after some messages took on other values, some went
// and some came. changed and arrived ascend by UID; arrived come behind all
// that are there; those changed that are not there are passed over.
func (x *index) apply(at ModSeq, changed []Message, gone UIDSet, arrived []Message) *index {
	b := builder{chunks: make([][]Message, 0, len(x.chunks)+len(arrived)/chunkSize+1)}
	for _, c := range x.chunks {
		last := c[len(c)-1].UID
		n := sort.Search(len(changed), func(i int) bool { return changed[i].UID > last })
		for len(gone) > 0 && gone[0].Hi < c[0].UID {
			gone = gone[1:]
		}
		if n == 0 && (len(gone) == 0 || gone[0].Lo > last) {
			b.share(c)
			continue
		}
		b.merge(c, changed[:n], gone)
		changed = changed[n:]
	}
	if len(arrived) > 0 {
		b.reopen()
		b.add(arrived...)
	}
	return b.index(at)
}

// merge appends a chunk with its changes.
func (b *builder) merge(c, changed []Message, gone UIDSet) {
	b.expect = len(c)
	for i := range c {
		m := c[i]
		for len(changed) > 0 && changed[0].UID < m.UID {
			changed = changed[1:]
		}
		if len(changed) > 0 && changed[0].UID == m.UID {
			m = changed[0]
		}
		for len(gone) > 0 && gone[0].Hi < m.UID {
			gone = gone[1:]
		}
		if len(gone) > 0 && gone[0].Lo <= m.UID {
			continue
		}
		b.add(m)
	}
}

// reopen makes a last chunk with room the builder's own, so that messages can
// be added to it.
func (b *builder) reopen() {
	n := len(b.chunks)
	if n == 0 || b.fresh || len(b.chunks[n-1]) == chunkSize {
		return
	}
	last := b.chunks[n-1]
	b.chunks = b.chunks[:n-1]
	b.add(last...)
}
