package store

import (
	"bytes"
	"encoding/binary"
)

// checkedBox is what the contents of one mailbox are compared by.
type checkedBox struct {
	k           boxKey
	state       state // as its record says
	found       bool
	counted     state // as its messages say
	flags       Flags // of all messages
	lastUID     UID
	lastModSeq  ModSeq
	lastCreated ModSeq
	changes     uint32
	keywords    int
	listed      int    // entries that the messages should have in the indexes of individuals
	indexed     int    // those that are there
	ids         uint32 // unique-ids of messages
	holders     uint32 // entries in the index by unique-id
	amended     flagReader
}

// contents goes through what an account's mailboxes hold, mailbox by mailbox.
func (c *checker) contents(acct *checkedAccount) error {
	prefix := appendAccountPart(nil, acct.id, partContents)
	var box *checkedBox
	err := c.each(prefix, func(key, value []byte) {
		id := MailboxID(binary.BigEndian.Uint32(key[len(prefix):]))
		if box == nil || box.k.mailbox != id {
			c.finish(acct, box)
			box = c.begin(acct, id)
		}
		c.item(box, key[len(prefix)+4], key, value)
	})
	c.finish(acct, box)
	return err
}

func (c *checker) begin(acct *checkedAccount, id MailboxID) *checkedBox {
	k := boxKey{acct.id, id}
	box := &checkedBox{k: k, amended: flagReader{r: c.r, k: k}}
	var err error
	box.state, box.found, err = readState(c.r, box.k)
	if err != nil {
		c.fault(stateKey(acct.id, id), "%v", err)
	}
	box.counted.RecentBase = box.state.RecentBase
	return box
}

func (c *checker) item(box *checkedBox, item byte, key, value []byte) {
	switch item {
	case itemMessage:
		c.message(box, key, value)
	case itemState: // read already
	case itemChange:
		c.change(box, key, value)
	case itemKeywords:
		list, err := decodeKeywords(value)
		if err != nil {
			c.fault(key, "%v", err)
		}
		box.keywords = len(list)
	case itemIndividual:
		box.indexed++
	case itemUniqueID:
		c.uniqueID(box, key, value)
	case itemHolder:
		box.holders++
	case itemFlags:
		c.flagBlock(box, key, value)
	default:
		c.fault(key, "what is this?")
	}
}

func (c *checker) message(box *checkedBox, key, value []byte) {
	var e entry
	if err := e.decode(uidOf(key), value); err != nil {
		c.fault(key, "%v", err)
		return
	}
	if err := box.amended.amend(&e.Message); err != nil {
		c.fault(key, "%v", err)
	}
	box.counted.count(&e, 1)
	box.flags |= e.Flags
	box.lastUID = e.UID
	if e.created < box.lastCreated {
		c.fault(key, "message %d came at modseq %d, the one before it at %d", e.UID, e.created, box.lastCreated)
	}
	box.lastCreated = e.created
	box.lastModSeq = max(box.lastModSeq, e.ModSeq)
	c.hold(key, &e)
	c.individuals(box, &e, value)
}

// individuals holds a message against its entries in the indexes of individuals.
func (c *checker) individuals(box *checkedBox, e *entry, record []byte) {
	names, err := readNames(c.r, e.Body)
	if err != nil || e.Individual != (len(names) > 0) {
		c.fault(namesKey(e.Body), "message %d names individuals: %t, its body: %q, %v", e.UID, e.Individual, names, err)
		return
	}
	box.listed += len(names)
	for _, name := range names {
		key := individualKey(box.k, name, e.UID)
		value, err := c.r.Get(key)
		if err != nil || !bytes.Equal(value, record) {
			c.fault(key, "message %d of individual %q differs from the mailbox's, or is missing: %v", e.UID, name, err)
		}
	}
}

// flagBlock checks a block. What it tells of the messages has been asked for already.
func (c *checker) flagBlock(box *checkedBox, key, value []byte) {
	var b flagBlock
	n := uint32(uidOf(key))
	if err := b.decode(n, value); err != nil {
		c.fault(key, "%v", err)
		return
	}
	for _, r := range b {
		box.lastModSeq = max(box.lastModSeq, r.modSeq)
		box.flags |= r.flags
	}
	left, err := (&Snapshot{r: c.r}).Lives(box.k.account, box.k.mailbox, UIDSet{{UID(n * blockUIDs), UID(n*blockUIDs + blockUIDs - 1)}})
	if err != nil || !left {
		c.fault(key, "flags of messages that are all gone: %v", err)
	}
}

// uniqueID holds a unique-id against its message and its entry in the index.
func (c *checker) uniqueID(box *checkedBox, key, value []byte) {
	box.ids++
	id, err := decodeUniqueID(value)
	if err != nil {
		c.fault(key, "%v", err)
		return
	}
	u := uidOf(key)
	if record, err := c.r.Get(messageKey(box.k.account, box.k.mailbox, u)); err != nil || record == nil {
		c.fault(key, "unique-id of message %d, which does not exist: %v", u, err)
	}
	holder, err := c.r.Get(uniqueIDHolderKey(box.k, id))
	if err != nil || !bytes.Equal(holder, appendID(nil, uint64(u))) {
		c.fault(key, "message %d has the unique-id %q, the index says otherwise: %x, %v", u, id, holder, err)
	}
}

// change checks a change record. One at or below the floor is no fault: a restored
// store keeps those of its backup until it is tidied.
func (c *checker) change(box *checkedBox, key, value []byte) {
	box.changes++
	var ch change
	if err := ch.decode(value, true); err != nil {
		c.fault(key, "%v", err)
		return
	}
	q := modSeqOf(key)
	box.lastModSeq = max(box.lastModSeq, q)
	for _, set := range []UIDSet{ch.flagged, ch.gone} {
		if n := len(set); n > 0 && box.found && set[n-1].Hi >= box.state.UIDNext {
			c.fault(key, "change of message %d, but UIDNEXT is %d", set[n-1].Hi, box.state.UIDNext)
		}
	}
}

// finish compares a mailbox's state with what was found.
func (c *checker) finish(acct *checkedAccount, box *checkedBox) {
	if box == nil {
		return
	}
	key := stateKey(box.k.account, box.k.mailbox)
	m, named := acct.boxes[box.k.mailbox]
	if !named || !box.found {
		if !c.note[box.k] {
			c.fault(key, "contents of mailbox %d, which does not exist", box.k.mailbox)
		}
		return
	}
	st, n := &box.state, &box.counted
	c.res.Messages += int64(n.Exists)
	acct.messages += int64(st.Exists)
	acct.octets += st.Octets
	if st.DeletedOctets != n.DeletedOctets {
		c.fault(key, "%q says that messages marked deleted have %d octets; they have %d", m.name, st.DeletedOctets, n.DeletedOctets)
	}
	if st.Unended != n.Unended {
		c.fault(key, "%q says that %d messages lack their last line end; it holds %d such", m.name, st.Unended, n.Unended)
	}
	if st.UTF8Headers != n.UTF8Headers {
		c.fault(key, "%q says that %d messages have UTF-8 headers; it holds %d such", m.name, st.UTF8Headers, n.UTF8Headers)
	}
	if st.Exists != n.Exists || st.Octets != n.Octets || st.Unseen != n.Unseen || st.Deleted != n.Deleted || st.Recent != n.Recent {
		c.fault(key, "%q says %d messages, %d octets, %d unseen, %d deleted, %d recent; it holds %d, %d, %d, %d, %d", m.name,
			st.Exists, st.Octets, st.Unseen, st.Deleted, st.Recent, n.Exists, n.Octets, n.Unseen, n.Deleted, n.Recent)
	}
	switch {
	case st.UIDValidity != m.validity:
		c.fault(key, "UIDVALIDITY is %d in the state and %d in the mailbox", st.UIDValidity, m.validity)
	case box.lastUID >= st.UIDNext:
		c.fault(key, "message %d, but UIDNEXT is %d", box.lastUID, st.UIDNext)
	case st.RecentBase > st.UIDNext:
		c.fault(key, "recent from %d, but UIDNEXT is %d", st.RecentBase, st.UIDNext)
	case box.lastModSeq > st.HighestModSeq:
		c.fault(key, "modseq %d, but the highest is %d", box.lastModSeq, st.HighestModSeq)
	case st.HighestModSeq > acct.record.modSeq:
		c.fault(key, "highest modseq is %d, but the account is at %d", st.HighestModSeq, acct.record.modSeq)
	case box.changes != st.changes:
		c.fault(key, "%d change records, but the state says %d", box.changes, st.changes)
	case box.keywords != int(st.keywords):
		c.fault(key, "%d keywords, but the state says %d", box.keywords, st.keywords)
	case box.listed != box.indexed:
		c.fault(key, "%d entries in indexes of individuals, the messages make %d", box.indexed, box.listed)
	case box.ids != st.UniqueIDs || box.holders != st.UniqueIDs:
		c.fault(key, "%d unique-ids and %d in their index, but the state says %d", box.ids, box.holders, st.UniqueIDs)
	case box.flags>>FirstKeyword>>box.keywords != 0:
		c.fault(key, "messages have keywords that the mailbox has no names for")
	}
}
