package search

import (
	"math"

	"tripost/message"
	"tripost/store"
)

// fieldSearch is a header field that a search asks about: what is kept of it, and
// what this search has read besides.
type fieldSearch struct {
	name   string
	stored func(message.Record) []byte // nil: it does not stand in records
	kept   *texts
	next   int // the place among the texts kept that is likely asked for next
	read   gathered
	full   bool // there is more than may be kept
}

// fieldSearch returns the number of a field among those of the search.
func (e *Search) fieldSearch(name string) int {
	for i := range e.fields {
		if e.fields[i].name == name {
			return i
		}
	}
	e.fields = append(e.fields, fieldSearch{name: name, stored: storedField(name), kept: new(texts)})
	return len(e.fields) - 1
}

// recallFields takes up what is kept of the fields.
func (e *Search) recallFields() {
	for i := range e.fields {
		f := &e.fields[i]
		k := e.columnKey(0, f.name)
		f.next, f.full = 0, f.name == "" || e.o.Columns.room() == 0                               // an empty name is no field's
		if found, is := e.o.Columns.find(k).(*texts); is && len(found.uids) <= 2*e.box.Len()+64 { // else most of them are gone
			f.kept = found
		} else {
			f.kept = &texts{key: k}
		}
	}
}

// keepFields keeps what has been read of the fields, for searches to come.
func (e *Search) keepFields() {
	for i := range e.fields {
		f := &e.fields[i]
		if f.full || len(f.read.list) == 0 {
			continue
		}
		f.kept = f.kept.with(&f.read)
		e.o.Columns.put(f.kept)
		f.read = gathered{}
	}
}

// values returns the values that are kept of a message.
func (f *fieldSearch) values(u store.UID) ([]byte, bool) {
	place, found := placeOf(f.kept.uids, u, f.next)
	if !found {
		return nil, false
	}
	f.next = place + 1
	return f.kept.at(place), true
}

// keptField decides a key about a header field, if what is kept of it can.
func (e *Search) keptField(k *Key, u store.UID) verdict {
	f := &e.fields[k.field]
	values, found := f.values(u)
	switch {
	case !found:
		return unknown
	case k.Text == "" && f.stored != nil && len(values) == 1:
		return unknown // the record does not tell an empty field from one that is not there
	}
	return verdictOf(anyContains(values, k.folded))
}

// readRecord takes from a record what it has of the fields.
func (e *Search) readRecord(u store.UID, r message.Record) {
	for i := range e.fields {
		f := &e.fields[i]
		if _, found := f.values(u); f.full || found {
			continue
		}
		var text []byte
		if f.stored != nil {
			text = f.stored(r)
		}
		switch {
		case len(text) > cutField: // there may be more of it
			continue
		case len(text) == 0 && !r.MayHaveField(f.name):
			e.fold = e.fold[:0]
		case f.stored == nil: // its octets tell
			continue
		default:
			e.fold = e.o.Collation.Append(append(e.fold[:0], valueMark), text)
		}
		f.gather(u, e.fold, e.o.Columns.room())
	}
}

// keptValues is the longest buffer of values that is kept for the next message.
const keptValues = 4 << 10

// readOctets takes the values of the fields that were found in a message's header.
func (e *Search) readOctets(u store.UID, values [][]byte) {
	for i := range e.fields {
		f := &e.fields[i]
		if _, found := f.values(u); !f.full && !found {
			f.gather(u, values[i], e.o.Columns.room())
		}
		if cap(values[i]) > keptValues {
			values[i] = nil
		}
	}
}

// gather remembers a message's values until the search ends.
func (f *fieldSearch) gather(u store.UID, values []byte, room int64) {
	from := len(f.read.octets)
	f.read.octets = append(f.read.octets, values...)
	f.read.list = append(f.read.list, gatheredText{u, uint32(from), uint32(len(f.read.octets))})
	if size := f.kept.size() + f.read.size(); size > room || size > math.MaxUint32 {
		f.full, f.read = true, gathered{}
	}
}
