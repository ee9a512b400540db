package store

import (
	"context"
	"fmt"

	"tripost/store/engine"
)

// Changes is what Refresh made of a view, in the order in which IMAP tells it.
type Changes struct {
	// Expunged are sequence numbers, each as numbered when its EXPUNGE is sent,
	// after those before it.
	Expunged     []int
	ExpungedUIDs UIDSet
	Exists       bool  // messages have arrived
	Flags        []int // sequence numbers, in the new numbering, whose flags others changed
	Keywords     bool  // names were added to State.Keywords
	Pending      bool  // expunges are held back
}

// maxDelta is how many messages may have changed for a view to be brought up to
// date from the change records. Beyond, and where those are forgotten, the
// whole mailbox is read.
const maxDelta = 1 << 16

// Refresh brings the view to the present. With holdExpunge, messages that were
// removed keep their places, as is due during FETCH, STORE and SEARCH (RFC 9051
// section 7.5.1), until a Refresh without. Where nothing was committed to the
// mailbox since the last one, it costs no transaction. [ErrNoMailbox]: the
// mailbox is gone, or its messages may no longer be read.
func (v *View) Refresh(ctx context.Context, holdExpunge bool) (Changes, error) {
	if v.x == nil {
		// Most sessions find the mailbox as it was when they opened it: that
		// is no reason to read its messages.
		if same, err := v.unchanged(ctx); err != nil || same {
			return Changes{}, err
		}
	}
	if err := v.Load(ctx); err != nil {
		return Changes{}, err
	}
	if !v.Changed() && v.allTold(holdExpunge) {
		return Changes{Pending: len(v.gone) > 0}, nil
	}
	seen := v.shared.changes.Load()
	var d delta
	err := v.s.engine.View(ctx, func(r engine.Reader) error {
		m, rights, err := v.enter(r)
		if err != nil {
			return err
		}
		d.box = m.describe(v.key(), rights)
		return v.readDelta(ctx, r, &d)
	})
	if err != nil {
		return Changes{}, fmt.Errorf("reading mailbox %q: %w", v.box.Name, err)
	}
	v.seen = seen
	return v.take(&d, holdExpunge), nil
}

// unchanged tells, for a view that is not loaded, whether the mailbox is as it was
// at the opening.
func (v *View) unchanged(ctx context.Context) (same bool, err error) {
	seen := v.shared.changes.Load()
	err = v.s.engine.View(ctx, func(r engine.Reader) error {
		m, rights, err := v.enter(r)
		if err != nil {
			return err
		}
		st, found, err := readState(r, v.key())
		if err != nil || !found || st.HighestModSeq != v.state.HighestModSeq {
			return err
		}
		v.box, v.seen = m.describe(v.key(), rights), seen
		same = true
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("reading mailbox %q: %w", v.box.Name, err)
	}
	return same, nil
}

// allTold tells whether the view itself has nothing to tell.
func (v *View) allTold(hold bool) bool {
	return len(v.untold) == 0 && len(v.state.Keywords) == v.keywords && (hold || len(v.gone) == 0)
}

// delta is what happened to a mailbox since a view's picture of it.
type delta struct {
	box     Mailbox
	state   state
	flagged UIDSet
	gone    UIDSet
	changed []Message // of flagged, and still there
	arrived []Message
	now     *index // the mailbox as it is now, where some session has it
}

// readDelta reads what happened since the view's picture.
func (v *View) readDelta(ctx context.Context, r engine.Reader, d *delta) error {
	k := v.key()
	st, found, err := readState(r, k)
	if err != nil {
		return err
	}
	if !found {
		return ErrNoMailbox
	}
	st.Keywords = v.state.Keywords
	if int(st.keywords) > len(st.Keywords) {
		if st.Keywords, err = readKeywords(r, k); err != nil {
			return err
		}
	}
	d.state = st
	if v.only != "" {
		return v.readPartDelta(ctx, r, d)
	}
	if st.HighestModSeq == v.state.HighestModSeq {
		return nil
	}
	if x := v.s.pictures.newest(v.shared); x != nil && x.modSeq == st.HighestModSeq {
		d.now = x
	}
	whole, err := d.readChanges(r, k, v.state.HighestModSeq)
	if err != nil {
		return err
	}
	if !whole {
		return v.compare(ctx, r, d)
	}
	d.flagged = d.flagged.below(v.state.UIDNext).minus(d.gone)
	if d.now != nil {
		d.changed = d.now.collect(d.flagged)
		d.arrived = d.now.collect(UIDSet{{v.state.UIDNext, ^UID(0)}})
		return nil
	}
	return d.readMessages(r, k, v.state.UIDNext)
}

// readChanges collects the change records after since. It returns false where
// these are too many or not all there any more.
func (d *delta) readChanges(r engine.Reader, k boxKey, since ModSeq) (whole bool, err error) {
	if since < d.state.Floor {
		return false, nil
	}
	whole = true
	n := 0
	err = readChanges(r, k, since, false, func(_ ModSeq, c *change) bool {
		d.flagged.addAll(c.flagged)
		d.gone.addAll(c.gone)
		n += len(c.flagged) + len(c.gone)
		whole = n <= maxDelta
		return whole
	})
	return whole, err
}

// readMessages reads the messages that changed, and those from UID next on.
func (d *delta) readMessages(r engine.Reader, k boxKey, next UID) error {
	err := readEntries(r, k, d.flagged, func(e *entry) error {
		d.changed = append(d.changed, e.Message)
		return nil
	})
	if err != nil || d.state.UIDNext == next {
		return err
	}
	return readEntries(r, k, UIDSet{{next, d.state.UIDNext - 1}}, func(e *entry) error {
		d.arrived = append(d.arrived, e.Message)
		return nil
	})
}

// compare finds what happened by comparing the view's messages with all that
// are there now.
func (v *View) compare(ctx context.Context, r engine.Reader, d *delta) error {
	if d.now == nil {
		x, err := readIndex(ctx, r, v.key(), &d.state)
		if err != nil {
			return err
		}
		d.now = x
	}
	d.gone = v.x.uids().minus(d.now.uids())
	d.flagged, d.changed, d.arrived = nil, nil, nil
	for seq := 1; seq <= d.now.n; seq++ {
		m := d.now.at(seq)
		if m.UID >= v.state.UIDNext {
			d.arrived = append(d.arrived, *m)
		} else if old := v.x.find(m.UID); old != nil && *old != *m {
			d.flagged.Add(m.UID, m.UID)
			d.changed = append(d.changed, *m)
		}
	}
	return nil
}

// catchUp makes the present index from an older one.
func catchUp(r engine.Reader, k boxKey, st *state, old *index) (*index, error) {
	d := delta{state: *st}
	whole, err := d.readChanges(r, k, old.modSeq)
	if err != nil {
		return nil, err
	}
	if !whole {
		return readIndex(context.Background(), r, k, st)
	}
	next := UID(1)
	if old.n > 0 {
		next = old.at(old.n).UID + 1
	}
	d.flagged = d.flagged.below(next).minus(d.gone)
	if err := d.readMessages(r, k, next); err != nil {
		return nil, err
	}
	return old.apply(st.HighestModSeq, d.changed, d.gone, d.arrived), nil
}

// take brings the view to what the delta tells, and tells what that changed.
func (v *View) take(d *delta, hold bool) Changes {
	old := v.x
	for u := range d.gone.All() {
		if old.find(u) != nil {
			v.gone.Add(u, u)
		}
	}
	var out Changes
	var leave UIDSet
	if !hold {
		leave, v.gone = v.gone, nil
		out.ExpungedUIDs = leave
		out.Expunged = v.numbers(leave)
	}
	out.Pending = len(v.gone) > 0
	out.Exists = len(d.arrived) > 0
	out.Keywords = len(d.state.Keywords) > v.keywords
	v.keywords = len(d.state.Keywords)
	flags := v.flagsChanged(d)
	v.updateRecent(d, leave)

	v.box, v.state = d.box, d.state.State
	switch {
	case d.now != nil && !out.Pending:
		v.x = d.now
	case len(d.changed)+len(leave)+len(d.arrived) > 0 || v.x.modSeq != v.state.HighestModSeq:
		v.x = old.apply(v.state.HighestModSeq, d.changed, leave, d.arrived)
	}
	if !out.Pending && v.only == "" {
		v.x = v.s.pictures.share(v.shared, v.x)
	}
	for _, u := range flags {
		if seq := v.x.seq(u); seq > 0 {
			out.Flags = append(out.Flags, seq)
		}
	}
	return out
}

// numbers returns the sequence numbers of messages that leave, each as it is
// once those before it have left.
func (v *View) numbers(leave UIDSet) []int {
	var list []int
	for u := range leave.All() {
		if seq := v.x.seq(u); seq > 0 {
			list = append(list, seq-len(list))
		}
	}
	return list
}

// flagsChanged returns, in order, the messages whose flags are to be told.
func (v *View) flagsChanged(d *delta) []UID {
	told := v.untold
	v.untold = nil
	for i := range d.changed {
		m := &d.changed[i]
		if old := v.x.find(m.UID); old != nil && old.Flags != m.Flags {
			told.Add(m.UID, m.UID)
		}
	}
	var list []UID
	for u := range told.All() {
		if !v.gone.Contains(u) && !d.gone.Contains(u) {
			list = append(list, u)
		}
	}
	return list
}

// updateRecent counts the \Recent messages that leave and those that arrive and
// were not told to a session before. The arrivals are not claimed: where this
// session is closed without another's claim, the next is told of them too, as
// RFC 3501 section 2.3.2 allows.
func (v *View) updateRecent(d *delta, leave UIDSet) {
	if len(v.recent) > 0 {
		for u := range leave.All() {
			if v.recent.Contains(u) && v.x.find(u) != nil {
				v.nRecent--
			}
		}
	}
	for i := range d.arrived {
		if u := d.arrived[i].UID; u >= d.state.RecentBase {
			v.recent.Add(u, u)
			v.nRecent++
		}
	}
}
