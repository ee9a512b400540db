package queue

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"

	"tripost/store"
)

// idBlock is how many queue ids are reserved at once. What is left of a block
// when the process ends is never used.
const idBlock = 1000

// counter gives out queue ids. The id stands in the Received field, so it is
// needed before the body is written; reserving blocks keeps that from costing a
// commit per message.
type counter struct {
	mu   sync.Mutex // held over the reservation too: others need the same block
	next uint64
	end  uint64 // first id that is not reserved
}

// take returns an id that has never been returned before, by this process or
// another one on the same store.
func (c *counter) take(ctx context.Context, st *store.Store) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == c.end {
		end, err := reserve(ctx, st, idBlock)
		if err != nil {
			return 0, fmt.Errorf("reserve queue ids: %w", err)
		}
		c.next, c.end = end-idBlock, end
	}
	id := c.next
	c.next++
	return id, nil
}

// skippedIDs is how many queue ids are left out when a store goes on from an
// older copy of itself.
const skippedIDs = 1 << 32

// SkipAhead makes the queue of a store that was restored from an older copy give
// out no queue id that may have been given out since.
func SkipAhead(ctx context.Context, st *store.Store) error {
	if _, err := reserve(ctx, st, skippedIDs); err != nil {
		return fmt.Errorf("skip queue ids: %w", err)
	}
	return nil
}

// reserve moves the durable high-water mark up and returns it. Ids begin at 1.
func reserve(ctx context.Context, st *store.Store, count uint64) (end uint64, err error) {
	err = st.Update(ctx, func(tx *store.Tx) error {
		v, err := tx.Get(store.SpaceQueue, keyID)
		if err != nil {
			return err
		}
		mark := uint64(1)
		if v != nil {
			if len(v) != 8 {
				return fmt.Errorf("mark of queue ids: %w", errRecord)
			}
			mark = binary.BigEndian.Uint64(v)
		}
		end = mark + count
		tx.Put(store.SpaceQueue, keyID, binary.BigEndian.AppendUint64(nil, end))
		return nil
	})
	return end, err
}

// formatID writes an id as replies, logs and commands show it.
func formatID(id uint64) string { return strconv.FormatUint(id, 10) }

// parseID reads what formatID writes.
func parseID(s string) (uint64, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || id == 0 {
		return 0, fmt.Errorf("queue id %q: %w", clean(s, 32), ErrNoItem)
	}
	return id, nil
}
