package queue

import (
	"sync"
	"time"

	"tripost/store"
)

// crowded remembers since when accounts have had no room for mail: they are
// refused for a time as what may pass, and then for good, so that a sender learns
// of it before his own server gives up. What a new process knows begins anew.
type crowded struct {
	after time.Duration // 0: never for good
	now   func() time.Time

	mu    sync.Mutex // guards since
	since map[store.AccountID]time.Time
}

// maxCrowded bounds the accounts that are remembered. Those beyond are refused
// as what may pass.
const maxCrowded = 100_000

// refusal is what a sender is told when an account has no room for a message.
func (c *crowded) refusal(a store.AccountID, addr string) *RecipientError {
	e := overQuota(addr)
	if c.after <= 0 {
		return e
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	since, known := c.since[a]
	if !known && len(c.since) < maxCrowded {
		if c.since == nil {
			c.since = make(map[store.AccountID]time.Time)
		}
		c.since[a] = now
	}
	if known && now.Sub(since) >= c.after {
		e.Code, e.Enhanced = 552, "5.2.2"
	}
	return e
}

// hasRoom is told of an account that has room for a message.
func (c *crowded) hasRoom(a store.AccountID) {
	if c.after <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.since, a)
}
