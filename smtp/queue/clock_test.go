package queue

import (
	"testing"
	"time"
)

// A clock that was a year ahead when a message was put off, or came in, does not
// let it wait for a year once it is right again; ordinary pauses stay.
func TestClockWasAhead(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	w := newWorld(t, Options{Retry: []time.Duration{5 * time.Minute, time.Hour}})
	w.pass(year)
	w.submit("ann@example.test", "joe@client.test")
	w.try(deferred, "451 4.3.0 not now")
	w.pass(-year)
	if wait := w.only().Next.Sub(w.now); wait < year {
		t.Fatalf("it waits for %v", wait)
	}
	must(t, w.recall(w.ctx))
	if wait := w.only().Next.Sub(w.now); wait != 0 || len(w.dueNow()) != 1 {
		t.Errorf("it waits for %v", wait)
	}
	w.try(deferred, "451 4.3.0 not now")
	must(t, w.recall(w.ctx))
	if wait := w.only().Next.Sub(w.now); wait != time.Hour {
		t.Errorf("after an attempt it waits for %v, want an hour", wait)
	}
}
