package queue

import (
	"context"
	"encoding/binary"
	"fmt"

	"tripost/store"
)

// What follows changes the queue's records, always within one transaction.

// enqueue records a new message for its destinations. The caller's reference to
// the body becomes the queue's.
func (q *Queue) enqueue(tx *store.Tx, m message, dests []*destination, body store.Body) error {
	n, err := count(&tx.Snapshot)
	if err != nil {
		return err
	}
	if n >= uint64(q.o.MaxItems) {
		return ErrQueueFull
	}
	m.body = body
	tx.Put(store.SpaceQueue, messageKey(m.id), m.encode())
	for _, d := range dests {
		d := *d
		d.id, d.next = m.id, m.created
		putDestination(tx, &d)
	}
	putCount(tx, n+1)
	return nil
}

// putDestination records a destination with its place among what is due.
func putDestination(tx *store.Tx, d *destination) {
	tx.Put(store.SpaceQueue, destinationKey(d.id, d.name()), d.encode())
	tx.Put(store.SpaceQueue, laneKey(d.name(), d.id), laneValue(d))
	if !d.held {
		tx.Put(store.SpaceQueue, dueKey(d.next, d.id, d.name()), []byte{})
	}
}

// takeDestination reads a destination and takes it off what is due. ErrNoItem:
// it was removed meanwhile.
func takeDestination(tx *store.Tx, id uint64, name string) (*destination, error) {
	d, err := getDestination(&tx.Snapshot, id, name)
	if err != nil {
		return nil, err
	}
	tx.Delete(store.SpaceQueue, dueKey(d.next, id, name))
	return d, nil
}

func getDestination(r *store.Snapshot, id uint64, name string) (*destination, error) {
	v, err := r.Get(store.SpaceQueue, destinationKey(id, name))
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fmt.Errorf("%d to %q: %w", id, name, ErrNoItem)
	}
	return decodeDestination(id, v)
}

func getMessage(r *store.Snapshot, id uint64) (*message, error) {
	v, err := r.Get(store.SpaceQueue, messageKey(id))
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fmt.Errorf("queue id %d: %w", id, ErrNoItem)
	}
	return decodeMessage(id, v)
}

// destinations reads all of one message, in the order of their names.
func destinations(r *store.Snapshot, id uint64) ([]*destination, error) {
	var all []*destination
	prefix := destinationKey(id, "")
	for it, err := range r.Range(store.SpaceQueue, prefix, after(prefix)) {
		if err != nil {
			return nil, err
		}
		d, err := decodeDestination(id, it.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// removeDestination forgets one destination of a message, and the message with
// its last one.
func removeDestination(tx *store.Tx, d *destination) error {
	m, err := getMessage(&tx.Snapshot, d.id)
	if err != nil {
		return err
	}
	tx.Delete(store.SpaceQueue, destinationKey(d.id, d.name()))
	tx.Delete(store.SpaceQueue, dueKey(d.next, d.id, d.name()))
	tx.Delete(store.SpaceQueue, laneKey(d.name(), d.id))
	if m.pending > 1 {
		m.pending--
		tx.Put(store.SpaceQueue, messageKey(m.id), m.encode())
		return nil
	}
	return removeMessage(tx, m)
}

func removeMessage(tx *store.Tx, m *message) error {
	tx.Delete(store.SpaceQueue, messageKey(m.id))
	n, err := count(&tx.Snapshot)
	if err != nil {
		return err
	}
	putCount(tx, max(n, 1)-1)
	return tx.Drop(m.body)
}

// count returns how many messages wait.
func count(r *store.Snapshot) (uint64, error) {
	v, err := r.Get(store.SpaceQueue, keyCount)
	if err != nil || v == nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, fmt.Errorf("count of the queue: %w", errRecord)
	}
	return binary.BigEndian.Uint64(v), nil
}

// putCount writes the count. The sender watches its key.
func putCount(tx *store.Tx, n uint64) {
	tx.Put(store.SpaceQueue, keyCount, binary.BigEndian.AppendUint64(nil, n))
}

// wakeSender makes the sender look at what is due.
func wakeSender(tx *store.Tx) error {
	n, err := count(&tx.Snapshot)
	if err == nil {
		putCount(tx, n)
	}
	return err
}

// full tells early, before the body is read, that there is no room.
func (q *Queue) full(ctx context.Context) error {
	return q.store.View(ctx, func(r *store.Snapshot) error {
		n, err := count(r)
		if err == nil && n >= uint64(q.o.MaxItems) {
			err = ErrQueueFull
		}
		return err
	})
}
