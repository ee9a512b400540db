package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	trimEvery = 5 * time.Second
	// trimWorth is how much memory must be to be given back: a collection over
	// a large heap for less is not worth its work.
	trimWorth = 4 << 20
)

// trimMemory gives memory back to the system when the server has become quiet.
// A password check takes 19 MiB for a moment, so a burst of sign-ins leaves a
// heap of garbage, and stacks that have grown, which an idle process would keep
// until the runtime's own collection minutes later.
func trimMemory(ctx context.Context) error {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	var last uint64
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		cycles, idle := heapNow()
		if cycles == last && idle > trimWorth {
			debug.FreeOSMemory()
			cycles++ // its own
		}
		last = cycles
	}
}

// heapNow returns how often memory was collected so far, and how many octets
// of the heap hold nothing that was live then.
func heapNow() (cycles, idle uint64) {
	sample := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(sample)
	value := func(i int) uint64 { return sample[i].Value.Uint64() }
	return value(0), max(value(2), value(1)) - value(1) + value(3) + value(4)
}
