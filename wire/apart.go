package wire

import (
	"fmt"
	"runtime/debug"
)

// Apart runs fn in a goroutine of its own, waits for it, and returns its error.
// It is for sessions, which spend most of their life waiting: a stack grows in
// the depths of the store, to 8 KiB and more, and hardly ever shrinks again,
// while the one that only waits stays at a few. So a session waits on its own
// goroutine and does its work apart.
//
// What fn does happens before Apart returns. A panic of fn is passed on to the
// caller as a string that names the place where it happened.
func Apart(fn func() error) error {
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

// outcome is how a function ended that was run apart.
type outcome struct {
	err      error
	panicked string // the panic with its stack; "": none
}
