package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"tripost/store/engine"
)

// Message is the part of a message's record that sessions keep in memory.
type Message struct {
	UID        UID
	Unended    bool // the last line does not end with CRLF
	UTF8Header bool // internationalized mail with an octet above 127 in a header: see [Draft.International]
	Individual bool // it names individuals: see [Store.OpenIndividual]
	Zone       Zone // of Date
	Flags      Flags
	ModSeq     ModSeq
	Size       int64 // octets with CRLF, as RFC822.SIZE tells
	Date       int64 // internal date, Unix seconds
	Body       Body
}

// SentSize returns the octets that a protocol sends which ends each line with
// CRLF, the last one too: RFC 1939 counts them so.
func (m *Message) SentSize() int64 {
	if m.Unended {
		return m.Size + 2
	}
	return m.Size
}

// Detail is the whole record of a message.
type Detail struct {
	Message
	SaveDate int64  // when it came into this mailbox, Unix seconds
	Created  ModSeq // of its arrival in this mailbox
	Lines    int64
	Digest   [32]byte // SHA-256 of the octets
}

// View is one session's picture of a mailbox. What it tells changes only by
// [View.Refresh] and by what the session does itself. It holds no lock and no
// transaction between calls, and belongs to one goroutine.
//
// Opening reads the mailbox's state alone. The messages are read by
// [View.Load], or by the first call that needs them, as they were at the
// opening: messages expunged since then keep their places until Refresh lets
// them go. Only the flags of messages may then be newer.
type View struct {
	s        *Store
	shared   *picture
	id       Identity
	box      Mailbox
	state    State // the picture's; the messages are those of its HighestModSeq
	seen     uint64
	x        *index // nil: not loaded
	gone     UIDSet // expunged, but still in x
	untold   UIDSet // flags changed by others, taken up on the way of own changes
	recent   UIDSet
	nRecent  int
	ids      *uniqueIDs // nil: all are ordinary
	keywords int        // how many of the keywords' names Refresh has told of
	only     string     // the individual whose messages it is limited to, folded; "": all
	readOnly bool
	withIDs  bool // it reads the unique-ids
	closed   bool
}

// Open opens a mailbox. It needs [RightLookup] and [RightRead]. Opening it for
// changes claims its \Recent messages for this session; that is the only write
// it makes. The view must be closed.
func (s *Store) Open(ctx context.Context, id Identity, ref MailboxRef, readOnly bool) (*View, error) {
	return s.open(ctx, &View{s: s, id: id, readOnly: readOnly}, ref, (*View).claimRecent)
}

// OpenQuietly opens a mailbox for changes as Open does, but writes nothing: what
// is \Recent stays so for the next session. It is for POP, where a client that
// only looks for new mail should cost no commit. See [View.AppendUniqueID].
func (s *Store) OpenQuietly(ctx context.Context, id Identity, ref MailboxRef) (*View, error) {
	return s.open(ctx, &View{s: s, id: id, withIDs: true}, ref, func(*View, context.Context) error { return nil })
}

func (s *Store) open(ctx context.Context, v *View, ref MailboxRef, claim func(*View, context.Context) error) (*View, error) {
	id := v.id
	err := s.engine.View(ctx, func(r engine.Reader) error {
		k, m, rights, err := enter(r, &id, ref, RightLookup|RightRead)
		if err != nil {
			return err
		}
		v.box = m.describe(k, rights)
		st, err := readWholeState(r, k)
		v.state = st.State
		if err == nil && v.withIDs {
			v.ids, err = readUniqueIDs(r, k, &v.state)
		}
		if err == nil && v.only != "" {
			v.x, err = v.readPart(ctx, r, &v.state)
		}
		return err
	})
	if err == nil {
		err = claim(v, ctx)
	}
	v.keywords = len(v.state.Keywords)
	if err != nil {
		return nil, fmt.Errorf("opening mailbox %q: %w", ref.Name, err)
	}
	v.shared = s.pictures.acquire(v.key())
	// The watch began after the reading: until the first look the view must
	// take it that something has changed.
	v.seen = v.shared.changes.Load() - 1
	return v, nil
}

// claimRecent makes the messages that no session was told of before this
// session's own. While the store takes no updates they are recent here, and stay
// so for the next session: RFC 3501 section 2.3.2 prefers that to none, and what
// is stored can be read.
func (v *View) claimRecent(ctx context.Context) error {
	const mayWrite = RightSeen | RightWrite | RightDelete
	if v.state.Recent > 0 && !v.readOnly && v.box.Rights&mayWrite != 0 {
		claimed := v.state
		err := v.s.Update(ctx, func(tx *Tx) error {
			st, found, err := readState(tx.r, v.key())
			if err != nil {
				return err
			}
			if !found {
				return ErrNoMailbox
			}
			if st.keywords > 0 {
				if _, err := tx.keywords(v.key(), &st); err != nil {
					return err
				}
			}
			claimed = st.State
			st.RecentBase, st.Recent = st.UIDNext, 0
			tx.putState(v.key(), &st)
			return nil
		})
		if errors.Is(err, engine.ErrReadOnly) {
			v.setRecent()
			return nil
		}
		if err != nil {
			return err
		}
		v.state = claimed
		v.setRecent()
		v.state.RecentBase, v.state.Recent = v.state.UIDNext, 0
		return nil
	}
	v.setRecent()
	return nil
}

// setRecent takes the messages from the state's recent base on for \Recent.
func (v *View) setRecent() {
	if v.state.Recent > 0 {
		v.recent.Add(v.state.RecentBase, v.state.UIDNext-1)
		v.nRecent = int(v.state.Recent)
	}
}

func (v *View) key() boxKey { return boxKey{v.box.Account, v.box.ID} }

// Close ends the view. It may be called again.
func (v *View) Close() {
	if !v.closed {
		v.closed = true
		v.x = nil
		v.s.pictures.release(v.shared)
	}
}

// Mailbox returns the mailbox with the name and the rights as of the opening or
// the last Refresh. Children is not filled in.
func (v *View) Mailbox() Mailbox { return v.box }

// ReadOnly tells whether the view was opened read-only.
func (v *View) ReadOnly() bool { return v.readOnly }

// State returns the mailbox's counters as of the view. Messages that the view
// still holds though they are expunged are not in them.
func (v *View) State() State { return v.state }

// Keywords returns the names of the mailbox's keywords, in the order of the
// bits from [FirstKeyword] on.
func (v *View) Keywords() []string { return v.state.Keywords }

// Len returns the number of messages in the view, those included that are
// expunged but hold their place.
func (v *View) Len() int {
	if v.x == nil {
		return int(v.state.Exists)
	}
	return v.x.n
}

// Recent returns how many messages are \Recent in this session.
func (v *View) Recent() int { return v.nRecent }

// IsRecent tells whether a message is \Recent in this session.
func (v *View) IsRecent(u UID) bool { return v.recent.Contains(u) }

// Loaded tells whether the messages have been read.
func (v *View) Loaded() bool { return v.x != nil }

// At returns the message with a sequence number from 1 to [View.Len]. The view
// must be loaded. Of a message that was expunged before the view was loaded, UID,
// Size and Flags are known.
func (v *View) At(seq int) Message { return *v.x.at(seq) }

// Range yields the messages with sequence numbers from..to, which are of the view,
// with these: for those who look at many it costs less than At. The messages are
// shared with other sessions: they are read and not kept. The view must be loaded.
func (v *View) Range(from, to int) iter.Seq2[int, *Message] {
	return func(yield func(int, *Message) bool) { v.x.each(from, to, yield) }
}

// Seq returns the sequence number of a UID. The view must be loaded.
func (v *View) Seq(u UID) (seq int, ok bool) {
	seq = v.x.seq(u)
	return seq, seq > 0
}

// SeqFloor returns the number of messages with UIDs up to u. The view must be
// loaded.
func (v *View) SeqFloor(u UID) int { return v.x.floor(u) }

// Gone tells whether a message is known to be expunged though it keeps its
// place. What is known is what Load, Refresh and the calls that act on messages
// came upon. The view must be loaded.
func (v *View) Gone(seq int) bool { return len(v.gone) > 0 && v.gone.Contains(v.x.at(seq).UID) }

// Watch calls wake after commits that may have changed the mailbox, when
// [View.Changed] tells of them, until the view is closed. wake must not block.
// After stop has returned it is not called again.
func (v *View) Watch(wake func()) (stop func()) { return v.shared.waiting.add(wake) }

// Changed tells without a transaction whether a commit may have changed the
// mailbox since the last Refresh.
func (v *View) Changed() bool { return v.seen != v.shared.changes.Load() }

// Moves counts the commits that may have changed the mailbox's name, its access
// control list or whether it exists. As long as the number is the same, so is
// what [Store.Mailbox] tells of these, if it was asked after the number.
func (v *View) Moves() uint64 { return v.shared.moves.Load() }

// Load reads the messages as of the opening. [ErrTooLate]: too much has
// happened since. [ErrNoMailbox]: the mailbox is gone, or its messages may no
// longer be read.
func (v *View) Load(ctx context.Context) error {
	if v.x != nil {
		return nil
	}
	if x := v.s.pictures.newest(v.shared); x != nil && x.modSeq == v.state.HighestModSeq {
		v.x = x
		return nil
	}
	seen := v.shared.changes.Load()
	err := v.s.engine.View(ctx, func(r engine.Reader) error {
		if _, _, err := v.enter(r); err != nil {
			return err
		}
		st, found, err := readState(r, v.key())
		if err != nil {
			return err
		}
		if !found {
			return ErrNoMailbox
		}
		if st.HighestModSeq == v.state.HighestModSeq {
			return v.loadPresent(ctx, r, &st, seen)
		}
		return v.loadPast(ctx, r, &st)
	})
	if err != nil {
		v.x = nil
		return fmt.Errorf("reading mailbox %q: %w", v.box.Name, err)
	}
	return nil
}

// Readable asks again whether the identity may read the mailbox, for those who
// read bodies that the view has named before: [ErrNoMailbox] when not. It costs a
// transaction only when something has changed.
func (v *View) Readable(ctx context.Context) error {
	if !v.Changed() {
		return nil
	}
	err := v.s.engine.View(ctx, func(r engine.Reader) error {
		_, _, err := v.enter(r)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading mailbox %q: %w", v.box.Name, err)
	}
	return nil
}

// enter asks for the rights to read the mailbox again. Where they are gone, so
// is the mailbox for this session.
func (v *View) enter(r engine.Reader) (mailbox, Rights, error) {
	m, rights, err := enterByID(r, &v.id, v.key(), RightLookup|RightRead)
	if errors.Is(err, ErrNoRight) {
		err = ErrNoMailbox
	}
	return m, rights, err
}

// loadPresent reads the messages of a mailbox that has not changed since the
// opening, from an older index and what happened since where there is one.
func (v *View) loadPresent(ctx context.Context, r engine.Reader, st *state, seen uint64) error {
	old := v.s.pictures.newest(v.shared)
	var x *index
	var err error
	if old != nil && old.modSeq >= st.Floor && old.modSeq < st.HighestModSeq {
		x, err = catchUp(r, v.key(), st, old)
	} else {
		x, err = readIndex(ctx, r, v.key(), st)
	}
	if err != nil {
		return err
	}
	v.x = v.s.pictures.share(v.shared, x)
	v.seen = seen
	return nil
}

// readIndex reads all messages of a mailbox.
func readIndex(ctx context.Context, r engine.Reader, k boxKey, st *state) (*index, error) {
	b := builder{expect: int(st.Exists)}
	if err := readAll(ctx, r, k, ^UID(0), func(e *entry) { b.add(e.Message) }); err != nil {
		return nil, err
	}
	return b.index(st.HighestModSeq), nil
}

// readAll calls fn with each message with a UID below end.
func readAll(ctx context.Context, r engine.Reader, k boxKey, end UID, fn func(*entry)) error {
	lo, hi := messageRange(k.account, k.mailbox, 1, end-1)
	var e entry
	flags := flagReader{r: r, k: k}
	n := 0
	for item, err := range r.Range(lo, hi) {
		if err == nil {
			err = flags.decode(&e, uidOf(item.Key), item.Value)
		}
		if n++; err == nil && n%askEvery == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		fn(&e)
	}
	return nil
}

// loadPast reads the messages of a mailbox that has changed since the opening:
// those below the opening's UIDNEXT that are there, and between them those
// that the change records since then tell of.
func (v *View) loadPast(ctx context.Context, r engine.Reader, st *state) error {
	if st.Floor > v.state.HighestModSeq {
		return ErrTooLate
	}
	var traces []trace
	v.untold = nil
	err := readChanges(r, v.key(), v.state.HighestModSeq, true, func(_ ModSeq, c *change) bool {
		for _, t := range c.traces {
			if t.uid < v.state.UIDNext {
				traces = append(traces, t)
			}
		}
		// The flags that are read now are news to the session.
		v.untold.addAll(c.flagged.below(v.state.UIDNext))
		return true
	})
	if err != nil {
		return err
	}
	slices.SortFunc(traces, func(a, b trace) int { return int(int64(a.uid) - int64(b.uid)) })
	b := builder{expect: int(v.state.Exists)}
	v.gone = nil
	fill := func(below UID) {
		for len(traces) > 0 && traces[0].uid < below {
			t := traces[0]
			b.add(t.message())
			v.gone.Add(t.uid, t.uid)
			traces = traces[1:]
		}
	}
	err = readAll(ctx, r, v.key(), v.state.UIDNext, func(e *entry) {
		fill(e.UID)
		b.add(e.Message)
	})
	if err != nil {
		return err
	}
	fill(v.state.UIDNext)
	// Newer flags may have newer keywords.
	if int(st.keywords) > len(v.state.Keywords) {
		if v.state.Keywords, err = readKeywords(r, v.key()); err != nil {
			return err
		}
	}
	v.x = b.index(v.state.HighestModSeq)
	return nil
}
