package pop

import (
	"context"
	"fmt"
	"math/bits"

	"tripost/store"
)

// maildrop is the mailbox that a session opened, as it was at sign-in, with the
// session's own deletion marks.
type maildrop struct {
	view   *store.View
	octets int64 // of its messages, as RETR sends them

	growths map[int]int64 // by message-number: those that are sent converted, and how much longer they get

	// What present found out last, and of which state of the mailbox.
	confirmed bool
	moves     uint64
	rights    store.Rights

	marks        []uint64 // a bit for each message-number, from 1; nil: none marked
	marked       int
	markedOctets int64
	last         int // highest message-number retrieved
}

// openMaildrop wraps an opened mailbox. Nothing is read: the totals are in the
// mailbox's state.
func openMaildrop(v *store.View) *maildrop {
	state := v.State()
	return &maildrop{view: v, octets: state.SentOctets()}
}

// load reads the mailbox's index, once.
func (d *maildrop) load(ctx context.Context) error {
	if d.view.Loaded() {
		return nil
	}
	if err := d.view.Load(ctx); err != nil {
		return fmt.Errorf("load the mailbox index: %w", err)
	}
	return nil
}

// size is the number of messages at sign-in; message-numbers run from 1 to it.
func (d *maildrop) size() int { return d.view.Len() }

// message returns message n. The index must be loaded.
func (d *maildrop) message(n int) store.Message { return d.view.At(n) }

// sentSize returns the octets that RETR sends of message n. The index must be
// loaded.
func (d *maildrop) sentSize(n int) int64 {
	m := d.message(n)
	return m.SentSize() + d.growths[n]
}

// convert notes that message n is sent converted, and by how much it grows.
func (d *maildrop) convert(n int, growth int64) {
	if d.growths == nil {
		d.growths = make(map[int]int64)
	}
	d.growths[n] = growth
	d.octets += growth
}

// number reads a message-number, which must be of a message that is not marked
// deleted.
func (d *maildrop) number(arg string) (int, error) {
	n := 0
	for i := range len(arg) {
		c := arg[i]
		if c < '0' || c > '9' {
			return 0, refuse(sayNumberDigits)
		}
		if n <= d.size() { // beyond that more digits change nothing
			n = n*10 + int(c-'0')
		}
	}
	if n < 1 || n > d.size() {
		return 0, refuse(sayNoSuchMessage, d.size())
	}
	if d.isMarked(n) {
		return 0, refuse(sayMarkedAlready, n)
	}
	return n, nil
}

func (d *maildrop) isMarked(n int) bool {
	return d.marks != nil && d.marks[n/64]&(1<<(n%64)) != 0
}

// mark marks message n deleted. The index must be loaded.
func (d *maildrop) mark(n int) {
	if d.marks == nil {
		d.marks = make([]uint64, d.size()/64+1)
	}
	d.marks[n/64] |= 1 << (n % 64)
	d.marked++
	d.markedOctets += d.sentSize(n)
}

// unmark takes all marks back.
func (d *maildrop) unmark() {
	d.marks, d.marked, d.markedOctets = nil, 0, 0
}

// markedUIDs returns the messages that are marked.
func (d *maildrop) markedUIDs() store.UIDSet {
	var set store.UIDSet
	for i, w := range d.marks {
		for ; w != 0; w &= w - 1 {
			u := d.message(i*64 + bits.TrailingZeros64(w)).UID
			set.Add(u, u)
		}
	}
	return set
}
