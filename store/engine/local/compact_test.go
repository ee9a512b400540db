package local_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
	"time"

	"tripost/store/engine"
	"tripost/store/engine/enginetest"
	"tripost/store/engine/local"
)

func filled(t *testing.T, o local.Options, records uint32) (*local.Engine, *ledger) {
	t.Helper()
	e, err := local.Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	l := newLedger()
	for id := range records {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, present)
	}
	return e, l
}

func TestCompactGivesSpaceBack(t *testing.T) {
	t.Parallel()
	e, l := filled(t, small(), 300)
	full := e.Status()
	for id := range uint32(300) {
		if id%5 != 0 {
			if err := removeRecord(e, id); err != nil {
				t.Fatal(err)
			}
			l.set(id, absent)
		}
	}
	freed, err := e.Compact(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	after := e.Status()
	if freed < full.LiveOctets/2 {
		t.Errorf("%d octets freed of %d", freed, full.LiveOctets)
	}
	if after.DiskOctets > full.DiskOctets/2 {
		t.Errorf("%d octets on disk after %d, with %d live", after.DiskOctets, full.DiskOctets, after.LiveOctets)
	}
	if err := l.compare(e, false); err != nil {
		t.Error(err)
	}
	enginetest.CheckClean(t, e)
	again, err := e.Compact(context.Background())
	if err != nil || again > freed/4 {
		t.Errorf("compacting again frees %d octets: %v", again, err)
	}
}

// TestCompactLeavesReaders holds a body open while it is moved, and its old
// segment removed.
func TestCompactLeavesReaders(t *testing.T) {
	t.Parallel()
	o := small()
	o.OpenSegments = 2
	e, l := filled(t, o, 100)
	const id = 50
	var blob engine.Blob
	err := e.View(context.Background(), func(r engine.Reader) error {
		v, err := r.Get(keyOf("m", id))
		blob = engine.Blob(binary.BigEndian.Uint64(v))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := e.Open(context.Background(), blob)
	if err != nil {
		t.Fatal(err)
	}
	for other := range uint32(100) {
		if other != id {
			if err := removeRecord(e, other); err != nil {
				t.Fatal(err)
			}
			l.set(other, absent)
		}
	}
	if _, err := e.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := body.WriteTo(&b); err != nil || !bytes.Equal(b.Bytes(), bodyOf(id)) {
		t.Errorf("open body after the move: %v", err)
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
	if err := l.compare(e, false); err != nil {
		t.Error(err)
	}
}

// TestCompactInBackground waits for the background to remove segments.
func TestCompactInBackground(t *testing.T) {
	t.Parallel()
	o := small()
	o.CompactBelow, o.CompactRate, o.CompactEvery = 0.6, 1<<30, time.Millisecond
	dir := t.TempDir()
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for id := range uint32(200) {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
	}
	for id := range uint32(190) {
		if err := removeRecord(e, id); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(2 * time.Minute)
	for e.Status().DiskOctets > 400<<10 {
		if time.Now().After(deadline) {
			t.Fatalf("still %d octets on disk, %d live", e.Status().DiskOctets, e.Status().LiveOctets)
		}
		// Every commit gives the background another chance to finish.
		if err := putRecord(e, 1000); err != nil {
			t.Fatal(err)
		}
		if err := removeRecord(e, 1000); err != nil {
			t.Fatal(err)
		}
	}
	enginetest.CheckClean(t, e)
}
