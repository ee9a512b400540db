package store

import (
	"context"
	"fmt"

	"tripost/store/engine"
)

// Since is what happened to a mailbox between a modseq and a view's picture.
type Since struct {
	// Whole is false where the mailbox no longer remembers that far back. Then
	// the sets are empty, and nothing is known but what is in the mailbox: what
	// is not has vanished, at whatever time.
	Whole    bool
	Changed  UIDSet // messages that came, or got other flags
	Vanished UIDSet // messages that were there, and are not in the view any more; in a view of a part, those of other parts too
}

// Since tells what happened to the messages of the view after a modseq that a
// client remembers, up to the view's State().HighestModSeq. It reads the change
// records and the messages that came since, so that its cost does not depend on
// what else is in the mailbox; the view need not be loaded. Messages that keep
// their places in the view though they are expunged are in neither set: Refresh
// tells of them. RFC 7162 sections 3.1.4.1 and 3.2.5.1.
func (v *View) Since(ctx context.Context, after ModSeq) (Since, error) {
	if after >= v.state.HighestModSeq {
		return Since{Whole: true}, nil
	}
	var out Since
	err := v.s.engine.View(ctx, func(r engine.Reader) (err error) {
		if _, _, err := v.enter(r); err != nil {
			return err
		}
		out, err = v.readSince(r, after)
		return err
	})
	if err != nil {
		return Since{}, fmt.Errorf("reading what changed in %q: %w", v.box.Name, err)
	}
	return out, nil
}

func (v *View) readSince(r engine.Reader, after ModSeq) (Since, error) {
	st, found, err := readState(r, v.key())
	if err != nil {
		return Since{}, err
	}
	if !found {
		return Since{}, ErrNoMailbox
	}
	if after < st.Floor {
		return Since{}, nil
	}
	var flagged, gone UIDSet
	err = readChanges(r, v.key(), after, false, func(at ModSeq, c *change) bool {
		if at > v.state.HighestModSeq {
			return false
		}
		flagged.addAll(c.flagged)
		gone.addAll(c.gone)
		return true
	})
	if err != nil {
		return Since{}, err
	}
	arrived, err := v.arrivedAfter(r, after)
	if err != nil {
		return Since{}, err
	}
	flagged.addAll(arrived)
	return Since{
		Whole:    true,
		Changed:  v.within(flagged.below(v.state.UIDNext).minus(gone)).minus(v.gone),
		Vanished: gone.minus(v.gone),
	}, nil
}

// arrivedAfter returns the messages of the view that came after a modseq. They
// are the newest, as UIDs and modseqs of arrival ascend together.
func (v *View) arrivedAfter(r engine.Reader, after ModSeq) (UIDSet, error) {
	k := v.key()
	lo, hi := messageRange(k.account, k.mailbox, 1, v.state.UIDNext-1)
	oldest := v.state.UIDNext
	var e entry
	for item, err := range r.Reverse(lo, hi) {
		if err == nil {
			err = e.decode(uidOf(item.Key), item.Value)
		}
		if err != nil {
			return nil, err
		}
		if e.created <= after {
			break
		}
		oldest = e.UID
	}
	if oldest == v.state.UIDNext {
		return nil, nil
	}
	return UIDSet{{oldest, v.state.UIDNext - 1}}, nil
}
