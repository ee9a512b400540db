package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"tripost/store/engine"
)

// CheckResult is what Check counted.
type CheckResult struct {
	engine.CheckResult
	Accounts, Mailboxes, Messages, Expunged, Metadata int64
}

// Check verifies the engine, and then on one state of the store that all
// records are readable and agree: names with mailboxes, counters with messages,
// the references to each body with what holds them. references yields the
// bodies that the rooms above hold, one for each reference; it may be nil. Each
// fault is reported; an error means that the check itself could not be done.
// Nothing is changed.
func (s *Store) Check(ctx context.Context, references func(*Snapshot) iter.Seq2[Body, error], report func(engine.Fault)) (CheckResult, error) {
	var res CheckResult
	var err error
	if res.CheckResult, err = s.engine.Check(ctx, report); err != nil {
		return res, fmt.Errorf("checking the engine: %w", err)
	}
	err = s.engine.View(ctx, func(r engine.Reader) error {
		c := checker{ctx: ctx, r: r, report: report, res: &res, held: map[Body]int64{}}
		if references != nil {
			for b, err := range references(&Snapshot{r: r}) {
				if err != nil {
					return err
				}
				c.held[b]++
			}
		}
		return c.run()
	})
	if err != nil {
		return res, fmt.Errorf("checking the mail store: %w", err)
	}
	return res, nil
}

// checker goes through the store's records once, in the order of their keys.
type checker struct {
	ctx    context.Context
	r      engine.Reader
	report func(engine.Fault)
	res    *CheckResult
	held   map[Body]int64 // references to each body
	note   map[boxKey]bool
	pools  map[PoolID]pool // what their accounts say that they hold
}

func (c *checker) fault(place []byte, format string, args ...any) {
	c.report(engine.Fault{Place: fmt.Sprintf("key %x", place), Text: fmt.Sprintf(format, args...)})
}

// each calls fn with every item that begins with prefix.
func (c *checker) each(prefix []byte, fn func(key, value []byte)) error {
	n := 0
	for item, err := range c.r.Range(prefix, prefixEnd(prefix)) {
		if err != nil {
			return err
		}
		if n++; n%askEvery == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		fn(item.Key, item.Value)
	}
	return nil
}

func (c *checker) run() error {
	c.note, c.pools = map[boxKey]bool{}, map[PoolID]pool{}
	err := c.each([]byte{spaceStore, partRemoved}, func(key, value []byte) {
		var gone removed
		if err := gone.decode(value); err != nil {
			c.fault(key, "%v", err)
		}
		c.note[removedOf(key)] = true
	})
	if err != nil {
		return err
	}
	next := uint64(1)
	if value, err := c.r.Get(nextAccountKey()); err != nil {
		return err
	} else if value != nil {
		if next, err = decodeID(value); err != nil {
			c.fault(nextAccountKey(), "%v", err)
		}
	}
	for a, more := AccountID(0), true; more; a++ {
		if a, more, err = accountFrom(c.r, a); err != nil {
			return err
		}
		if !more {
			break
		}
		if uint64(a) >= next {
			c.fault(accountKey(a), "account %d is above the last one given out", a)
		}
		if err := c.account(a); err != nil {
			return err
		}
	}
	return errors.Join(c.checkPools(), c.bodies())
}

// checkedAccount is what the parts of one account are compared by.
type checkedAccount struct {
	id       AccountID
	exists   bool
	record   account
	names    map[string]MailboxID
	boxes    map[MailboxID]mailbox
	octets   int64
	messages int64
}

func (c *checker) account(a AccountID) error {
	acct := checkedAccount{id: a, names: map[string]MailboxID{}, boxes: map[MailboxID]mailbox{}}
	value, err := c.r.Get(accountKey(a))
	if err != nil {
		return err
	}
	if acct.exists = value != nil; acct.exists {
		c.res.Accounts++
		if err := acct.record.decode(value); err != nil {
			c.fault(accountKey(a), "%v", err)
		}
		c.pool(&acct.record)
	}
	for _, part := range []func(*checkedAccount) error{c.names, c.mailboxes, c.metadata, c.trash, c.contents} {
		if err := part(&acct); err != nil {
			return err
		}
	}
	if !acct.exists {
		return nil
	}
	if acct.octets != acct.record.octets || acct.messages != acct.record.messages {
		c.fault(accountKey(a), "account says %d messages of %d octets, its mailboxes hold %d of %d",
			acct.record.messages, acct.record.octets, acct.messages, acct.octets)
	}
	if len(acct.boxes) != int(acct.record.names) {
		c.fault(accountKey(a), "account says %d mailboxes, there are %d", acct.record.names, len(acct.boxes))
	}
	if _, ok := acct.names[Inbox]; !ok {
		c.fault(accountKey(a), "account has no INBOX")
	}
	return nil
}

func (c *checker) names(acct *checkedAccount) error {
	prefix := appendAccountPart(nil, acct.id, partName)
	err := c.each(prefix, func(key, value []byte) {
		name := nameOf(key[len(prefix):])
		id, err := decodeID(value)
		if err != nil {
			c.fault(key, "%v", err)
		}
		acct.names[name] = MailboxID(id)
		if p := parentName(name); p != "" && acct.names[p] == 0 {
			c.fault(key, "the level above %q is missing", name)
		}
		if canonical, _, err := canonicalName(name); err != nil || canonical != name {
			c.fault(key, "%q is not a canonical name", name)
		}
	})
	if err == nil && !acct.exists && len(acct.names) > 0 {
		c.fault(prefix, "names of an account that does not exist")
	}
	return err
}

func (c *checker) mailboxes(acct *checkedAccount) error {
	prefix := appendAccountPart(nil, acct.id, partMailbox)
	err := c.each(prefix, func(key, value []byte) {
		c.res.Mailboxes++
		id := MailboxID(binary.BigEndian.Uint32(key[len(prefix):]))
		var m mailbox
		if err := m.decode(value); err != nil {
			c.fault(key, "%v", err)
			return
		}
		acct.boxes[id] = m
		if acct.names[m.name] != id {
			c.fault(key, "mailbox %d is called %q, but that name leads to mailbox %d", id, m.name, acct.names[m.name])
		}
		if id >= acct.record.nextMailbox {
			c.fault(key, "mailbox %d is above the last one given out", id)
		}
		if m.validity > acct.record.lastValidity {
			c.fault(key, "UIDVALIDITY %d is above the last one given out", m.validity)
		}
		_, found, err := readState(c.r, boxKey{acct.id, id})
		if err == nil && found != (m.kind == kindSelectable) {
			c.fault(key, "mailbox %d: has a state: %t, holds messages: %t", id, found, m.kind == kindSelectable)
		}
	})
	for name, id := range acct.names {
		if m, ok := acct.boxes[id]; !ok {
			c.fault(nameKey(acct.id, name), "%q leads to mailbox %d, which does not exist", name, id)
		} else if m.name != name {
			c.fault(nameKey(acct.id, name), "%q leads to mailbox %d, but that mailbox is called %q", name, id, m.name)
		}
	}
	return err
}

func (c *checker) trash(acct *checkedAccount) error {
	prefix := appendAccountPart(nil, acct.id, partTrash)
	return c.each(prefix, func(key, value []byte) {
		c.res.Expunged++
		var t trashed
		if err := t.decode(uidOf(key), value); err != nil {
			c.fault(key, "%v", err)
			return
		}
		c.hold(key, &t.entry)
		if x := t.expunged(key); acct.exists && x.ModSeq > acct.record.modSeq {
			c.fault(key, "expunged at modseq %d, the account is at %d", x.ModSeq, acct.record.modSeq)
		}
	})
}

// hold counts a message's reference to its body.
func (c *checker) hold(key []byte, e *entry) {
	c.held[e.Body]++
	if rec, err := readSummary(c.r, e.Body); err != nil {
		c.fault(key, "%v", err)
	} else if rec.Size() != e.Size {
		c.fault(key, "message says %d octets, its body's summary %d", e.Size, rec.Size())
	}
}

// bodies compares the references with what holds them, and summaries with
// bodies.
func (c *checker) bodies() error {
	for b, n := range c.held {
		have, err := c.r.References(b)
		if err != nil {
			return err
		}
		if have != n {
			c.fault(summaryKey(b), "body %d has %d references, %d are held", b, have, n)
		}
	}
	for space, what := range map[byte]string{spaceSummaries: "summary", spaceNames: "individuals"} {
		err := c.each([]byte{space}, func(key, _ []byte) {
			if b := Body(binary.BigEndian.Uint64(key[1:])); c.held[b] == 0 {
				c.fault(key, "%s of body %d, which nothing holds", what, b)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
