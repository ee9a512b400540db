package local

import (
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"

	"tripost/store/engine"
)

// tx is the one transaction that is running. The committer uses the same one
// for all: within a group each begins on what the ones before it did.
type tx struct {
	reader
	c       *committer
	request *request
	err     error // of a Put or Delete, which cannot return it
	mark    mark
}

// mark is how far the group was when a transaction began.
type mark struct {
	group, ops, octets, changes, large, kept int
	bodies                                   uint32
}

// Errors of an Update that cannot be written down.
var (
	errReservedKey = errors.New("key is empty or begins with a zero octet")
	errLongKey     = errors.New("key is too long")
	errLongValue   = errors.New("value is too long")
	errLongUpdate  = errors.New("update changes too much at once")
	errDraft       = errors.New("draft cannot be kept")
)

// maxValue bounds one value and maxUpdate all that one Update changes, in
// octets. What is longer is a blob's business, or that of several Updates.
const (
	maxValue  = 64 << 20
	maxUpdate = 256 << 20
)

// open begins a group: the state below the working overlay stays as it is
// until close.
func (t *tx) open() error {
	l, err := t.c.e.layersNow()
	t.layers = l
	t.done = true
	return err
}

func (t *tx) close() {
	t.done = true
	if t.layers.tx != nil {
		// A read-only transaction has nothing to lose.
		_ = t.layers.tx.Rollback()
		t.layers.tx = nil
	}
}

func (t *tx) begin(r *request) {
	c := t.c
	t.request, t.err, t.done = r, nil, false
	t.active = c.tree.root
	t.mark = mark{
		group: len(c.group), ops: len(c.ops), octets: c.octets, changes: len(c.changes),
		large: len(c.large), kept: len(c.kept), bodies: c.bodies,
	}
}

func (t *tx) finish() error {
	t.done = true
	return t.err
}

// undo takes back everything since begin.
func (t *tx) undo() {
	c, m := t.c, t.mark
	t.done = true
	for i := len(c.ops) - 1; i >= m.ops; i-- {
		before := c.ops[i].before
		if before == nil {
			before = &item{key: c.ops[i].now.key, kind: itemNone}
		}
		c.tree.set(before)
	}
	clear(c.ops[m.ops:])
	for i := m.kept; i < len(c.kept); i++ {
		c.kept[i].kept = false
		c.kept[i] = nil
	}
	c.group, c.ops, c.changes = c.group[:m.group], c.ops[:m.ops], c.changes[:m.changes]
	c.large, c.kept, c.bodies, c.octets = c.large[:m.large], c.kept[:m.kept], m.bodies, m.octets
}

// Get returns a value as this transaction sees it.
func (t *tx) Get(key []byte) ([]byte, error) {
	if reserved(key) {
		return nil, nil
	}
	t.active = t.c.tree.root
	return t.get(key)
}

// Range yields the items as they are when the loop begins.
func (t *tx) Range(lo, hi []byte) iter.Seq2[engine.Item, error] {
	return func(yield func(engine.Item, error) bool) {
		t.active = t.c.tree.snapshot()
		t.reader.Range(lo, hi)(yield)
	}
}

// Reverse yields the items as they are when the loop begins.
func (t *tx) Reverse(lo, hi []byte) iter.Seq2[engine.Item, error] {
	return func(yield func(engine.Item, error) bool) {
		t.active = t.c.tree.snapshot()
		t.reader.Reverse(lo, hi)(yield)
	}
}

// References returns how many references a blob has.
func (t *tx) References(b engine.Blob) (int64, error) {
	t.active = t.c.tree.root
	return t.references(b)
}

// Put sets a value. A key or value that cannot be stored fails the Update.
func (t *tx) Put(key, value []byte) {
	if t.usable(key) {
		if len(value) > maxValue {
			t.fail(fmt.Errorf("%w: %d octets for key %q", errLongValue, len(value), key))
			return
		}
		t.put(key, value)
	}
}

// Delete removes a key, present or not.
func (t *tx) Delete(key []byte) {
	if t.usable(key) {
		t.remove(key)
	}
}

func (t *tx) usable(key []byte) bool {
	switch {
	case t.done:
		panic(errOutside)
	case reserved(key):
		t.fail(fmt.Errorf("%w: %q", errReservedKey, key))
	case len(key) > bbolt.MaxKeySize:
		t.fail(fmt.Errorf("%w: %d octets", errLongKey, len(key)))
	default:
		return true
	}
	return false
}

func (t *tx) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *tx) put(key, value []byte) { t.apply(t.c.arena.item(key, value, itemValue)) }

func (t *tx) remove(key []byte) { t.apply(t.c.arena.item(key, nil, itemDeleted)) }

func (t *tx) apply(it *item) {
	c := t.c
	c.octets += len(it.key) + len(it.value)
	if c.octets-t.mark.octets > maxUpdate {
		t.fail(fmt.Errorf("%w: more than %d octets", errLongUpdate, maxUpdate))
		return
	}
	c.ops = append(c.ops, op{now: it, before: c.tree.set(it)})
}

// Keep makes the draft a blob.
func (t *tx) Keep(ed engine.Draft) (engine.Blob, error) {
	if t.done {
		return 0, errOutside
	}
	d, ok := ed.(*draft)
	if !ok || d.e != t.c.e {
		return 0, fmt.Errorf("%w: it is not of this store", errDraft)
	}
	if err := d.keepable(); err != nil {
		return 0, err
	}
	if d.blob == 0 {
		d.blob = t.c.e.newBlob()
	}
	entry := bodyEntry{length: d.size, sum: d.sum, refs: 1}
	if d.file != nil {
		if !d.synced {
			// The outcome does not count: Update syncs the draft and runs
			// the function again.
			t.request.unsynced = append(t.request.unsynced, d)
		}
	} else {
		entry.segment = t.c.journal.active.header.number
		entry.offset = t.appendBody(d.blob, 0, d.memory, d.sum)
	}
	d.kept = true
	t.c.kept = append(t.c.kept, d)
	t.place(d.blob, entry)
	return d.blob, nil
}

// appendBody adds a body record to the group and returns where it will lie in
// the segment.
func (t *tx) appendBody(b engine.Blob, codec byte, octets []byte, sum uint32) int64 {
	c := t.c
	offset := c.journal.size + int64(len(c.group))
	header := recordHeader{kind: kindBody, codec: codec, id: uint64(b), length: uint32(len(octets)), sum: sum}
	c.group = header.append(c.group, c.journal.active.seed)
	c.group = append(c.group, octets...)
	c.bodies++
	return offset
}

// place writes a blob's first entry.
func (t *tx) place(b engine.Blob, entry bodyEntry) {
	t.put(bodyKey(b), entry.encode())
	t.c.changes = append(t.c.changes, entry.live(1))
}

func (t *tx) entry(b engine.Blob) (bodyEntry, error) {
	t.active = t.c.tree.root
	return t.layers.entry(b)
}

// entry looks a blob up in the body map.
func (l *layers) entry(b engine.Blob) (bodyEntry, error) {
	value, err := l.get(bodyKey(b))
	if err != nil {
		return bodyEntry{}, err
	}
	if value == nil {
		return bodyEntry{}, fmt.Errorf("%w: %d", engine.ErrNoBlob, b)
	}
	entry, err := parseBodyEntry(value)
	if err != nil {
		return bodyEntry{}, fmt.Errorf("%w: blob %d: %w", engine.ErrDamaged, b, err)
	}
	return entry, nil
}

// Share adds one reference.
func (t *tx) Share(b engine.Blob) error {
	entry, err := t.entry(b)
	if err != nil {
		return err
	}
	entry.refs++
	t.put(bodyKey(b), entry.encode())
	return nil
}

// Drop takes one reference away, and with the last one the blob.
func (t *tx) Drop(b engine.Blob) (last bool, err error) {
	entry, err := t.entry(b)
	if err != nil {
		return false, err
	}
	if entry.refs > 1 {
		entry.refs--
		t.put(bodyKey(b), entry.encode())
		return false, nil
	}
	t.remove(bodyKey(b))
	t.c.changes = append(t.c.changes, entry.live(-1))
	if entry.segment == 0 {
		t.c.large = append(t.c.large, largeFile{b, entry.length})
	}
	return true, nil
}

// BlobSize returns a blob's length in octets.
func (t *tx) BlobSize(b engine.Blob) (int64, error) {
	entry, err := t.entry(b)
	return entry.length, err
}

// move gives a blob a new record, if it still is where it was.
func (t *tx) move(b engine.Blob, from bodyEntry, octets []byte) error {
	entry, err := t.entry(b)
	if errors.Is(err, engine.ErrNoBlob) {
		return nil
	}
	if err != nil || !entry.samePlace(from) {
		return err
	}
	old := entry.live(-1)
	entry.segment = t.c.journal.active.header.number
	entry.offset = t.appendBody(b, entry.codec, octets, entry.sum)
	t.put(bodyKey(b), entry.encode())
	t.c.changes = append(t.c.changes, old, entry.live(1))
	return nil
}
