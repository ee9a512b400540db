package store

import (
	"context"
	"fmt"

	"tripost/store/engine"
)

// expungeChunk is how many messages one transaction expunges: others wait no
// longer than that takes.
const expungeChunk = 2000

// Expunge removes messages: those of set (nil: all) that have \Deleted, or with
// any, those of set whatever their flags, as POP asks. It needs [RightDelete].
// It works in chunks, each a transaction; when one fails, what was removed
// before is returned with the error. The view learns of the removal by Refresh.
func (v *View) Expunge(ctx context.Context, set UIDSet, any bool) (UIDSet, error) {
	if v.readOnly {
		return nil, ErrReadOnlyView
	}
	if v.only != "" {
		set = v.partOf(set, any)
	}
	if set == nil && (any || v.only != "") {
		return nil, nil
	}
	set, err := v.expungeable(ctx, set, any)
	var gone UIDSet
	for err == nil && len(set) > 0 {
		var chunk, removed UIDSet
		chunk, set = set.take(expungeChunk)
		err = v.s.Update(ctx, func(tx *Tx) error {
			removed, err = tx.expunge(v, chunk, any)
			return err
		})
		if err == nil {
			gone.addAll(removed)
		}
	}
	if err != nil {
		return gone, fmt.Errorf("expunging from %q: %w", v.box.Name, err)
	}
	return gone, nil
}

// expungeable checks the right, and finds what an Expunge will remove so that
// the transactions touch nothing else.
func (v *View) expungeable(ctx context.Context, set UIDSet, any bool) (UIDSet, error) {
	var found UIDSet
	err := v.s.engine.View(ctx, func(r engine.Reader) error {
		if _, err := v.mayExpunge(r); err != nil {
			return err
		}
		st, ok, err := readState(r, v.key())
		if err != nil {
			return err
		}
		if !ok {
			return ErrNoMailbox
		}
		if !any && st.Deleted == 0 {
			return nil
		}
		collect := func(e *entry) {
			if any || e.Flags&FlagDeleted != 0 {
				found.Add(e.UID, e.UID)
			}
		}
		if set == nil {
			return readAll(ctx, r, v.key(), ^UID(0), collect)
		}
		return readEntries(r, v.key(), set, func(e *entry) error {
			collect(e)
			return nil
		})
	})
	return found, err
}

// mayExpunge asks for the right to remove messages.
func (v *View) mayExpunge(r engine.Reader) (mailbox, error) {
	m, rights, err := v.enter(r)
	if err == nil && rights&RightDelete == 0 {
		err = &RightError{Right: RightDelete, Mailbox: m.name}
	}
	return m, err
}

func (tx *Tx) expunge(v *View, set UIDSet, any bool) (removed UIDSet, err error) {
	m, err := v.mayExpunge(tx.r)
	if err != nil {
		return nil, err
	}
	k := v.key()
	st, found, err := readState(tx.r, k)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ErrNoMailbox
	}
	acct, err := readAccount(tx.r, k.account)
	if err != nil {
		return nil, err
	}
	entries, err := tx.readExpungeable(k, set, any)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	acct.modSeq++
	from := &end{k: k, st: &st, acct: &acct}
	ids, err := tx.takeOut(from, entries, acct.modSeq)
	if err != nil {
		return nil, err
	}
	bin := bin{account: k.account, mailbox: k.mailbox, modSeq: acct.modSeq, at: tx.now.Unix(), name: m.name, ids: ids}
	if err := tx.throwAway(&bin, entries); err != nil {
		return nil, err
	}
	tx.putEnd(from)
	for i := range entries {
		removed.Add(entries[i].UID, entries[i].UID)
	}
	return removed, tx.note(&Action{
		Op: OpExpunge, By: v.id, Account: k.account, Mailbox: k.mailbox, Name: m.name, UIDs: removed,
	})
}

func (tx *Tx) readExpungeable(k boxKey, set UIDSet, any bool) (entries []entry, err error) {
	err = readEntries(tx.r, k, set, func(e *entry) error {
		if any || e.Flags&FlagDeleted != 0 {
			entries = append(entries, *e)
		}
		return nil
	})
	return entries, err
}
