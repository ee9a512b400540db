package wire

import (
	"context"
	"time"
)

// soonWait is how long a session that has answered waits for the next command
// where it is; programs send theirs in much less. mostSoon is how many sessions
// of a server do so at once: the runtime keeps some of the memory of every
// goroutine that there has been at the same time.
const (
	soonWait = 10 * time.Second
	mostSoon = 256
)

// Converse runs fn, which answers what has arrived, apart (see [Apart]), and
// again as long as more arrives soon. To hand each command of a busy client to
// a goroutine of its own would cost more than answering it does.
//
// It returns the error of fn, or nil when the client is silent, or has sent no
// more than the beginning of what fn waits for, or there is another reason to
// call WaitInput, which then counts the client's silence from its beginning.
func (c *Conn) Converse(ctx context.Context, fn func() error) error {
	return Apart(func() error {
		for {
			if err := fn(); err != nil || !c.soon(ctx) {
				return err
			}
		}
	})
}

// soon sends what has been written and reports whether new input arrived within
// a moment. Whatever else there is to be found out is left to WaitInput.
func (c *Conn) soon(ctx context.Context) bool {
	patience := c.config.Read
	switch {
	case c.body != nil, c.Buffered() > 0, c.mustWatch(ctx), ctx.Err() != nil:
		return false
	case patience > 0 && patience <= soonWait:
		return false
	case c.Flush() != nil:
		return false
	}
	if c.soonWaiting != nil {
		defer c.soonWaiting.Add(-1)
		if c.soonWaiting.Add(1) > mostSoon {
			return false
		}
	}
	since := time.Now()
	c.config.Read = soonWait
	err := c.fill(c.called)
	c.config.Read = patience
	if err != nil {
		c.silentSince = since
	}
	return err == nil
}

// called returns why the session is wanted elsewhere: Interrupt or Wake.
func (c *Conn) called() error {
	if c.woken.Load() {
		return ErrWoken
	}
	return c.stopped()
}
