package history

import (
	"tripost/store"
)

// Record enters an action, in its transaction. It is for [store.Options].
func Record(tx *store.Tx, a *store.Action) error {
	if a.Op == store.OpAppend {
		return appended(tx, a)
	}
	return put(tx, a)
}

// put enters an action under a key of its own: two of one moment differ by a
// microsecond.
func put(tx *store.Tx, a *store.Action) error {
	for at := micros(a.At); ; at++ {
		key := actionKey(a, at)
		if v, err := tx.Get(store.SpaceHistory, key); err != nil {
			return err
		} else if v == nil {
			tx.Put(store.SpaceHistory, key, encodeAction(a))
			return nil
		}
	}
}

// appended enters a message that a client has put into a mailbox.
func appended(tx *store.Tx, a *store.Action) error {
	r, err := tx.Record(a.Body)
	if err != nil {
		return err
	}
	o := &Origin{
		MessageID: string(r.MessageID()), At: a.At, Who: whoOf(&a.By), Size: r.Size(), Bodies: []store.Body{a.Body},
		Places: []Place{{Account: a.Account, Mailbox: a.Mailbox, Name: a.Name, UID: a.UIDs[0].Lo}},
	}
	return o.put(tx)
}

func whoOf(id *store.Identity) Who {
	w := Who{Account: id.Name, Protocol: id.Actor.Protocol, Session: id.Actor.Session, Client: id.Actor.Client}
	if id.Actor.Remote.IsValid() {
		w.Remote = id.Actor.Remote.Unmap().String()
	}
	return w
}

// Submitted enters a message that was submitted, in the transaction that keeps
// it. The origin has at least one body.
func (h *History) Submitted(tx *store.Tx, o *Origin) error {
	o.At = tx.Now()
	return o.put(tx)
}

func (o *Origin) put(tx *store.Tx) error {
	tx.Put(store.SpaceHistory, bodyKey(o.Bodies[0]), o.encode())
	return indexLate(tx, entry{o.Bodies[0], o.QueueID, o.MessageID})
}

// Attempted enters an attempt to send a queued message, in the transaction that
// records its outcome.
func (h *History) Attempted(tx *store.Tx, id uint64, a *Attempt) error {
	for at := micros(a.At); ; at++ {
		key := attemptKey(id, at)
		if v, err := tx.Get(store.SpaceHistory, key); err != nil {
			return err
		} else if v == nil {
			tx.Put(store.SpaceHistory, key, a.encode())
			return nil
		}
	}
}
