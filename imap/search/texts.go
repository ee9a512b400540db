package search

import (
	"bytes"
	"cmp"
	"slices"
	"unsafe"

	"tripost/store"
)

// texts is what stands in one field of the headers of some messages of a mailbox, in
// canonical form. It never changes once made.
type texts struct {
	key    columnKey
	uids   []store.UID // ascending
	ends   []uint32    // of each: where its values end in octets
	octets []byte
}

// The values of a message are its fields of that name, each behind a valueMark, which
// stands in no value: decoded ones have no line ends, and no other character becomes
// one. A message without such a field has no octets.
const valueMark = '\n'

const (
	textsOverhead = 512   // about what texts take in memory besides their messages
	textOverhead  = 4 + 4 // and each message, besides its values
)

func (t *texts) of() columnKey { return t.key }

func (t *texts) size() int64 {
	return textsOverhead + int64(cap(t.uids))*textOverhead + int64(cap(t.octets))
}

// at returns the values of the message at a place.
func (t *texts) at(place int) []byte {
	from := uint32(0)
	if place > 0 {
		from = t.ends[place-1]
	}
	return t.octets[from:t.ends[place]]
}

func (t *texts) add(u store.UID, values []byte) {
	t.uids, t.octets = append(t.uids, u), append(t.octets, values...)
	t.ends = append(t.ends, uint32(len(t.octets)))
}

// with returns texts that have messages besides, where they are not among them yet.
func (t *texts) with(g *gathered) *texts {
	g.sort()
	n := len(t.uids) + len(g.list)
	made := &texts{
		key: t.key, uids: make([]store.UID, 0, n), ends: make([]uint32, 0, n),
		octets: make([]byte, 0, len(t.octets)+len(g.octets)),
	}
	rest := g.list
	for place, u := range t.uids {
		for ; len(rest) > 0 && rest[0].uid < u; rest = rest[1:] {
			made.add(rest[0].uid, g.values(rest[0]))
		}
		if len(rest) > 0 && rest[0].uid == u {
			rest = rest[1:] // another search was first
		}
		made.add(u, t.at(place))
	}
	for _, read := range rest {
		made.add(read.uid, g.values(read))
	}
	return made
}

// gathered is the values of messages as they are read, in any order.
type gathered struct {
	list   []gatheredText
	octets []byte
}

type gatheredText struct {
	uid      store.UID
	from, to uint32 // of its values
}

func (g *gathered) add(u store.UID, values []byte) {
	from := len(g.octets)
	g.octets = append(g.octets, values...)
	g.list = append(g.list, gatheredText{u, uint32(from), uint32(len(g.octets))})
}

func (g *gathered) values(t gatheredText) []byte { return g.octets[t.from:t.to] }

// sort puts the messages in order, each once: what a record told of one counts, and
// not what its octets told after it.
func (g *gathered) sort() {
	slices.SortStableFunc(g.list, func(a, b gatheredText) int { return cmp.Compare(a.uid, b.uid) })
	g.list = slices.CompactFunc(g.list, func(a, b gatheredText) bool { return a.uid == b.uid })
}

// size is what it takes in memory, in octets, which is more than the messages will
// take among texts.
func (g *gathered) size() int64 {
	return int64(cap(g.list))*int64(unsafe.Sizeof(gatheredText{})) + int64(cap(g.octets))
}

// anyContains says whether one of a message's values has a text in it, which is in
// canonical form as they are. Every value has an empty one.
func anyContains(values, text []byte) bool {
	return len(values) > 0 && bytes.Contains(values, text) && bytes.IndexByte(text, valueMark) < 0
}
