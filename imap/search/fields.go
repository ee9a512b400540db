package search

import (
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
	full   bool // nothing of it is gathered: there is no room
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
		f.kept = e.o.Columns.texts(e.columnKey(0, f.name), e.box.Len())
		f.next, f.full = 0, f.name == "" // which is no field's
	}
}

// keepFields keeps what has been read of the fields, for searches to come.
func (e *Search) keepFields() {
	for i := range e.fields {
		f := &e.fields[i]
		if len(f.read.list) > 0 {
			e.o.Columns.add(f.kept.key, &f.read, e.box.Len())
			e.drop(f)
		}
	}
}

// drop forgets what has been gathered of a field.
func (e *Search) drop(f *fieldSearch) {
	e.o.Columns.gathers(-f.read.size())
	f.read = gathered{}
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
		e.gather(f, u, e.fold)
	}
}

const (
	// longValues bounds the values of all fields that are gathered of one message:
	// as many messages as make a batch hold them at a time.
	longValues = 64 << 10
	// keptValues is the longest buffer of values that is kept for the next message.
	keptValues = 512
)

// readOctets takes the values of the fields that were found in a message's header,
// but for those that are too long, which are nil.
func (e *Search) readOctets(u store.UID, values [][]byte) {
	for i := range e.fields {
		f := &e.fields[i]
		if _, found := f.values(u); !f.full && !found && values[i] != nil {
			e.gather(f, u, values[i])
		}
		if cap(values[i]) > keptValues {
			values[i] = nil
		}
	}
}

// gather remembers a message's values until the search ends, unless there is no room.
func (e *Search) gather(f *fieldSearch, u store.UID, values []byte) {
	before := f.read.size()
	f.read.add(u, values)
	size := f.read.size()
	if e.o.Columns.gathers(size-before) && f.kept.size()+size <= e.o.Columns.room() {
		return
	}
	f.full = true
	e.drop(f)
}
