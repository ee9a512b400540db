package store

import (
	"context"
	"fmt"
)

// CopyResult tells which messages were copied and where they came to lie, in
// corresponding order (RFC 4315 section 3). It is empty when none of the set
// was there.
type CopyResult struct {
	UIDValidity    uint32 // of the target
	Source, Target UIDSet
}

// Copy copies messages into another mailbox, or into the same, in one
// transaction: all or none. The bodies are shared. Messages of the set that are
// gone are passed over. It needs [RightInsert] on the target; flags are copied
// as far as the rights there reach, and keywords as far as there is room.
func (v *View) Copy(ctx context.Context, set UIDSet, dst MailboxRef) (CopyResult, error) {
	return v.transfer(ctx, set, dst, false)
}

// Move is Copy and the removal of the originals in one transaction (RFC 6851).
// It needs [RightDelete] on the source besides. The view learns of the removal
// by Refresh. Moved messages are not kept among the expunged ones.
func (v *View) Move(ctx context.Context, set UIDSet, dst MailboxRef) (CopyResult, error) {
	if v.readOnly {
		return CopyResult{}, ErrReadOnlyView
	}
	return v.transfer(ctx, set, dst, true)
}

func (v *View) transfer(ctx context.Context, set UIDSet, dst MailboxRef, move bool) (res CopyResult, err error) {
	if err := v.Load(ctx); err != nil {
		return res, err
	}
	set = v.present(set)
	err = v.s.Update(ctx, func(tx *Tx) error {
		res, err = tx.transfer(v, set, dst, move)
		return err
	})
	if err != nil {
		doing := "copying"
		if move {
			doing = "moving"
		}
		return CopyResult{}, fmt.Errorf("%s from %q to %q: %w", doing, v.box.Name, dst.Name, err)
	}
	return res, nil
}

// end is one of the two mailboxes of a transfer. Both may be the same.
type end struct {
	k      boxKey
	st     *state
	acct   *account
	rights Rights
}

func (tx *Tx) transfer(v *View, set UIDSet, dst MailboxRef, move bool) (CopyResult, error) {
	from, to, err := tx.transferEnds(v, dst, move)
	if err != nil {
		return CopyResult{}, err
	}
	entries, octets, err := tx.readAllOf(from.k, set)
	if err != nil || len(entries) == 0 {
		return CopyResult{UIDValidity: to.st.UIDValidity}, err
	}
	if !move || from.acct != to.acct {
		var source *account
		if move {
			source = from.acct
		}
		if err := tx.fits(to.acct, source, octets, int64(len(entries)), Allowance{}); err != nil {
			return CopyResult{}, err
		}
	}
	if len(entries) > int(lastUID-to.st.UIDNext) {
		return CopyResult{}, ErrUIDs
	}
	to.acct.modSeq++
	res := CopyResult{UIDValidity: to.st.UIDValidity}
	if err := tx.copyInto(from, to, entries, !move, &res); err != nil {
		return CopyResult{}, err
	}
	if move {
		if from.acct != to.acct {
			from.acct.modSeq++
		}
		if _, err := tx.takeOut(from, entries, from.acct.modSeq); err != nil {
			return CopyResult{}, err
		}
	}
	tx.putEnd(to)
	if move && from.st != to.st {
		tx.putEnd(from)
	}
	a := Action{
		Op: OpCopy, By: v.id, Account: from.k.account, Mailbox: from.k.mailbox, Name: v.box.Name,
		UIDs: res.Source, To: MailboxRef{to.k.account, dst.Name}, ToID: to.k.mailbox, Targets: res.Target,
	}
	if move {
		a.Op = OpMove
	}
	return res, tx.note(&a)
}

// transferEnds asks for the rights of a transfer and reads both mailboxes.
func (tx *Tx) transferEnds(v *View, dst MailboxRef, move bool) (from, to *end, err error) {
	m, rights, err := v.enter(tx.r)
	if err != nil {
		return nil, nil, err
	}
	if move && rights&RightDelete == 0 {
		return nil, nil, &RightError{Right: RightDelete, Mailbox: m.name}
	}
	k, err := find(tx.r, dst)
	if err != nil {
		return nil, nil, err
	}
	st, toRights, err := enterState(tx.r, &v.id, k, RightInsert)
	if err != nil {
		return nil, nil, err
	}
	acct, err := readAccount(tx.r, k.account)
	if err != nil {
		return nil, nil, err
	}
	to = &end{k, &st, &acct, toRights}
	from = &end{v.key(), to.st, to.acct, rights}
	if from.k == to.k {
		return from, to, nil
	}
	fromState, found, err := readState(tx.r, from.k)
	if err == nil && !found {
		err = ErrNoMailbox
	}
	if err != nil {
		return nil, nil, err
	}
	from.st = &fromState
	if from.k.account != to.k.account {
		fromAcct, err := readAccount(tx.r, from.k.account)
		if err != nil {
			return nil, nil, err
		}
		from.acct = &fromAcct
	}
	return from, to, nil
}

// readAllOf reads the messages of a set, and sums their sizes.
func (tx *Tx) readAllOf(k boxKey, set UIDSet) (entries []entry, octets int64, err error) {
	err = readEntries(tx.r, k, set, func(e *entry) error {
		entries = append(entries, *e)
		octets += e.Size
		return nil
	})
	return entries, octets, err
}

// copyInto appends the messages to the target. With share each copy takes a
// reference of its own to the body; without, the original gives up its.
func (tx *Tx) copyInto(from, to *end, entries []entry, share bool, res *CopyResult) error {
	keywords, err := tx.keywordMap(from, to)
	if err != nil {
		return err
	}
	for i := range entries {
		e := entries[i]
		if share {
			if err := tx.tx.Share(e.Body); err != nil {
				return err
			}
		}
		e.Flags = keywords.translate(e.Flags) & settable(to.rights)
		tx.insert(to.k, to.st, to.acct, &e)
		res.Source.Add(entries[i].UID, entries[i].UID)
		res.Target.Add(e.UID, e.UID)
	}
	tx.setKeywords(to.k, to.st, keywords.table)
	return nil
}

// keywordMap translates keyword bits between two mailboxes.
type keywordMap struct {
	from  []string
	table []string // the target's, grown as needed
	bits  [MaxKeywords]Flags
	same  bool
}

func (tx *Tx) keywordMap(from, to *end) (*keywordMap, error) {
	m := &keywordMap{same: from.k == to.k}
	var err error
	if m.table, err = tx.keywords(to.k, to.st); err != nil || m.same || to.rights&RightWrite == 0 {
		return m, err
	}
	m.from, err = tx.keywords(from.k, from.st)
	return m, err
}

// translate leaves out what the target has no room for.
func (m *keywordMap) translate(f Flags) Flags {
	if m.same {
		return f
	}
	out := f & systemFlags
	for i, name := range m.from {
		if f&(1<<(FirstKeyword+i)) == 0 {
			continue
		}
		if m.bits[i] == 0 {
			bit, table, err := addKeyword(m.table, name)
			if err != nil {
				continue
			}
			m.bits[i], m.table = bit, table
		}
		out |= m.bits[i]
	}
	return out
}

// takeOut removes messages from a mailbox and leaves their trace. What becomes
// of their bodies is the caller's matter. It returns their unique-ids, of those
// that had their own.
func (tx *Tx) takeOut(from *end, entries []entry, at ModSeq) (ids map[UID]string, err error) {
	if from.st.UniqueIDs > 0 {
		if ids, err = tx.takeUniqueIDs(from.k, entries); err != nil {
			return nil, err
		}
		from.st.UniqueIDs -= uint32(len(ids))
	}
	record := change{}
	for i := range entries {
		e := &entries[i]
		tx.tx.Delete(tx.slab.keep(appendMessageKey(tx.slab.room(maxFixedKey), from.k.account, from.k.mailbox, e.UID)))
		tx.dropIndividuals(from.k, e)
		from.st.count(e, -1)
		from.acct.octets -= e.Size
		from.acct.messages--
		record.remove(e)
	}
	if err := tx.dropFlagBlocks(from.k, entries); err != nil {
		return nil, err
	}
	from.st.HighestModSeq = at
	tx.putChange(from.k, from.st, at, &record)
	return ids, nil
}

func (tx *Tx) putEnd(e *end) {
	tx.putState(e.k, e.st)
	tx.putAccount(e.k.account, e.acct)
}
