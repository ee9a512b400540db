package history

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"tripost/store"
)

// Reads collects in memory which messages' texts were given out, until
// [History.Write] records them. It is safe for concurrent use.
type Reads struct {
	now     func() time.Time
	mu      sync.Mutex
	pending map[reading]*store.Action
	lost    int // that were too many
}

// reading is what one session reads of one mailbox.
type reading struct {
	session string
	account store.AccountID
	mailbox store.MailboxID
}

const (
	// maxPending bounds what is collected, in mailboxes that sessions read.
	maxPending = 10_000
	// maxPendingRanges bounds the ranges of UIDs of each.
	maxPendingRanges = 1000
)

// NewReads returns an empty collection. now tells the time; nil: time.Now.
func NewReads(now func() time.Time) *Reads {
	if now == nil {
		now = time.Now
	}
	return &Reads{now: now, pending: make(map[reading]*store.Action)}
}

// Note notes that a text was given out. It is for [store.Options].
func (r *Reads) Note(by *store.Identity, a store.AccountID, m store.MailboxID, name string, u store.UID) {
	key := reading{by.Actor.Session, a, m}
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.pending[key]
	if one == nil {
		if len(r.pending) >= maxPending {
			r.lost++
			return
		}
		one = &store.Action{Op: store.OpRead, By: *by, At: r.now(), Account: a, Mailbox: m, Name: name}
		r.pending[key] = one
	}
	if len(one.UIDs) >= maxPendingRanges && !one.UIDs.Contains(u) {
		r.lost++
		return
	}
	one.UIDs.Add(u, u)
}

// take empties the collection.
func (r *Reads) take() (all []*store.Action, lost int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending) == 0 {
		return nil, 0
	}
	all = slices.SortedFunc(maps.Values(r.pending), func(x, y *store.Action) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Mailbox, y.Mailbox), x.At.Compare(y.At))
	})
	lost, r.lost = r.lost, 0
	r.pending = make(map[reading]*store.Action)
	return all, lost
}

// Write records which texts were given out up to now.
func (h *History) Write(ctx context.Context) error {
	if h.reads == nil {
		return nil
	}
	all, lost := h.reads.take()
	if lost > 0 {
		h.o.Logf("history: %d readings are not recorded, they were too many", lost)
	}
	for some := range slices.Chunk(all, writeChunk) {
		err := h.store.Update(ctx, func(tx *store.Tx) error {
			for _, a := range some {
				if err := put(tx, a); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// writeChunk is how many records one transaction of the background writes.
const writeChunk = 1000
