package search

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"tripost/message"
	"tripost/store"
)

// SortKey is what SORT orders by. RFC 5256 section 3, RFC 5957.
type SortKey uint8

const (
	ByArrival   SortKey = iota // internal date
	BySize                     // octets
	ByRelevancy                // the score, the highest first; RFC 6203 section 6
	ByDate                     // sent date; from here on the stored record is needed
	BySubject                  // base subject
	ByFrom                     // local part of the first address
	ByTo
	ByCc
	ByDisplayFrom // name of the first address, or the address when it has none
	ByDisplayTo
)

// Criterion is one of several keys, each of which decides where those before it
// find no difference.
type Criterion struct {
	Key     SortKey
	Reverse bool
}

// sortable is a message among those to be sorted: how it compares by the first
// criterion, and its place.
type sortable struct {
	value uint64
	i     int
}

// Sort returns messages in the order that the criteria ask for; where they make no
// difference, in that of their sequence numbers. Text is compared by the
// collation. A message that was removed meanwhile is sorted as one with an empty
// header.
func (e *Search) Sort(ctx context.Context, seqs []int, by []Criterion) ([]int, error) {
	if e.o.Memory > 0 && int64(len(seqs))*keyOverhead > e.o.Memory {
		return nil, ErrTooMuch
	}
	keys := keyMemory{limit: e.o.Memory}
	values := make([][]uint64, len(by))
	for i, c := range by {
		var err error
		if values[i], err = e.sortValues(ctx, seqs, c.Key, &keys); err != nil {
			return nil, err
		}
		if c.Reverse {
			for j := range values[i] {
				values[i][j] = ^values[i][j]
			}
		}
	}
	list := make([]sortable, len(seqs))
	for i := range list {
		list[i] = sortable{values[0][i], i}
	}
	slices.SortFunc(list, func(a, b sortable) int {
		if a.value != b.value {
			return cmp.Compare(a.value, b.value)
		}
		for _, v := range values[1:] {
			if v[a.i] != v[b.i] {
				return cmp.Compare(v[a.i], v[b.i])
			}
		}
		return seqs[a.i] - seqs[b.i]
	})
	sorted := make([]int, len(seqs))
	for i := range list {
		sorted[i] = seqs[list[i].i]
	}
	return sorted, nil
}

// sortValues returns numbers that compare as the messages do by one criterion.
func (e *Search) sortValues(ctx context.Context, seqs []int, by SortKey, keys *keyMemory) ([]uint64, error) {
	values := make([]uint64, len(seqs))
	if by < ByDate {
		for i, seq := range seqs {
			m := e.box.At(seq)
			switch by {
			case ByArrival:
				values[i] = ordered(m.Date)
			case BySize:
				values[i] = ordered(m.Size)
			case ByRelevancy:
				values[i] = uint64(likeSame - e.Score(seq))
			}
		}
		return values, nil
	}
	uids := make([]store.UID, len(seqs))
	for i, seq := range seqs {
		uids[i] = e.box.At(seq).UID
	}
	col, err := e.column(ctx, seqs, uids, by, keys)
	if err != nil {
		return nil, err
	}
	place := -1
	for i, u := range uids {
		place, _ = col.place(u, place+1)
		values[i] = uint64(col.ranks[place])
	}
	return values, nil
}

// column returns a column that has some messages, whose sequence numbers and UIDs
// ascend.
func (e *Search) column(ctx context.Context, seqs []int, uids []store.UID, by SortKey, keys *keyMemory) (*column, error) {
	k := e.columnKey(by, "")
	col := e.o.Columns.get(k)
	if len(col.uids) > 2*e.box.Len()+64 { // most of them are gone
		col = &column{key: k}
	}
	var missing []int
	var added []store.UID
	place := -1
	for i, u := range uids {
		var found bool
		if place, found = col.place(u, place+1); !found {
			missing, added = append(missing, seqs[i]), append(added, u)
			place--
		}
	}
	if len(missing) == 0 {
		return col, nil
	}
	made := make([][]byte, 0, len(missing))
	lost := false
	err := e.records(ctx, missing, func(_ int, m *store.Message, r message.Record) error {
		lost = lost || len(r) == 0
		start := keys.begin(len(missing))
		keys.b = e.appendSortKey(keys.b, by, m, r)
		key, err := keys.cut(start)
		made = append(made, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	col = col.with(added, made)
	if !lost {
		e.o.Columns.put(col)
	}
	return col, nil
}

// prefix returns the first eight octets of a key as a number that compares like
// them.
func prefix(key []byte) uint64 {
	var first [8]byte
	copy(first[:], key)
	return binary.BigEndian.Uint64(first[:])
}

// records calls fn with the stored record of each message, which is nil where the
// message is gone or its record damaged. fn must not keep it.
func (e *Search) records(ctx context.Context, seqs []int, fn func(seq int, m *store.Message, r message.Record) error) error {
	const batch = 1024
	messages := make([]store.Message, 0, min(batch, len(seqs)))
	for len(seqs) > 0 {
		if err := e.alive(ctx); err != nil {
			return err
		}
		some := seqs[:min(batch, len(seqs))]
		seqs = seqs[len(some):]
		e.bodies, messages = e.bodies[:0], messages[:0]
		for _, seq := range some {
			m := e.box.At(seq)
			messages, e.bodies = append(messages, m), append(e.bodies, m.Body)
		}
		var failed error
		_, err := e.o.Store.Records(ctx, e.bodies, func(i int, r message.Record) bool {
			if r != nil && len(r) == 0 { // it is damaged
				e.damaged(&messages[i], errDamagedRecord)
				r = nil
			}
			failed = fn(some[i], &messages[i], r)
			return failed == nil
		})
		if err = cmp.Or(failed, err); err != nil {
			return err
		}
	}
	return nil
}

// keyMemory holds keys one behind the other in large pieces.
type keyMemory struct {
	b     []byte
	used  int64
	limit int64
}

const (
	keyPiece    = 64 << 10 // how much is taken at a time
	keyOverhead = 48       // about what a message takes besides its key
)

// begin returns where in b the next key begins; n is how many there will be.
func (k *keyMemory) begin(n int) int {
	if k.b == nil || len(k.b) > keyPiece {
		k.b = make([]byte, 0, min(2*keyPiece, 64*n))
	}
	return len(k.b)
}

// cut returns what has been appended to b since start, as a key that stays.
func (k *keyMemory) cut(start int) ([]byte, error) {
	key := k.b[start:len(k.b):len(k.b)]
	k.used += int64(len(key)) + keyOverhead
	if k.limit > 0 && k.used > k.limit {
		return nil, ErrTooMuch
	}
	return key, nil
}

// appendSortKey appends a key by which messages compare as their values do.
func (e *Search) appendSortKey(b []byte, by SortKey, m *store.Message, r message.Record) []byte {
	switch by {
	case ByDate:
		return binary.BigEndian.AppendUint64(b, ordered(sentDate(m, r)))
	case BySubject:
		base, _ := message.BaseSubject(string(r.Subject()))
		return e.o.Collation.Append(b, []byte(base))
	}
	return e.o.Collation.Append(b, addressKey(by)(r))
}

// addressKey returns what a record has of an address.
func addressKey(k SortKey) func(message.Record) []byte {
	switch k {
	case ByFrom:
		return message.Record.FromMailbox
	case ByTo:
		return message.Record.ToMailbox
	case ByCc:
		return message.Record.CcMailbox
	case ByDisplayFrom:
		return message.Record.FromDisplay
	}
	return message.Record.ToDisplay
}

// sentDate is that of RFC 5256 section 2.2, in Unix seconds: of a message whose
// Date field is missing or cannot be read, the internal date.
func sentDate(m *store.Message, r message.Record) int64 {
	if d := r.Date(); d != 0 {
		return d
	}
	return m.Date
}

// ordered returns a number that compares, without its sign, as n does.
func ordered(n int64) uint64 { return uint64(n) ^ 1<<63 }
