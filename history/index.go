package history

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"tripost/store"
)

// entry is what the indexes need of an origin.
type entry struct {
	body      store.Body
	queueID   uint64
	messageID string
}

// index brings the indexes up to date, in at most so many transactions; 0: as many
// as it takes. A body that is recorded when the indexes have passed its number
// has its entries from the beginning: see [indexLate].
func (h *History) index(ctx context.Context, most int) error {
	for n := 0; most == 0 || n < most; n++ {
		behind, err := h.behind(ctx)
		if err != nil || !behind {
			return err
		}
		more := false
		err = h.store.Update(ctx, func(tx *store.Tx) (err error) {
			more, err = indexSome(tx)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// behind tells whether there is something to index.
func (h *History) behind(ctx context.Context) (behind bool, err error) {
	err = h.store.View(ctx, func(r *store.Snapshot) error {
		from, err := readCursor(r)
		if err != nil {
			return err
		}
		for _, err := range r.Range(store.SpaceHistory, bodyKey(from+1), []byte{keyBody + 1}) {
			behind = err == nil
			return err
		}
		return nil
	})
	return behind, err
}

// indexSome enters the next bodies. It reads them in the transaction that moves
// the mark, so that none can come in behind it unseen.
func indexSome(tx *store.Tx) (more bool, err error) {
	from, err := readCursor(&tx.Snapshot)
	if err != nil {
		return false, err
	}
	var found []entry
	for it, err := range tx.Range(store.SpaceHistory, bodyKey(from+1), []byte{keyBody + 1}) {
		if err != nil {
			return false, err
		}
		found = append(found, entryOf(it.Key, it.Value))
		if len(found) == writeChunk {
			break
		}
	}
	if len(found) == 0 {
		return false, nil
	}
	for _, e := range found {
		e.put(tx)
	}
	last := found[len(found)-1].body
	tx.Put(store.SpaceHistory, keyCursor, binary.BigEndian.AppendUint64(nil, uint64(last)))
	return len(found) == writeChunk, nil
}

// entryOf reads what begins an origin's record. What cannot be read is found by
// nothing.
func entryOf(key, value []byte) entry {
	d := newDecoder(value)
	e := entry{body: bodyOf(key), queueID: d.Uint(), messageID: d.Text()}
	if d.Failed() {
		return entry{body: e.body}
	}
	return e
}

// indexLate enters a body that the indexes have passed: the number of a large one
// is taken while it is still being written.
func indexLate(tx *store.Tx, e entry) error {
	from, err := readCursor(&tx.Snapshot)
	if err == nil && e.body <= from {
		e.put(tx)
	}
	return err
}

func (e *entry) put(tx *store.Tx) {
	if e.messageID != "" {
		tx.Put(store.SpaceHistory, e.digestKey(), []byte{})
	}
	if e.queueID != 0 {
		tx.Put(store.SpaceHistory, numberKey(keyQueue, e.queueID), binary.BigEndian.AppendUint64(nil, uint64(e.body)))
	}
}

func bodyOf(key []byte) store.Body {
	if len(key) < 8 {
		return 0
	}
	return store.Body(binary.BigEndian.Uint64(key[len(key)-8:]))
}

func readCursor(r *store.Snapshot) (store.Body, error) {
	v, err := r.Get(store.SpaceHistory, keyCursor)
	if err != nil || v == nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, fmt.Errorf("mark of the index: %w", errRecord)
	}
	return bodyOf(v), nil
}

func (e *entry) digestKey() []byte {
	return binary.BigEndian.AppendUint64(digestKey(e.messageID), uint64(e.body))
}

// maxFound bounds the messages that one Message-ID may stand for in an answer.
const maxFound = 20

// bodiesOf returns the bodies of messages with a Message-ID or a queue id.
func bodiesOf(r *store.Snapshot, id string) (found []store.Body, err error) {
	if n, ok := queueID(id); ok {
		v, err := r.Get(store.SpaceHistory, numberKey(keyQueue, n))
		if err != nil {
			return nil, err
		}
		if len(v) == 8 {
			return []store.Body{bodyOf(v)}, nil
		}
	}
	prefix := digestKey(id)
	for it, err := range r.Range(store.SpaceHistory, prefix, after(prefix)) {
		if err != nil {
			return nil, err
		}
		if found = append(found, bodyOf(it.Key)); len(found) == maxFound {
			break
		}
	}
	return found, nil
}

// after returns the first key that does not begin with prefix.
func after(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
