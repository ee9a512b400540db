package search

import (
	"context"
	"errors"
	"time"

	"tripost/message"
	"tripost/store"
	"tripost/store/engine"
)

// Mailbox is what is searched: a [store.View] that has been loaded.
type Mailbox interface {
	Len() int
	At(seq int) store.Message
	Gone(seq int) bool
	IsRecent(u store.UID) bool
	Keywords() []string
	SeqFloor(u store.UID) int
	OpenBody(ctx context.Context, seq int) (engine.Body, error)
	Detail(ctx context.Context, u store.UID) (store.Detail, error)
}

// Options say how a search is done.
type Options struct {
	Store     *store.Store
	Pool      *Pool
	Collation Collation
	Header    int   // octets of a header block that are looked at; needed
	Octets    int64 // octets of messages that are read, after which the search ends with ErrTooMuch; 0: no limit
	Memory    int64 // octets of keys that Sort and Thread keep, likewise; 0: no limit
	// Alive is asked from time to time, with the messages that have been decided;
	// its error ends the search. nil: nobody is asked.
	Alive func(done int) error
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

// candidate is a message with what has been read of it.
type candidate struct {
	seq     int
	message store.Message
	entered bool           // saved is known
	saved   int64          // save date, Unix seconds
	record  message.Record // nil: not read yet
	found   []bool         // by needle; nil: its octets were not read yet
}

// Search decides about the messages of one mailbox.
type Search struct {
	o    Options
	box  Mailbox
	root *Key
	keys []*Key // with text to be found, by needle
	fold []byte

	texts  bool  // some needle is for more than the header
	octets int64 // of messages that were read
	done   int   // messages decided

	window   []candidate
	verdicts []verdict
	bodies   []store.Body
	arena    []byte
	found    []bool // of all candidates of a batch
	jobs     []job
}

// New prepares a search of a mailbox. The tree is the search's from then on.
func New(box Mailbox, root *Key, o Options) *Search {
	e := &Search{o: o, box: box, root: root}
	e.prepare(root)
	e.texts = root.needs(Body, Text)
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
func (e *Search) Run(ctx context.Context, backward bool, found func(seq int, m *store.Message) bool) error {
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
		for i := range e.verdicts {
			if backward {
				i = len(e.verdicts) - 1 - i
			}
			if e.verdicts[i] == matches && !found(from+i, &e.window[i].message) {
				return nil
			}
		}
		past += to - from + 1
		e.done = past
		size = min(2*size, searchWindow)
	}
	return nil
}

func (e *Search) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil || e.o.Alive == nil {
		return err
	}
	return e.o.Alive(e.done)
}

// decide finds the verdicts on the messages from..to.
func (e *Search) decide(ctx context.Context, from, to int) error {
	e.window, e.verdicts = e.window[:0], e.verdicts[:0]
	open := 0
	for seq := from; seq <= to; seq++ {
		e.window = append(e.window, candidate{seq: seq, message: e.box.At(seq)})
		v := e.eval(e.root, &e.window[len(e.window)-1])
		if v == unknown {
			open++
		}
		e.verdicts = append(e.verdicts, v)
	}
	if open > 0 && e.root.needs(SavedBefore, SavedSince) {
		n, err := e.byEntry(ctx)
		if err != nil {
			return err
		}
		open = n
	}
	for open > 0 {
		n, err := e.byRecord(ctx)
		if err != nil {
			return err
		}
		open -= n
		if err := e.byOctets(ctx); err != nil {
			return err
		}
	}
	return nil
}

// byEntry decides what is open by the messages' whole entries in the mailbox, and
// returns how many stay open.
func (e *Search) byEntry(ctx context.Context) (open int, err error) {
	for i, v := range e.verdicts {
		if v != unknown {
			continue
		}
		c := &e.window[i]
		d, err := e.box.Detail(ctx, c.message.UID)
		switch {
		case errors.Is(err, store.ErrNoMessage):
			e.verdicts[i] = fails
			continue
		case err != nil:
			return 0, err
		}
		c.entered, c.saved = true, d.SaveDate
		if e.verdicts[i] = e.eval(e.root, c); e.verdicts[i] == unknown {
			open++
		}
	}
	return open, nil
}

// recordOctets bounds the records that are kept at a time.
const recordOctets = 1 << 20

// byRecord decides what is open by the stored records, as many as fit into
// recordOctets, and says how many it has looked at. Those of messages that stay
// open are kept.
func (e *Search) byRecord(ctx context.Context) (int, error) {
	var at []int
	e.bodies, e.arena = e.bodies[:0], e.arena[:0]
	for i, v := range e.verdicts {
		if v == unknown {
			at = append(at, i)
			e.bodies = append(e.bodies, e.window[i].message.Body)
			e.verdicts[i] = fails // unless its record is there: else it was removed for good
		}
	}
	looked := len(at)
	_, err := e.o.Store.Records(ctx, e.bodies, func(j int, r message.Record) bool {
		if r == nil {
			return true
		}
		c := &e.window[at[j]]
		c.record = r
		v := e.eval(e.root, c)
		if e.verdicts[at[j]] = v; v == unknown {
			start := len(e.arena)
			e.arena = append(e.arena, r...)
			c.record = e.arena[start:len(e.arena):len(e.arena)]
		}
		if len(e.arena) < recordOctets {
			return true
		}
		looked = j + 1
		return false
	})
	for _, i := range at[looked:] {
		e.verdicts[i] = unknown
	}
	return looked, err
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
