package search

import (
	"slices"
	"strings"

	"tripost/message"
	"tripost/store"
)

// Kind says how a key is decided, and by that how dear it is.
type Kind uint8

const (
	All     Kind = iota
	Not          // of Keys[0]
	Or           // of Keys
	And          // of Keys
	Among        // sequence number in the set that Resolve finds
	Flag         // all bits of Flags set
	Keyword      // keyword Text set
	Recent       // \Recent in this session
	Before       // day of the internal date, as it is written, < N
	On           // = N
	Since        // >= N
	Older        // internal date at or before the second N
	Younger      // at or after the second N
	Larger       // octets > N
	Smaller      // octets < N
	ModSeq       // modseq >= N

	SavedBefore // day of the save date < N; from here on the message's whole entry is needed
	SavedOn
	SavedSince

	SentBefore // day of the Date field < N; from here on the stored record is needed
	SentOn
	SentSince
	InRecord // Record says so
	Field    // header field Field contains Text
	FuzzyField

	Body // from here on the message's octets are needed, if the record does not decide
	Text
	FuzzyBody
	FuzzyText
)

// Key is a node of the tree that a search asks for. RFC 9051 section 6.4.4. A tree
// belongs to one [Search] at a time.
type Key struct {
	Kind    Kind
	Keys    []*Key
	Resolve func(Mailbox) (contains func(seq int) bool) // Among
	Record  func(message.Record) bool                   // InRecord
	Flags   store.Flags
	N       int64  // days or seconds since 1 January 1970, octets, or a modseq
	Field   string // lower case
	Text    string // UTF-8
	Scored  bool   // of a root: it came with FUZZY, so that messages have scores

	contains func(seq int) bool // of Among
	needle   int                // index among the needles of the search: of Field, Body and Text
	field    int                // index among the fields of the search: of Field
	folded   []byte             // Text in its canonical form
	words    []word             // of Text, for fuzzy keys
}

// Negated returns the opposite of a key.
func Negated(k *Key) *Key { return &Key{Kind: Not, Keys: []*Key{k}} }

// cost orders keys by what it takes to decide them.
func (k *Key) cost() Kind {
	cost := k.Kind
	for _, sub := range k.Keys {
		cost = max(cost, sub.cost())
	}
	return cost
}

// prepare resolves sets and keywords against the mailbox, and puts the cheap keys
// of every list first.
func (e *Search) prepare(k *Key) {
	switch k.Kind {
	case Among:
		k.contains = k.Resolve(e.box)
	case Keyword:
		k.Flags = 0
		for i, name := range e.box.Keywords() {
			if strings.EqualFold(name, k.Text) {
				k.Flags = 1 << (store.FirstKeyword + i)
			}
		}
	case Field, FuzzyField, Body, Text, FuzzyBody, FuzzyText:
		if k.fuzzy() {
			k.words, e.fuzzy = fuzzyWords(k.Text), true
		}
		k.folded = e.o.Collation.Append(nil, []byte(k.Text))
		k.needle = len(e.keys)
		e.keys = append(e.keys, k)
		if k.Kind == Field {
			k.field = e.fieldSearch(k.Field)
		}
	}
	for _, sub := range k.Keys {
		e.prepare(sub)
	}
	if k.Kind == And || k.Kind == Or {
		slices.SortStableFunc(k.Keys, func(a, b *Key) int { return int(a.cost()) - int(b.cost()) })
	}
}

// needs says whether the tree holds a key of these kinds.
func (k *Key) needs(from, to Kind) bool {
	return from <= k.Kind && k.Kind <= to || slices.ContainsFunc(k.Keys, func(sub *Key) bool { return sub.needs(from, to) })
}

// Has says whether a key of a kind stands anywhere in the tree.
func (k *Key) Has(kind Kind) bool { return k.needs(kind, kind) }
