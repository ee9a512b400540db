package history

import (
	"context"
	"encoding/binary"
	"slices"

	"tripost/store"
)

// purgeChunk is how many records one transaction looks at.
const purgeChunk = 500

// Purge forgets what has been kept long enough after its message was gone, and
// what is over the limit of a mailbox. It reads over the whole history in pages.
func (h *History) Purge(ctx context.Context) error {
	if err := h.index(ctx, 0); err != nil { // or entries would be made for what is gone
		return err
	}
	if err := h.purgeOrigins(ctx); err != nil {
		return err
	}
	return h.purgeActions(ctx)
}

// purgeOrigins forgets messages that are gone. When a message went is not on
// record: it is noted when it is first found gone.
func (h *History) purgeOrigins(ctx context.Context) error {
	oldest := h.o.Now().Add(-h.o.Keep)
	from := []byte{keyBody}
	for from != nil {
		var due []*Origin
		var fresh []store.Body
		err := h.store.View(ctx, func(r *store.Snapshot) error {
			due, fresh = nil, nil
			n, lo := 0, from
			from = nil
			for it, err := range r.Range(store.SpaceHistory, lo, []byte{keyBody + 1}) {
				if err != nil {
					return err
				}
				if n++; n > purgeChunk {
					from = slices.Clone(it.Key)
					return nil
				}
				o, err := decodeOrigin(it.Value)
				if err != nil {
					continue
				}
				if o.At.After(oldest) {
					continue
				}
				held, err := anyHeld(r, o.Bodies)
				if err != nil {
					return err
				}
				if held {
					continue
				}
				gone, err := r.Get(store.SpaceHistory, goneKey(bodyOf(it.Key)))
				switch {
				case err != nil:
					return err
				case len(gone) != 8:
					fresh = append(fresh, bodyOf(it.Key))
				case binary.BigEndian.Uint64(gone) <= micros(oldest):
					o.Bodies = append([]store.Body{bodyOf(it.Key)}, o.Bodies...)
					due = append(due, o)
				}
			}
			return nil
		})
		if err == nil && len(due)+len(fresh) > 0 {
			err = h.store.Update(ctx, func(tx *store.Tx) error {
				now := binary.BigEndian.AppendUint64(nil, micros(h.o.Now()))
				for _, b := range fresh {
					tx.Put(store.SpaceHistory, goneKey(b), now)
				}
				return forget(tx, due)
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keyGone is the mark of a message that was found gone.
const keyGone = 'G'

func goneKey(b store.Body) []byte { return numberKey(keyGone, uint64(b)) }

func anyHeld(r *store.Snapshot, bodies []store.Body) (bool, error) {
	for _, b := range bodies {
		if held, err := r.Held(b); err != nil || held {
			return held, err
		}
	}
	return false, nil
}

// forget removes origins with all that leads to them.
func forget(tx *store.Tx, due []*Origin) error {
	for _, o := range due {
		b := o.Bodies[0]
		e := entry{b, o.QueueID, o.MessageID}
		tx.Delete(store.SpaceHistory, bodyKey(b))
		tx.Delete(store.SpaceHistory, goneKey(b))
		tx.Delete(store.SpaceHistory, e.digestKey())
		if o.QueueID == 0 {
			continue
		}
		tx.Delete(store.SpaceHistory, numberKey(keyQueue, o.QueueID))
		var attempts [][]byte
		prefix := numberKey(keyAttempt, o.QueueID)
		for it, err := range tx.Range(store.SpaceHistory, prefix, after(prefix)) {
			if err != nil {
				return err
			}
			attempts = append(attempts, slices.Clone(it.Key))
		}
		for _, key := range attempts {
			tx.Delete(store.SpaceHistory, key)
		}
	}
	return nil
}

// purgeActions forgets actions on messages that are gone, and those over the
// limit.
func (h *History) purgeActions(ctx context.Context) error {
	lo := []byte{keyAction}
	for {
		var box []byte
		var due [][]byte
		err := h.store.View(ctx, func(r *store.Snapshot) (err error) {
			box, due, err = h.outdated(r, lo)
			return err
		})
		if err != nil || box == nil {
			return err
		}
		for some := range slices.Chunk(due, purgeChunk) {
			err := h.store.Update(ctx, func(tx *store.Tx) error {
				for _, key := range some {
					tx.Delete(store.SpaceHistory, key)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		lo = after(box)
	}
}

// outdated reads the actions of the first mailbox from a key on: its prefix, and
// the keys of what need not be kept.
func (h *History) outdated(r *store.Snapshot, lo []byte) (box []byte, due [][]byte, err error) {
	var keep [][]byte
	oldest := micros(h.o.Now().Add(-h.o.Keep))
	end := []byte{keyAction + 1}
	for it, err := range r.Range(store.SpaceHistory, lo, end) {
		if err != nil {
			return nil, nil, err
		}
		if len(it.Key) != actionKeySize {
			continue
		}
		if box == nil {
			box = slices.Clone(it.Key[:prefixSize])
		}
		if !slices.Equal(box, it.Key[:prefixSize]) {
			break
		}
		key := slices.Clone(it.Key)
		lives := true
		if binary.BigEndian.Uint64(key[prefixSize:]) <= oldest {
			if lives, err = h.concernsLiving(r, key, it.Value); err != nil {
				return nil, nil, err
			}
		}
		if lives {
			keep = append(keep, key)
		} else {
			due = append(due, key)
		}
	}
	if over := len(keep) - h.o.Limit; over > 0 {
		due = append(due, keep[:over]...)
	}
	return box, due, nil
}

// concernsLiving tells whether an action is about a message that is still there,
// where it was or where it came to lie.
func (h *History) concernsLiving(r *store.Snapshot, key, value []byte) (bool, error) {
	a, err := decodeAction(key, value)
	if err != nil {
		return false, nil
	}
	account := store.AccountID(binary.BigEndian.Uint64(key[1:]))
	mailbox := store.MailboxID(binary.BigEndian.Uint32(key[9:]))
	lives, err := r.Lives(account, mailbox, a.uids)
	if err == nil && !lives && len(a.targets) > 0 {
		lives, err = r.Lives(a.to.Account, a.to.Mailbox, a.targets)
	}
	return lives, err
}
