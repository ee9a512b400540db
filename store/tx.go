package store

import (
	"context"
	"fmt"
	"iter"
	"time"

	"tripost/message"
	"tripost/store/engine"
)

// Space is a part of the key space that one room above the store has to itself.
type Space byte

// The spaces. Other values are refused.
const (
	SpaceDirectory Space = 'D' // accounts
	SpaceQueue     Space = 'Q' // smtp/queue
	SpaceRouter    Space = 'R' // router
	SpaceAlerts    Space = 'L' // alerts
	SpaceHistory   Space = 'H' // what became of messages
)

func (sp Space) check() error {
	switch sp {
	case SpaceDirectory, SpaceQueue, SpaceRouter, SpaceAlerts, SpaceHistory:
		return nil
	}
	return fmt.Errorf("%q is not a space of the key space", rune(sp))
}

// key puts the space in front of a key.
func (sp Space) key(key []byte) []byte {
	return append(append(make([]byte, 0, 1+len(key)), byte(sp)), key...)
}

// bounds puts the space in front of a range's bounds.
func (sp Space) bounds(lo, hi []byte) (from, to []byte) {
	if hi == nil {
		return sp.key(lo), []byte{byte(sp) + 1}
	}
	return sp.key(lo), sp.key(hi)
}

// Snapshot reads one state of the store. It is not for concurrent use, and
// valid only inside the function that it was passed to, as is every slice that
// it returns.
type Snapshot struct{ r engine.Reader }

// Get returns the value of key in a space, nil when there is none.
func (r *Snapshot) Get(sp Space, key []byte) ([]byte, error) {
	if err := sp.check(); err != nil {
		return nil, err
	}
	return r.r.Get(sp.key(key))
}

// Range yields the items of a space with lo <= key < hi in ascending order, the
// keys as they were given to Put; hi nil means to the end of the space.
func (r *Snapshot) Range(sp Space, lo, hi []byte) iter.Seq2[engine.Item, error] {
	from, to := sp.bounds(lo, hi)
	return sp.strip(r.r.Range(from, to))
}

// Reverse yields what Range yields in descending order.
func (r *Snapshot) Reverse(sp Space, lo, hi []byte) iter.Seq2[engine.Item, error] {
	from, to := sp.bounds(lo, hi)
	return sp.strip(r.r.Reverse(from, to))
}

// strip takes the space off the keys of a sequence.
func (sp Space) strip(items iter.Seq2[engine.Item, error]) iter.Seq2[engine.Item, error] {
	return func(yield func(engine.Item, error) bool) {
		if err := sp.check(); err != nil {
			yield(engine.Item{}, err)
			return
		}
		for item, err := range items {
			if err == nil {
				item.Key = item.Key[1:]
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// Usage returns what an account holds and may hold.
func (r *Snapshot) Usage(a AccountID) (Usage, error) {
	acct, err := readAccount(r.r, a)
	if err != nil {
		return Usage{}, err
	}
	return acct.usage(), nil
}

// Record returns the stored summary of a body.
func (r *Snapshot) Record(b Body) (message.Record, error) { return readSummary(r.r, b) }

// Tx is a Snapshot that sees its own writes, and writes. Keys and values passed
// in are kept until the commit: the caller must not change them afterwards.
// Where a method returns one of this package's errors, it has changed nothing.
type Tx struct {
	Snapshot
	tx      engine.Tx
	s       *Store
	now     time.Time
	slab    slab
	err     error // of a call that returns none
	cleared bool  // a mailbox was removed: there is something to clear away

	kept        Body // the last one
	keptUnended bool // see Message.Unended
}

// Now returns the transaction's time, the same whenever it is asked.
func (tx *Tx) Now() time.Time { return tx.now }

// Put sets the value of key in a space.
func (tx *Tx) Put(sp Space, key, value []byte) {
	if err := sp.check(); err != nil {
		tx.err = err
		return
	}
	tx.tx.Put(sp.key(key), value)
}

// Delete removes key from a space; it need not be there.
func (tx *Tx) Delete(sp Space, key []byte) {
	if err := sp.check(); err != nil {
		tx.err = err
		return
	}
	tx.tx.Delete(sp.key(key))
}

// View runs fn on one durable state. fn must not wait for the network.
func (s *Store) View(ctx context.Context, fn func(*Snapshot) error) error {
	return s.engine.View(ctx, func(r engine.Reader) error { return fn(&Snapshot{r}) })
}

// Update runs fn in a transaction and returns once its changes are durable; an
// error of fn undoes all of it and is returned. fn may run again: it must
// depend on nothing but tx and constants, assign results rather than add them
// up, and not block.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	now := s.o.Now()
	cleared := false
	err := s.engine.Update(ctx, func(etx engine.Tx) error {
		tx := Tx{Snapshot: Snapshot{etx}, tx: etx, s: s, now: now}
		if err := fn(&tx); err != nil {
			return err
		}
		cleared = tx.cleared
		return tx.err
	})
	if err == nil && cleared {
		select {
		case s.clearing <- struct{}{}:
		default: // Run has been told already
		}
	}
	return err
}

// Watch calls wake after durable commits that may have changed key in a space;
// calls may be merged or come without need. wake must not block. After stop has
// returned, wake is not called again.
func (s *Store) Watch(sp Space, key []byte, wake func()) (stop func()) {
	return s.engine.Watch(sp.key(key), wake)
}

func readAccount(r engine.Reader, a AccountID) (account, error) {
	var acct account
	value, err := r.Get(accountKey(a))
	if err != nil {
		return acct, err
	}
	if value == nil {
		return acct, ErrNoAccount
	}
	return acct, acct.decode(value)
}

func (tx *Tx) putAccount(a AccountID, acct *account) {
	key := tx.slab.keep(appendAccountPart(tx.slab.room(maxFixedKey), a, partAccount))
	tx.tx.Put(key, tx.slab.keep(acct.append(tx.slab.room(maxAccountRecord))))
}

// readState returns a mailbox's state; found is false for a mailbox that does
// not exist or holds no messages.
func readState(r engine.Reader, k boxKey) (st state, found bool, err error) {
	value, err := r.Get(stateKey(k.account, k.mailbox))
	if err != nil || value == nil {
		return st, false, err
	}
	return st, true, st.decode(value)
}

func (tx *Tx) putState(k boxKey, st *state) {
	key := tx.slab.keep(appendContents(tx.slab.room(maxFixedKey), k.account, k.mailbox, itemState))
	tx.tx.Put(key, tx.slab.keep(st.append(tx.slab.room(maxStateRecord))))
}

func readMailbox(r engine.Reader, k boxKey) (m mailbox, found bool, err error) {
	value, err := r.Get(mailboxKey(k.account, k.mailbox))
	if err != nil || value == nil {
		return m, false, err
	}
	return m, true, m.decode(value)
}

func (tx *Tx) putMailbox(k boxKey, m *mailbox) {
	tx.tx.Put(mailboxKey(k.account, k.mailbox), m.append(nil))
}

// readName returns the mailbox that a canonical name leads to, 0 for none.
func readName(r engine.Reader, a AccountID, name string) (MailboxID, error) {
	value, err := r.Get(nameKey(a, name))
	if err != nil || value == nil {
		return 0, err
	}
	id, err := decodeID(value)
	return MailboxID(id), err
}

func (tx *Tx) putName(a AccountID, name string, m MailboxID) {
	tx.tx.Put(nameKey(a, name), appendID(nil, uint64(m)))
}

func readKeywords(r engine.Reader, k boxKey) ([]string, error) {
	value, err := r.Get(keywordsKey(k.account, k.mailbox))
	if err != nil || value == nil {
		return nil, err
	}
	return decodeKeywords(value)
}

// readEntry returns a message's record.
func readEntry(r engine.Reader, k boxKey, u UID) (e entry, found bool, err error) {
	value, err := r.Get(messageKey(k.account, k.mailbox, u))
	if err != nil || value == nil {
		return e, false, err
	}
	return e, true, e.decode(u, value)
}

func (tx *Tx) putEntry(k boxKey, e *entry) {
	key := tx.slab.keep(appendMessageKey(tx.slab.room(maxFixedKey), k.account, k.mailbox, e.UID))
	tx.tx.Put(key, tx.slab.keep(e.append(tx.slab.room(maxMessageRecord))))
}

// putChange writes a change record under the modseq, unless it is empty, and
// counts it in the state.
func (tx *Tx) putChange(k boxKey, st *state, q ModSeq, c *change) {
	if c.empty() {
		return
	}
	c.at = tx.now.Unix()
	st.changes++
	tx.tx.Put(changeKey(k.account, k.mailbox, q), c.append(nil))
}

// nearRange is how far apart UIDs of a set may be, on average, for reading them
// as one range to be cheaper than one by one.
const nearRange = 8

// readEntries calls fn with each message of the set that is there, in ascending
// order. The entry is fn's only while it runs.
func readEntries(r engine.Reader, k boxKey, set UIDSet, fn func(*entry) error) error {
	for len(set) > 0 {
		n := denseRanges(set)
		var err error
		if n == 1 && set[0].Lo == set[0].Hi {
			err = readOne(r, k, set[0].Lo, fn)
		} else {
			err = readDense(r, k, set[:n], fn)
		}
		if err != nil {
			return err
		}
		set = set[n:]
	}
	return nil
}

// denseRanges returns how many ranges at the head of the set lie close together.
func denseRanges(set UIDSet) int {
	n := 1
	for n < len(set) && set[n].Lo-set[n-1].Hi <= nearRange {
		n++
	}
	return n
}

func readOne(r engine.Reader, k boxKey, u UID, fn func(*entry) error) error {
	e, found, err := readEntry(r, k, u)
	if err != nil || !found {
		return err
	}
	return fn(&e)
}

func readDense(r engine.Reader, k boxKey, set UIDSet, fn func(*entry) error) error {
	lo, hi := messageRange(k.account, k.mailbox, set[0].Lo, set[len(set)-1].Hi)
	var e entry
	for item, err := range r.Range(lo, hi) {
		if err != nil {
			return err
		}
		u := uidOf(item.Key)
		for len(set) > 0 && set[0].Hi < u {
			set = set[1:]
		}
		if len(set) == 0 {
			return nil
		}
		if u < set[0].Lo {
			continue
		}
		if err := e.decode(u, item.Value); err != nil {
			return err
		}
		if err := fn(&e); err != nil {
			return err
		}
	}
	return nil
}
