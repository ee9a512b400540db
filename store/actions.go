package store

import (
	"net/netip"
	"time"
)

// Actor tells by what a session's work on messages is known. The zero value is
// the server itself, which says nothing.
type Actor struct {
	Protocol string     // "POP", "IMAP", ...; empty: none
	Session  string     // as in the System Log: "POP-000123"
	Remote   netip.Addr // of the client; zero: not known
	Client   string     // as the client's program calls itself; not trusted
}

// Op is what was done with messages. The values are those of the history's
// records.
type Op uint8

// What is done with messages. Deliveries are not among it: whoever delivers knows
// more about them.
const (
	OpAppend  Op = iota + 1 // by a client
	OpFlags                 // other flags
	OpCopy                  // to another mailbox
	OpMove                  // likewise
	OpExpunge               // restorable as long as the trash keeps it
	OpRestore               // put back from the trash
	OpRemove                // with all of its mailbox
	OpRead                  // the client was given the text
)

// Action is one thing that was done with messages of one mailbox in one
// transaction.
type Action struct {
	Op      Op
	By      Identity
	At      time.Time
	Account AccountID
	Mailbox MailboxID
	Name    string // of the mailbox, at the time
	UIDs    UIDSet // of the messages; for OpRemove all that there can be

	Body Body // of the message, for OpAppend

	Flagged FlagOp  // for OpFlags, with what was asked
	Flags   FlagSet // for OpFlags

	// Where the messages came to lie, for OpCopy, OpMove and OpRestore: the
	// targets correspond to UIDs in their order.
	To      MailboxRef
	ToID    MailboxID
	Targets UIDSet
}

// note gives an action to the history.
func (tx *Tx) note(a *Action) error {
	if tx.s.o.History == nil {
		return nil
	}
	a.At = tx.now
	return tx.s.o.History(tx, a)
}

// Read tells the history that the client was given the text of a message of the
// view. It costs no commit.
func (v *View) Read(u UID) {
	if v.s.o.Reads != nil && v.id.Actor.Protocol != "" {
		v.s.o.Reads(&v.id, v.box.Account, v.box.ID, v.box.Name, u)
	}
}

// Lives tells whether a mailbox has a message of the set.
func (r *Snapshot) Lives(a AccountID, m MailboxID, set UIDSet) (bool, error) {
	for _, part := range set {
		lo, hi := messageRange(a, m, part.Lo, part.Hi)
		for _, err := range r.r.Range(lo, hi) {
			return err == nil, err
		}
	}
	return false, nil
}

// Held tells whether anything still holds a body: a message, the trash, or a room
// above.
func (r *Snapshot) Held(b Body) (bool, error) {
	n, err := r.r.References(b)
	return n > 0, err
}

// MailboxName returns the name that a mailbox has now, "" when it is gone.
func (r *Snapshot) MailboxName(a AccountID, m MailboxID) (string, error) {
	box, found, err := readMailbox(r.r, boxKey{a, m})
	if err != nil || !found || box.kind != kindSelectable {
		return "", err
	}
	return box.name, nil
}

// Trashed returns until when a message can be restored that a mailbox had under a
// UID; zero: it cannot. It reads over the account's trash.
func (r *Snapshot) Trashed(a AccountID, m MailboxID, u UID) (until time.Time, err error) {
	_, err = trashPage(r.r, a, nil, -1, func(key []byte, t *trashed) bool {
		x := t.expunged(key)
		if x.MailboxID == m && x.UID == u {
			until = x.Until
			return false
		}
		return true
	})
	return until, err
}
