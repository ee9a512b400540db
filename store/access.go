package store

import "tripost/store/engine"

// How records are read and written: one function for each kind.

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

// putAccount writes an account, and brings its pool along.
func (tx *Tx) putAccount(a AccountID, acct *account) {
	tx.countChange(acct)
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

// readEntry returns a message's record, with the flags that it has now.
func readEntry(r engine.Reader, k boxKey, u UID) (e entry, found bool, err error) {
	value, err := r.Get(messageKey(k.account, k.mailbox, u))
	if err != nil || value == nil {
		return e, false, err
	}
	f := flagReader{r: r, k: k}
	return e, true, f.decode(&e, u, value)
}

func (tx *Tx) putEntry(k boxKey, e *entry) {
	key := tx.slab.keep(appendMessageKey(tx.slab.room(maxFixedKey), k.account, k.mailbox, e.UID))
	record := tx.slab.keep(e.append(tx.slab.room(maxMessageRecord)))
	tx.tx.Put(key, record)
	tx.putIndividuals(k, e, record)
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
	flags := flagReader{r: r, k: k}
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
		if err := flags.decode(&e, u, item.Value); err != nil {
			return err
		}
		if err := fn(&e); err != nil {
			return err
		}
	}
	return nil
}
