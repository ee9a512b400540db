package search

import (
	"bytes"
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
	ByArrival SortKey = iota // internal date
	BySize                   // octets
	ByDate                   // sent date; from here on the stored record is needed
	BySubject                // base subject
	ByFrom                   // local part of the first address
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

// sortable is a message with its key, whose octets compare as the message does.
type sortable struct {
	prefix uint64 // the first octets of key
	key    []byte
	seq    int
}

// Sort returns messages in the order that the criteria ask for; where they make no
// difference, in that of their sequence numbers. Text is compared by the
// collation. A message that was removed meanwhile is sorted as one with an empty
// header.
func (e *Search) Sort(ctx context.Context, seqs []int, by []Criterion) ([]int, error) {
	list := make([]sortable, 0, len(seqs))
	keys := keyMemory{limit: e.o.Memory, b: make([]byte, 0, min(2*keyPiece, 64*len(seqs)))}
	err := e.records(ctx, seqs, needRecord(by), func(seq int, m *store.Message, r message.Record) error {
		start := len(keys.b)
		for _, c := range by {
			keys.b = e.appendSortKey(keys.b, c, m, r)
		}
		key, err := keys.cut(start)
		list = append(list, sortable{prefix(key), key, seq})
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b sortable) int {
		return cmp.Or(cmp.Compare(a.prefix, b.prefix), bytes.Compare(a.key, b.key), a.seq-b.seq)
	})
	for i := range list {
		seqs[i] = list[i].seq
	}
	return seqs, nil
}

func needRecord(by []Criterion) bool {
	return slices.ContainsFunc(by, func(c Criterion) bool { return c.Key >= ByDate })
}

// prefix returns the first eight octets of a key as a number that compares like
// them.
func prefix(key []byte) uint64 {
	var first [8]byte
	copy(first[:], key)
	return binary.BigEndian.Uint64(first[:])
}

// records calls fn with the stored record of each message, which is nil where none
// is needed or the message is gone. fn must not keep it.
func (e *Search) records(ctx context.Context, seqs []int, needed bool, fn func(seq int, m *store.Message, r message.Record) error) error {
	const batch = 1024
	for len(seqs) > 0 {
		if err := e.alive(ctx); err != nil {
			return err
		}
		some := seqs[:min(batch, len(seqs))]
		seqs = seqs[len(some):]
		e.bodies = e.bodies[:0]
		for _, seq := range some {
			m := e.box.At(seq)
			if needed {
				e.bodies = append(e.bodies, m.Body)
			} else if err := fn(seq, &m, nil); err != nil {
				return err
			}
		}
		var failed error
		_, err := e.o.Store.Records(ctx, e.bodies, func(i int, r message.Record) bool {
			m := e.box.At(some[i])
			if r != nil && len(r) == 0 { // it is damaged
				e.damaged(&m, errDamagedRecord)
				r = nil
			}
			failed = fn(some[i], &m, r)
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

// cut returns what has been appended to b since start, as a key that stays.
func (k *keyMemory) cut(start int) ([]byte, error) {
	key := k.b[start:len(k.b):len(k.b)]
	k.used += int64(len(key)) + keyOverhead
	if k.limit > 0 && k.used > k.limit {
		return nil, ErrTooMuch
	}
	if len(k.b) > keyPiece {
		k.b = make([]byte, 0, 2*keyPiece)
	}
	return key, nil
}

// appendSortKey appends a criterion's part of a key: parts compare like the values
// that they stand for, and none is the beginning of another.
func (e *Search) appendSortKey(b []byte, c Criterion, m *store.Message, r message.Record) []byte {
	start := len(b)
	switch c.Key {
	case ByArrival:
		b = appendOrdered(b, m.Date)
	case BySize:
		b = appendOrdered(b, m.Size)
	case ByDate:
		b = appendOrdered(b, sentDate(m, r))
	case BySubject:
		base, _ := message.BaseSubject(string(r.Subject()))
		b = e.appendText(b, []byte(base))
	default:
		b = e.appendText(b, addressKey(c.Key)(r))
	}
	if c.Reverse {
		for i := range b[start:] {
			b[start+i] = ^b[start+i]
		}
	}
	return b
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

// appendOrdered appends a number so that the octets compare as numbers do.
func appendOrdered(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(n)^1<<63)
}

// appendText appends a text's canonical form with an end that comes before every
// octet: NUL NUL; a NUL in the text becomes NUL 255.
func (e *Search) appendText(b, text []byte) []byte {
	e.fold = e.o.Collation.Append(e.fold[:0], text)
	for rest := e.fold; ; {
		i := bytes.IndexByte(rest, 0)
		if i < 0 {
			return append(append(b, rest...), 0, 0)
		}
		b = append(append(b, rest[:i]...), 0, 0xff)
		rest = rest[i+1:]
	}
}
