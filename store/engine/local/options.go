package local

import (
	"crypto/rand"
	"io"
	"time"
)

// Options tune an engine. Zero values mean the defaults given with each field.
// docs/storage-engine.md says why the defaults are what they are.
type Options struct {
	// SegmentSize is the length in octets at which the journal goes on in a
	// new segment, and the journal written since a checkpoint at which the next
	// one is due. A segment may pass it by one group. Default 64 MiB.
	SegmentSize int64
	// GroupBytes closes a commit group once it holds this many octets of
	// bodies. Default 1 MiB.
	GroupBytes int
	// GroupUpdates is the most Updates in one commit group. Default 1,024.
	GroupUpdates int
	// LargeBody is the length in octets from which on a body gets a file of
	// its own. Smaller drafts stay in memory. Default 256 KiB.
	LargeBody int
	// OverlayBytes is how much memory the changes since the last checkpoint may
	// take before they are written to the index. At twice as much, Updates
	// wait. Default 16 MiB.
	OverlayBytes int64
	// CheckpointEvery is the longest time a change stays out of the index.
	// Default 30 s.
	CheckpointEvery time.Duration
	// CompactBelow is the live share of a segment below which its bodies are
	// moved and its space given back. Default 0.6; negative: only on Compact.
	CompactBelow float64
	// CompactRate bounds what background compaction moves, in octets per
	// second. Default 8 MiB.
	CompactRate int64
	// CompactEvery is how often the background looks for segments worth
	// compacting. Default 1 minute.
	CompactEvery time.Duration
	// CopyIndex is the journal in octets after which a new copy of the index is due,
	// once the journal is as long as the index as well. Default as SegmentSize;
	// negative: no copies.
	CopyIndex int64
	// ProbeEvery is how often an engine that turned read-only tries whether
	// writing works again. Default 3 s; negative: only on Probe.
	ProbeEvery time.Duration
	// LockTimeout is how long Open waits for another process to let go of the
	// store. Default 5 s; negative: not at all.
	LockTimeout time.Duration
	// OpenSegments bounds the segment files held open for reading. Default 256.
	OpenSegments int
	// IndexMap is the address space in octets reserved for the index file. When
	// the file outgrows it, a checkpoint waits for all running Views. Where the
	// system grants less, less is taken. Default 64 GiB.
	IndexMap int64
	// IndexGrow is the step in octets in which the index file grows, each of
	// which costs a sync. Default 4 MiB.
	IndexGrow int

	// FS is the file operations. Default [OS].
	FS FS
	// Now tells the time. Default [time.Now].
	Now func() time.Time
	// Rand salts the segments' checksums. Default [rand.Reader].
	Rand io.Reader
	// Logf takes a line for the System Log: 1 failure, 2 major, 3 problem. It
	// must not call the engine. Default: nowhere.
	Logf func(level int, text string)

	recount bool // opening reads the whole body map, whatever the tally says
}

func (o Options) withDefaults() Options {
	set(&o.SegmentSize, 64<<20)
	set(&o.GroupBytes, 1<<20)
	set(&o.GroupUpdates, 1024)
	set(&o.LargeBody, 256<<10)
	set(&o.OverlayBytes, 16<<20)
	set(&o.CheckpointEvery, 30*time.Second)
	set(&o.CompactBelow, 0.6)
	set(&o.CompactRate, 8<<20)
	set(&o.CompactEvery, time.Minute)
	set(&o.CopyIndex, o.SegmentSize)
	set(&o.ProbeEvery, 3*time.Second)
	set(&o.LockTimeout, 5*time.Second)
	set(&o.OpenSegments, 256)
	set(&o.IndexMap, 64<<30)
	set(&o.IndexGrow, 4<<20)
	if o.FS == nil {
		o.FS = OS{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logf == nil {
		o.Logf = func(int, string) {}
	}
	return o
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
