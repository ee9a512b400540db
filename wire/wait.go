package wire

import (
	"context"
	"errors"
	"os"
	"time"
)

// WaitInput blocks until there is input (nil), ctx ends (its error), wake is
// signalled or Wake called (ErrWoken), Interrupt is called (its error), or the
// read timeout passes (ErrIdle). It holds no buffers meanwhile. wake may be nil;
// if it is not, a goroutine waits on it as long as the call lasts. Input that
// came together with a wake-up stays for the next call.
func (c *Conn) WaitInput(ctx context.Context, wake <-chan struct{}) error {
	if err := c.finishBody(); err != nil {
		return err
	}
	if err := c.reasonToStop(ctx); err != nil {
		return err
	}
	select {
	case <-wake:
		return ErrWoken
	default:
	}
	if c.Buffered() > 0 {
		return nil
	}
	c.rest()
	if err := c.beforeRead(); err != nil {
		return err
	}
	defer func() { c.silentSince = time.Time{} }()
	unwatch := func() {}
	if wake != nil || c.mustWatch(ctx) {
		if done, err := c.inputNow(); done || err != nil {
			return err
		}
		unwatch = c.watch(ctx, wake)
	}
	err := c.fill(func() error { return c.reasonToStop(ctx) })
	unwatch()
	if (err == nil || errors.Is(err, ErrIdle)) && c.woken.CompareAndSwap(true, false) {
		return ErrWoken
	}
	return err
}

// reasonToStop returns why a wait for a new command should end.
func (c *Conn) reasonToStop(ctx context.Context) error {
	if err := c.stopped(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.woken.CompareAndSwap(true, false) {
		return ErrWoken
	}
	return nil
}

// inputNow looks for input that has already arrived.
func (c *Conn) inputNow() (bool, error) {
	n, err := c.pollInput()
	if errors.Is(err, os.ErrDeadlineExceeded) { // an old nudge; the wait that follows sees to it
		err = nil
	}
	if err != nil {
		return false, readError(err)
	}
	return n > 0, nil
}

// mustWatch reports whether the end of ctx is not what the server interrupts
// for anyway.
func (c *Conn) mustWatch(ctx context.Context) bool {
	return ctx.Done() != nil && ctx.Done() != c.serverDone
}

// watch nudges the reader when ctx ends or wake is signalled. The function
// returned ends the watch; after it nothing more is taken from wake.
func (c *Conn) watch(ctx context.Context, wake <-chan struct{}) func() {
	unwatch := func() bool { return true }
	if c.mustWatch(ctx) {
		unwatch = context.AfterFunc(ctx, c.nudge)
	}
	if wake == nil {
		return func() { unwatch() }
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-wake:
			c.Wake()
		case <-stop:
		}
	}()
	return func() {
		unwatch()
		close(stop)
		<-stopped
	}
}
