package local_test

import (
	"testing"
	"time"

	"tripost/store/engine"
	"tripost/store/engine/enginetest"
	"tripost/store/engine/local"
)

// opener opens engines of one kind for the suite.
func opener(o local.Options) enginetest.Opener {
	return func(t *testing.T) (engine.Engine, func() engine.Engine) {
		dir := t.TempDir()
		var current *local.Engine
		reopen := func() engine.Engine {
			if current != nil {
				if err := current.Close(); err != nil {
					t.Fatalf("close: %v", err)
				}
			}
			e, err := local.Open(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			current = e
			return e
		}
		t.Cleanup(func() { current.Close() })
		return reopen(), reopen
	}
}

func TestConformance(t *testing.T) {
	enginetest.Run(t, opener(local.Options{}))
}

// Small segments, groups and overlays make every change of file and every
// checkpoint happen often.
func TestConformanceSmall(t *testing.T) {
	enginetest.Run(t, opener(local.Options{
		SegmentSize: 64 << 10, GroupBytes: 16 << 10, GroupUpdates: 5, LargeBody: 20 << 10,
		OverlayBytes: 8 << 10, CheckpointEvery: 5 * time.Millisecond, OpenSegments: 3,
		CompactEvery: 10 * time.Millisecond, CompactBelow: 0.9, CompactRate: 1 << 30,
	}))
}
