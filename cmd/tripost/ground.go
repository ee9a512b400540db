package main

import (
	"time"

	"tripost/store/engine/local"
)

// ground is what the program stands on: the files of its store, and the clock.
// The zero ground is the machine's own; tests of what a machine can do to us
// bring others. Deadlines of connections and the waits after wrong passwords go by
// the machine's monotonic clock, which nobody can set, and are not of it.
type ground struct {
	engine local.Options    // its Logf is not used
	now    func() time.Time // nil: time.Now
}
