package store

import (
	"context"
	"fmt"
	"math"
	"time"
)

// NewMessage is what an append is given.
type NewMessage struct {
	Body  Body
	Flags FlagSet
	Date  time.Time // internal date, whose zone is kept; zero: now, in UTC
	// UniqueID is what POP clients know the message by. Where it is not valid, or
	// not unique within the mailbox, the message gets the ordinary one, as it does
	// with "".
	UniqueID string
	// Beyond is how far past its limits the message may take the account: for what
	// must not be lost when a mailbox is full.
	Beyond Allowance
}

// Allowance is what an account may have past its limits and those of its pool. Zero
// is nothing.
type Allowance struct{ Octets, Messages int64 }

// Appended tells where a message came to lie.
type Appended struct {
	UIDValidity uint32
	UID         UID
	Mailbox     MailboxID
}

// Append puts a message into a mailbox and adds a reference of its own to the
// body. It needs [RightInsert]; the flags are set as far as the rights to
// change them reach. [ErrOverQuota]: the account's limits do not allow it. When
// it returns one of this package's errors it has changed nothing, and the
// transaction can go on.
func (tx *Tx) Append(id Identity, dst MailboxRef, m NewMessage) (Appended, error) {
	size, err := tx.tx.BlobSize(m.Body)
	var done Appended
	if err == nil {
		done, err = tx.append(&id, dst, m, size, keywordsAll)
	}
	if err == nil {
		err = tx.tx.Share(m.Body)
	}
	if err != nil {
		return Appended{}, fmt.Errorf("appending to mailbox %q: %w", dst.Name, err)
	}
	return done, nil
}

// append puts a message into a mailbox; the body's reference becomes the
// message's.
func (tx *Tx) append(id *Identity, dst MailboxRef, m NewMessage, size int64, which newKeywords) (Appended, error) {
	k, err := find(tx.r, dst)
	if err != nil {
		return Appended{}, err
	}
	st, rights, err := enterState(tx.r, id, k, RightInsert)
	if err != nil {
		return Appended{}, err
	}
	acct, err := readAccount(tx.r, k.account)
	if err != nil {
		return Appended{}, err
	}
	if err := tx.fits(&acct, nil, size, 1, m.Beyond); err != nil {
		return Appended{}, err
	}
	if st.UIDNext == lastUID {
		return Appended{}, ErrUIDs
	}
	if rights&RightWrite == 0 {
		which = keywordsNone
	}
	flags, err := tx.flagsIn(k, &st, m.Flags, which)
	if err != nil {
		return Appended{}, err
	}
	date, zone := m.Date, zoneOf(m.Date)
	if date.IsZero() {
		date, zone = tx.now, 0
	}
	traits, err := tx.traits(m.Body)
	if err != nil {
		return Appended{}, err
	}
	acct.modSeq++
	e := entry{Message: Message{
		Unended: traits.unended, UTF8Header: traits.utf8Header, Individual: traits.individual,
		Flags: flags & settable(rights), Size: size, Date: date.Unix(), Zone: zone, Body: m.Body,
	}}
	tx.insert(k, &st, &acct, &e)
	if m.UniqueID != "" {
		if err := tx.keepUniqueID(k, &st, e.UID, m.UniqueID); err != nil {
			return Appended{}, err
		}
	}
	tx.putState(k, &st)
	tx.putAccount(k.account, &acct)
	done := Appended{st.UIDValidity, e.UID, k.mailbox}
	if id.Actor.Protocol == "" {
		return done, nil
	}
	return done, tx.note(&Action{
		Op: OpAppend, By: *id, Account: k.account, Mailbox: k.mailbox, Name: dst.Name,
		UIDs: UIDSet{{e.UID, e.UID}}, Body: m.Body,
	})
}

// lastUID is never given out, so that UIDNEXT is always one more than a UID can
// be.
const lastUID = math.MaxUint32

// traits are what of a body's summary every message's record carries.
type traits struct{ unended, utf8Header, individual bool }

// traits returns those of a body. Of the body kept last, which is the one that is
// appended next, they are remembered.
func (tx *Tx) traits(b Body) (traits, error) {
	if b == tx.kept {
		return tx.keptTraits, nil
	}
	record, err := readSummary(tx.r, b)
	if err != nil {
		return traits{}, err
	}
	names, err := readNames(tx.r, b)
	return traits{record.NoFinalCRLF(), record.International() && record.HeaderEightBit(), len(names) > 0}, err
}

// insert writes a message as the newest of its mailbox under the account's
// present modseq, and counts it.
func (tx *Tx) insert(k boxKey, st *state, acct *account, e *entry) {
	e.UID = st.UIDNext
	st.UIDNext++
	e.ModSeq, e.created, e.saved = acct.modSeq, acct.modSeq, tx.now.Unix()
	st.HighestModSeq = acct.modSeq
	st.count(e, 1)
	acct.octets += e.Size
	acct.messages++
	tx.putEntry(k, e)
}

// newKeywords says which keywords that a mailbox does not have yet become its.
type newKeywords uint8

const (
	keywordsNone newKeywords = iota // none: they are left out
	keywordsFit                     // as many as there is room for
	keywordsAll                     // all, or it is an error
)

// flagsIn turns flags by name into the mailbox's bits.
func (tx *Tx) flagsIn(k boxKey, st *state, f FlagSet, which newKeywords) (Flags, error) {
	flags := f.System & systemFlags
	if len(f.Keywords) == 0 {
		return flags, nil
	}
	table, err := tx.keywords(k, st)
	if err != nil {
		return 0, err
	}
	for _, name := range f.Keywords {
		bit := keywordBit(table, name)
		if bit == 0 && which != keywordsNone {
			if bit, table, err = addKeyword(table, name); err != nil && which == keywordsAll {
				return 0, err
			}
		}
		flags |= bit
	}
	tx.setKeywords(k, st, table)
	return flags, nil
}

// keywords returns a mailbox's keywords, read with the state's first use.
func (tx *Tx) keywords(k boxKey, st *state) ([]string, error) {
	if st.keywords == 0 || st.Keywords != nil {
		return st.Keywords, nil
	}
	table, err := readKeywords(tx.r, k)
	st.Keywords = table
	return table, err
}

// setKeywords writes a mailbox's keywords when there are more than before.
func (tx *Tx) setKeywords(k boxKey, st *state, table []string) {
	if len(table) == int(st.keywords) {
		return
	}
	st.Keywords, st.keywords = table, uint32(len(table))
	tx.tx.Put(keywordsKey(k.account, k.mailbox), appendKeywords(nil, table))
}

// Append keeps a draft and puts it into a mailbox, in one transaction: see
// [Tx.Append]. The draft must still be closed. A zero date means now.
func (s *Store) Append(ctx context.Context, id Identity, dst MailboxRef, d *Draft, f FlagSet, date time.Time) (done Appended, err error) {
	d.Finish()
	err = s.Update(ctx, func(tx *Tx) error {
		b, err := tx.Keep(d)
		if err != nil {
			return err
		}
		done, err = tx.append(&id, dst, NewMessage{Body: b, Flags: f, Date: date}, d.Size(), keywordsAll)
		return err
	})
	if err != nil {
		return Appended{}, fmt.Errorf("appending to mailbox %q: %w", dst.Name, err)
	}
	return done, nil
}
