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
	before, after State   // of the mailbox
	changed       []entry // the messages of the set, as they are now
	old           []Flags // what the store had for them before
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
	err = v.s.Update(ctx, func(tx *Tx) error {
		done = flagged{}
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
	done.changed, done.old = make([]entry, 0, most), make([]Flags, 0, most)
	err = readEntries(tx.r, k, set, func(e *entry) error {
		done.found.Add(e.UID, e.UID)
		if c.conflicts(e, v.x.find(e.UID), unchangedSince) {
			done.modified.Add(e.UID, e.UID)
			return nil
		}
		done.old = append(done.old, e.Flags)
		if now := c.apply(e.Flags); now != e.Flags {
			st.reflag(e, now)
			e.ModSeq = acct.modSeq
			record.flagged.Add(e.UID, e.UID)
		}
		done.changed = append(done.changed, *e)
		return nil
	})
	if err != nil || record.empty() && len(st.Keywords) == len(done.before.Keywords) {
		return err
	}
	for i := range done.changed {
		if e := &done.changed[i]; e.ModSeq == acct.modSeq {
			tx.putEntry(k, e)
		}
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

// conflicts tells whether a message has been changed after a modseq, so that its
// flags are not to be touched. A change of other flags than those to be added or
// removed is passed over, where the session knows the message as it was: RFC 7162
// section 3.1.12.
func (c *flagChange) conflicts(e *entry, known *Message, since ModSeq) bool {
	switch {
	case since == 0 || e.ModSeq <= since && since != NeverSet:
		return false
	case c.op == FlagsReplace:
		return true
	case since == NeverSet:
		return c.want&systemFlags != 0 || c.want&e.Flags != 0
	}
	return known == nil || known.ModSeq > since || (known.Flags^e.Flags)&c.want != 0
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
func (s *state) reflag(e *entry, now Flags) {
	switch {
	case e.Flags&FlagSeen == 0 && now&FlagSeen != 0:
		s.Unseen--
	case e.Flags&FlagSeen != 0 && now&FlagSeen == 0:
		s.Unseen++
	}
	switch {
	case e.Flags&FlagDeleted == 0 && now&FlagDeleted != 0:
		s.Deleted++
		s.DeletedOctets += e.Size
	case e.Flags&FlagDeleted != 0 && now&FlagDeleted == 0:
		s.Deleted--
		s.DeletedOctets -= e.Size
	}
	e.Flags = now
}

// takeFlags takes the new flags into the view and returns the sequence numbers
// of the messages that have them. Where the store had other flags than the view
// knew, the message is remembered, so that the next Refresh tells of it.
func (v *View) takeFlags(set UIDSet, done *flagged) []int {
	var seqs []int
	changed := make([]Message, 0, len(done.changed))
	for i := range done.changed {
		e := &done.changed[i]
		seq := v.x.seq(e.UID)
		if seq == 0 {
			continue
		}
		seqs = append(seqs, seq)
		if m := v.x.at(seq); *m != e.Message {
			if m.Flags != done.old[i] {
				v.untold.Add(e.UID, e.UID)
			}
			changed = append(changed, e.Message)
		}
	}
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
