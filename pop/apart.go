package pop

import (
	"fmt"
	"runtime/debug"
)

// apart runs fn in a goroutine of its own and returns its error. A stack grows
// in the depths of the store, to 8 KiB and more, and hardly ever shrinks again;
// the one on which a session waits, most of its life, stays at a few.
//
// A panic of fn is passed on to the caller with the place where it happened.
func apart(fn func() error) error {
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if p := recover(); p != nil {
				o.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			done <- o
		}()
		o.err = fn()
	}()
	o := <-done
	if o.panicked != "" {
		panic(o.panicked)
	}
	return o.err
}

type outcome struct {
	err      error
	panicked string
}
