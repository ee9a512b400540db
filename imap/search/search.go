package search

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"tripost/message"
	"tripost/store"
	"tripost/store/engine"
)

// Mailbox is what is searched: a [store.View] that has been loaded.
type Mailbox interface {
	Len() int
	At(seq int) store.Message
	Range(from, to int) iter.Seq2[int, *store.Message]
	IsRecent(u store.UID) bool
	Keywords() []string
	Mailbox() store.Mailbox
	State() store.State
	SeqFloor(u store.UID) int
	OpenBodies(ctx context.Context, seqs []int, fn func(i int, b engine.Body, err error)) error
	Detail(ctx context.Context, u store.UID) (store.Detail, error)
}

// Options say how a search is done.
type Options struct {
	Store     *store.Store
	Pool      *Pool
	Columns   *Columns // that searches and Sort use and add to; nil: none
	Collation Collation
	Header    int   // octets of a header block that are looked at; needed
	Octets    int64 // octets of messages that are read, after which the search ends with ErrTooMuch; 0: no limit
	Memory    int64 // octets of keys that Sort and Thread keep, likewise; 0: no limit
	// Alive is asked from time to time, with the messages that have been decided;
	// its error ends the search. nil: nobody is asked.
	Alive func(done int) error
	// Damaged is told of each message that is taken not to match, or sorted as one
	// with an empty header, because what is stored of it is damaged. It may be told
	// of one again. nil: nobody is told.
	Damaged func(u store.UID, err error)
}

// ErrTooMuch is returned by a search that would read or keep more than it may.
var ErrTooMuch = errors.New("the search needs more than it may read or keep")

// verdict is what is known of a message so far.
type verdict uint8

const (
	fails verdict = iota
	matches
	unknown // needs the entry, the record or the message's octets
)

func verdictOf(b bool) verdict {
	if b {
		return matches
	}
	return fails
}

// candidate is a message that the index does not decide, with what has been read
// of it.
type candidate struct {
	seq     int
	message *store.Message
	entered bool           // saved is known
	saved   int64          // save date, Unix seconds
	record  message.Record // nil: not read yet
	found   []bool         // by needle; nil: its octets were not read yet
	scores  []uint8        // likewise, of fuzzy keys
	verdict verdict
}

// Search decides about the messages of one mailbox.
type Search struct {
	o     Options
	box   Mailbox
	root  *Key
	flags flagTest // what root asks of flags and nothing else
	keys  []*Key   // with text to be found, by needle
	fold  []byte

	fields []fieldSearch // that keys are about, each once

	texts  bool  // some needle is for more than the header
	fuzzy  bool  // some key is fuzzy
	octets int64 // of messages that were read
	done   int   // messages decided

	matched []bool // by message of the window
	window  []candidate
	bodies  []store.Body
	arena   []byte
	found   []bool   // of all candidates of a batch
	values  [][]byte // likewise, of the fields
	rated   []uint8  // likewise, the scores of fuzzy keys
	jobs    []job

	scores []uint8     // by message; nil: they have none
	loose  looseNeedle // while a stored field is looked at
}

// New prepares a search of a mailbox. The tree is the search's from then on.
func New(box Mailbox, root *Key, o Options) *Search {
	e := &Search{o: o, box: box, root: root}
	e.prepare(root)
	e.flags.take(root)
	e.texts = root.needs(Body, FuzzyText)
	if root.Scored {
		e.scores = make([]uint8, box.Len())
	}
	return e
}

// searchWindow is how many messages are decided together. The first windows are
// small, for searches that end at the first match.
const (
	firstWindow  = 32
	searchWindow = 512
)

// Run calls found with each message that matches, by ascending sequence numbers, or
// descending ones with backward, until it returns false.
func (e *Search) Run(ctx context.Context, backward bool, found func(seq int) bool) error {
	if e.flags.whole && !backward {
		return e.byFlags(ctx, found)
	}
	e.recallFields()
	defer e.keepFields()
	n, size := e.box.Len(), firstWindow
	for past := 0; past < n; {
		if err := e.alive(ctx); err != nil {
			return err
		}
		from, to := past+1, min(past+size, n)
		if backward {
			from, to = n+1-to, n+1-from
		}
		if err := e.decide(ctx, from, to); err != nil {
			return err
		}
		for i := range e.matched {
			if backward {
				i = len(e.matched) - 1 - i
			}
			if e.matched[i] && !found(from+i) {
				return nil
			}
		}
		past += to - from + 1
		e.done = past
		size = min(2*size, searchWindow)
	}
	return nil
}

// byFlags is Run where nothing but flags is asked for, which most searches are about.
func (e *Search) byFlags(ctx context.Context, found func(seq int) bool) error {
	if err := e.alive(ctx); err != nil {
		return err
	}
	flags := e.flags
	for seq, m := range e.box.Range(1, e.box.Len()) {
		if flags.passes(m.Flags) && !found(seq) {
			break
		}
	}
	return nil
}

// Octets returns how many octets of messages have been read.
func (e *Search) Octets() int64 { return e.octets }

// damaged gives a message up of which something stored cannot be read.
func (e *Search) damaged(m *store.Message, err error) {
	if e.o.Damaged != nil {
		e.o.Damaged(m.UID, err)
	}
}

var errDamagedRecord = fmt.Errorf("its record: %w", engine.ErrDamaged)

// isDamage tells errors of one message from those of the whole store. Octets that
// are missing at a message's end are damage too.
func isDamage(err error) bool {
	return errors.Is(err, engine.ErrDamaged) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (e *Search) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil || e.o.Alive == nil {
		return err
	}
	return e.o.Alive(e.done)
}

// decide finds out which of the messages from..to match.
func (e *Search) decide(ctx context.Context, from, to int) error {
	e.matched, e.window = slices.Grow(e.matched[:0], to-from+1)[:to-from+1], e.window[:0]
	var c candidate
	for seq, m := range e.box.Range(from, to) {
		v := fails
		if e.flags.passes(m.Flags) {
			v = matches
			if !e.flags.whole {
				c.seq, c.message = seq, m
				v = e.eval(e.root, &c)
			}
		}
		e.matched[seq-from] = v == matches
		if v == unknown {
			c.verdict = v
			e.window = append(e.window, c)
		}
	}
	if len(e.window) == 0 {
		return nil
	}
	err := e.decideOpen(ctx)
	for i := range e.window {
		e.matched[e.window[i].seq-from] = e.window[i].verdict == matches
	}
	return err
}

// decideOpen finds the verdicts on the messages that the index does not decide.
func (e *Search) decideOpen(ctx context.Context) error {
	if e.root.needs(SavedBefore, SavedSince) {
		if err := e.byEntry(ctx); err != nil {
			return err
		}
	}
	for {
		if open, err := e.byRecord(ctx); !open || err != nil {
			return err
		}
		if err := e.byOctets(ctx); err != nil {
			return err
		}
	}
}

// byEntry decides what it can by the messages' whole entries in the mailbox.
func (e *Search) byEntry(ctx context.Context) error {
	for i := range e.window {
		c := &e.window[i]
		d, err := e.box.Detail(ctx, c.message.UID)
		switch {
		case errors.Is(err, store.ErrNoMessage):
			c.verdict = fails
			continue
		case isDamage(err):
			c.verdict = fails
			e.damaged(c.message, err)
			continue
		case err != nil:
			return err
		}
		c.entered, c.saved = true, d.SaveDate
		e.settle(c)
	}
	return nil
}

// recordOctets bounds the records that are kept at a time.
const recordOctets = 1 << 20

// byRecord decides what is open by the stored records, as many as fit into
// recordOctets, and says whether there were any. Those of messages that stay open
// are kept.
func (e *Search) byRecord(ctx context.Context) (bool, error) {
	var open []*candidate
	e.bodies, e.arena = e.bodies[:0], e.arena[:0]
	for i := range e.window {
		if c := &e.window[i]; c.verdict == unknown {
			open = append(open, c)
			e.bodies = append(e.bodies, c.message.Body)
		}
	}
	_, err := e.o.Store.Records(ctx, e.bodies, func(i int, r message.Record) bool {
		c := open[i]
		if r == nil { // it was removed for good
			c.verdict = fails
			return true
		}
		if len(r) == 0 { // it is damaged
			c.verdict = fails
			e.damaged(c.message, errDamagedRecord)
			return true
		}
		c.record = r
		e.readRecord(c.message.UID, r)
		if e.settle(c); c.verdict == unknown {
			start := len(e.arena)
			e.arena = append(e.arena, r...)
			c.record = e.arena[start:len(e.arena):len(e.arena)]
		}
		if c.verdict != unknown {
			c.record = nil // it is the transaction's
		}
		return len(e.arena) < recordOctets
	})
	return len(open) > 0, err
}

// secondsOfDay is by how much days differ.
const secondsOfDay = 24 * 60 * 60

// Day returns the day of a time, counted from 1 January 1970, in the time's zone.
func Day(t time.Time) int64 {
	_, offset := t.Zone()
	return floorDay(t.Unix() + int64(offset))
}

// floorDay returns the day of a time in Unix seconds.
func floorDay(unix int64) int64 {
	day := unix / secondsOfDay
	if unix%secondsOfDay < 0 {
		day--
	}
	return day
}
