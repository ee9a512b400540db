package store

import (
	"context"
	"fmt"
	"math"

	"tripost/store/engine"
)

// FlagOp says what SetFlags does with the flags given.
type FlagOp uint8

// What SetFlags can do.
const (
	FlagsReplace FlagOp = iota
	FlagsAdd
	FlagsRemove
)

// NeverSet as the unchangedSince of SetFlags asks that the flags given were never
// set before. That is known of keywords only: a system flag always is something.
// RFC 7162 section 3.1.3, example 8.
const NeverSet ModSeq = math.MaxUint64

// flagChange is one SetFlags: how the flags of one message become others.
type flagChange struct {
	op   FlagOp
	want Flags // those given
	mask Flags // those that the rights allow to change
}

func (c *flagChange) apply(f Flags) Flags {
	switch c.op {
	case FlagsAdd:
		return f | c.want&c.mask
	case FlagsRemove:
		return f &^ (c.want & c.mask)
	default:
		return f&^c.mask | c.want&c.mask
	}
}

// flagged is what SetFlags did.
type flagged struct {
	now           *index    // the newest that is known of the mailbox, or nil
	before, after State     // of the mailbox
	messages      []Message // those of the set, as they are now
	old           []Flags   // what the store had for them before
	modified      UIDSet
	found         UIDSet
}

// SetFlags changes the flags of messages in one transaction, and in the view.
// It needs [RightSeen] for \Seen, [RightDelete] for \Deleted and [RightWrite]
// for the rest: flags without their right are left alone, and when none is left
// the answer is a [RightError]. Messages that are gone are passed over.
//
// It returns the sequence numbers of the messages whose flags are now as asked,
// and the UIDs of those left alone because they changed after unchangedSince
// (RFC 7162 section 3.1.3; 0: no condition). [NeverSet] leaves those alone that
// have one of the keywords given, and all where other flags are given.
func (v *View) SetFlags(ctx context.Context, set UIDSet, op FlagOp, f FlagSet, unchangedSince ModSeq) (seqs []int, modified UIDSet, err error) {
	if v.readOnly {
		return nil, nil, ErrReadOnlyView
	}
	if err := v.Load(ctx); err != nil {
		return nil, nil, err
	}
	set = v.present(set)
	if len(set) == 0 {
		return nil, nil, nil
	}
	var done flagged
	now := v.s.pictures.newest(v.shared)
	err = v.s.Update(ctx, func(tx *Tx) error {
		done = flagged{now: now}
		return tx.setFlags(v, set, op, f, unchangedSince, &done)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("setting flags in %q: %w", v.box.Name, err)
	}
	return v.takeFlags(set, &done), done.modified, nil
}

// present returns the part of a set that the view can have messages of.
func (v *View) present(set UIDSet) UIDSet {
	return v.within(set.below(v.state.UIDNext)).minus(v.gone)
}

func (tx *Tx) setFlags(v *View, set UIDSet, op FlagOp, f FlagSet, unchangedSince ModSeq, done *flagged) error {
	k := v.key()
	_, rights, err := v.enter(tx.r)
	if err != nil {
		return err
	}
	st, err := readWholeState(tx.r, k)
	if err != nil {
		return err
	}
	done.before, done.after = st.State, st.State
	c := flagChange{op: op, mask: settable(rights)}
	which := keywordsAll
	if op == FlagsRemove || rights&RightWrite == 0 {
		which = keywordsNone
	}
	if c.want, err = tx.flagsIn(k, &st, f, which); err != nil {
		return err
	}
	if err := c.allowed(f, v.box.Name); err != nil {
		return err
	}
	acct, err := readAccount(tx.r, k.account)
	if err != nil {
		return err
	}
	acct.modSeq++
	record := change{}
	most := min(set.Count(), int(st.Exists))
	done.messages, done.old = make([]Message, 0, most), make([]Flags, 0, most)
	err = done.each(tx.r, k, &st, set, func(m Message) {
		done.found.Add(m.UID, m.UID)
		if unchangedSince != 0 && c.conflicts(&m, v.x.find(m.UID), unchangedSince) {
			done.modified.Add(m.UID, m.UID)
			return
		}
		done.old = append(done.old, m.Flags)
		if now := c.apply(m.Flags); now != m.Flags {
			st.reflag(&m, now)
			m.ModSeq = acct.modSeq
			record.flagged.Add(m.UID, m.UID)
		}
		done.messages = append(done.messages, m)
	})
	if err != nil || record.empty() && len(st.Keywords) == len(done.before.Keywords) {
		return err
	}
	if err := tx.putFlags(k, done.messages, acct.modSeq); err != nil {
		return err
	}
	st.HighestModSeq = acct.modSeq
	tx.putChange(k, &st, acct.modSeq, &record)
	tx.putState(k, &st)
	tx.putAccount(k.account, &acct)
	done.after = st.State
	if record.empty() {
		return nil
	}
	return tx.note(&Action{
		Op: OpFlags, By: v.id, Account: k.account, Mailbox: k.mailbox, Name: v.box.Name,
		UIDs: record.flagged, Flagged: op, Flags: f,
	})
}

// each calls fn with each message of the set that is there, in ascending order, as
// it is in the state: from the index where that is as new, else from records.
func (done *flagged) each(r engine.Reader, k boxKey, st *state, set UIDSet, fn func(Message)) error {
	if done.now != nil && done.now.modSeq == st.HighestModSeq {
		done.now.eachOf(set, func(_ int, m *Message) { fn(*m) })
		return nil
	}
	return readEntries(r, k, set, func(e *entry) error {
		fn(e.Message)
		return nil
	})
}

// conflicts tells whether a message has been changed after a modseq, so that its
// flags are not to be touched. A change of other flags than those to be added or
// removed is passed over, where the session knows the message as it was: RFC 7162
// section 3.1.12.
func (c *flagChange) conflicts(m, known *Message, since ModSeq) bool {
	switch {
	case m.ModSeq <= since && since != NeverSet:
		return false
	case c.op == FlagsReplace:
		return true
	case since == NeverSet:
		return c.want&systemFlags != 0 || c.want&m.Flags != 0
	}
	return known == nil || known.ModSeq > since || (known.Flags^m.Flags)&c.want != 0
}

// allowed tells which right is missing when none of the flags given may be
// changed.
func (c *flagChange) allowed(f FlagSet, mailbox string) error {
	want := f.System & systemFlags
	if len(f.Keywords) > 0 {
		want |= 1 << FirstKeyword
	}
	if c.op == FlagsReplace && c.mask != 0 || want == 0 && c.op != FlagsReplace || want&c.mask != 0 {
		return nil
	}
	return &RightError{Right: rightFor(want), Mailbox: mailbox}
}

// reflag gives a message other flags and counts that.
func (s *state) reflag(m *Message, now Flags) {
	switch {
	case m.Flags&FlagSeen == 0 && now&FlagSeen != 0:
		s.Unseen--
	case m.Flags&FlagSeen != 0 && now&FlagSeen == 0:
		s.Unseen++
	}
	switch {
	case m.Flags&FlagDeleted == 0 && now&FlagDeleted != 0:
		s.Deleted++
		s.DeletedOctets += m.Size
	case m.Flags&FlagDeleted != 0 && now&FlagDeleted == 0:
		s.Deleted--
		s.DeletedOctets -= m.Size
	}
	m.Flags = now
}

// takeFlags takes the new flags into the view and returns the sequence numbers
// of the messages that have them. Where the store had other flags than the view
// knew, the message is remembered, so that the next Refresh tells of it.
func (v *View) takeFlags(set UIDSet, done *flagged) []int {
	seqs := make([]int, 0, len(done.messages))
	changed, old := done.messages[:0], done.old
	rest := done.messages
	v.x.eachOf(set, func(seq int, m *Message) {
		for len(rest) > 0 && rest[0].UID < m.UID {
			rest, old = rest[1:], old[1:]
		}
		if len(rest) == 0 || rest[0].UID != m.UID {
			return
		}
		now, had := rest[0], old[0]
		seqs = append(seqs, seq)
		if *m != now {
			if m.Flags != had {
				v.untold.Add(m.UID, m.UID)
			}
			changed = append(changed, now) // never ahead of rest
		}
	})
	for _, m := range v.x.collect(set.minus(done.found)) {
		v.gone.Add(m.UID, m.UID)
	}
	v.state.Keywords = done.after.Keywords
	v.takeOwn(&done.before, &done.after, changed)
	return seqs
}

// takeOwn takes the view's own change of messages. Where nothing else happened
// in between, the view is then at the present without a Refresh.
func (v *View) takeOwn(before, after *State, changed []Message) {
	present := before.HighestModSeq == v.state.HighestModSeq
	at := v.state.HighestModSeq
	if present {
		v.state = *after
		at = after.HighestModSeq
	}
	if len(changed) > 0 || at != v.x.modSeq {
		v.x = v.x.apply(at, changed, nil, nil)
		if present && len(v.gone) == 0 && v.only == "" {
			v.x = v.s.pictures.share(v.shared, v.x)
		}
	}
	if v.only != "" {
		v.recount()
	}
}

// Detail reads a message's whole record as it is now. It needs [RightRead].
// [ErrNoMessage]: it is expunged, or was never there.
func (v *View) Detail(ctx context.Context, u UID) (Detail, error) {
	var d Detail
	if v.only != "" && v.x.seq(u) == 0 {
		return d, v.lost(u, ErrNoMessage)
	}
	err := v.s.engine.View(ctx, func(r engine.Reader) error {
		e, err := v.readNow(r, u)
		if err != nil {
			return err
		}
		rec, err := readSummary(r, e.Body)
		if err != nil {
			return err
		}
		d = Detail{Message: e.Message, SaveDate: e.saved, Created: e.created, Lines: rec.Lines()}
		copy(d.Digest[:], rec.Digest())
		return nil
	})
	if err != nil {
		return Detail{}, v.lost(u, err)
	}
	return d, nil
}

// SaveDates calls fn with when each message of a set came into the mailbox, in Unix
// seconds and by ascending UID. Those that are expunged are left out. It needs
// [RightRead].
func (v *View) SaveDates(ctx context.Context, set UIDSet, fn func(UID, int64)) error {
	err := v.s.engine.View(ctx, func(r engine.Reader) error {
		if _, _, err := v.enter(r); err != nil {
			return err
		}
		return readEntries(r, v.key(), set, func(e *entry) error {
			fn(e.UID, e.saved)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("reading save dates in %q: %w", v.box.Name, err)
	}
	return nil
}

// readNow reads a message's record after asking for the right to.
func (v *View) readNow(r engine.Reader, u UID) (entry, error) {
	if _, _, err := enterByID(r, &v.id, v.key(), RightLookup|RightRead); err != nil {
		return entry{}, err
	}
	e, found, err := readEntry(r, v.key(), u)
	if err == nil && !found {
		err = ErrNoMessage
	}
	return e, err
}
