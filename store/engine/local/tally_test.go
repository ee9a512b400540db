package local_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tripost/store/engine"
	"tripost/store/engine/enginetest"
	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

// copyStore copies the files of a store.
func copyStore(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(scratch(t), "copy")
	if err := faultfs.CopyDir(dir, to); err != nil {
		t.Fatal(err)
	}
	return to
}

// mustTally opens a store by its tally, and finds what reading the whole body map
// finds.
func mustTally(t *testing.T, dir string, l *ledger, crashed bool) {
	t.Helper()
	o := small()
	o.FS = faultfs.New(dir)
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if !e.Tallied() {
		t.Error("opening did not go by the tally")
	}
	if err := l.compare(e, crashed); err != nil {
		t.Error(err)
	}
	enginetest.CheckClean(t, e) // compares the live octets with those of the body map
	status := e.Status()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err = local.Open(dir, o.Recount()); err != nil {
		t.Fatal(err)
	}
	if got := e.Status(); got.LiveOctets != status.LiveOctets {
		t.Errorf("%d live octets by the tally, %d counted", status.LiveOctets, got.LiveOctets)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestTally: whatever has happened, and however the last process ended, the tally and
// the journal behind it say what is live.
func TestTally(t *testing.T) {
	t.Parallel()
	dir, l := scratch(t), newLedger()
	r := rand.New(rand.NewPCG(11, 12))
	next := uint32(1)
	for range rounds(6) {
		e, err := local.Open(dir, small())
		if err != nil {
			t.Fatal(err)
		}
		if !e.Tallied() {
			t.Error("opening did not go by the tally")
		}
		for range 10 + r.IntN(60) {
			if err := putRecord(e, next); err != nil {
				t.Fatal(err)
			}
			l.set(next, present)
			next++
		}
		for _, id := range l.ids(present) {
			if r.IntN(3) == 0 {
				if err := removeRecord(e, id); err != nil {
					t.Fatal(err)
				}
				l.set(id, absent)
			}
		}
		if r.IntN(2) == 0 {
			if _, err := e.Compact(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		killed := ""
		if err := e.Still(func() error { killed = copyStore(t, dir); return nil }); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		mustTally(t, killed, l, true)
		mustTally(t, copyStore(t, dir), l, false)
	}
}

// TestTallyOfBackup: a backup opens by the tally of its index.
func TestTallyOfBackup(t *testing.T) {
	t.Parallel()
	dir, l := compacted(t)
	e, err := local.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(scratch(t), "backup")
	if err := e.Backup(context.Background(), to, ""); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	mustTally(t, to, l, false)
}

// TestTallyAfterRebuild: an index that was made anew has a tally once it was opened.
func TestTallyAfterRebuild(t *testing.T) {
	t.Parallel()
	dir, l := compacted(t)
	if err := os.Remove(filepath.Join(dir, "index.db")); err != nil {
		t.Fatal(err)
	}
	if err := local.Rebuild(dir, "", small()); err != nil {
		t.Fatal(err)
	}
	mustTally(t, dir, l, false)
}

// TestTallyRefused: a tally that does not fit is not gone by, and the next checkpoint
// writes a new one.
func TestTallyRefused(t *testing.T) {
	t.Parallel()
	whole, l := compacted(t)
	tally := func(fn func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := local.ChangeTally(filepath.Join(dir, "index.db"), fn); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, spoil := range map[string]func(*testing.T, string){
		"none":           tally(func([]byte) []byte { return nil }),
		"cut short":      tally(func(b []byte) []byte { return b[:len(b)-1] }),
		"newer":          tally(func(b []byte) []byte { b[0]++; return b }),
		"octet changed":  tally(func(b []byte) []byte { b[len(b)/2] ^= 4; return b }),
		"of a new store": tally(func([]byte) []byte { return tallyOfNew(t) }),
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyStore(t, whole)
			spoil(t, dir)
			e, err := local.Open(dir, small())
			if err != nil {
				t.Fatal(err)
			}
			if e.Tallied() {
				t.Error("opening went by the tally")
			}
			enginetest.CheckClean(t, e)
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			mustTally(t, dir, l, false)
		})
	}
}

// tallyOfNew is the tally of a store that has nothing yet.
func tallyOfNew(t *testing.T) (b []byte) {
	dir := scratch(t)
	e, err := local.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	err = local.ChangeTally(filepath.Join(dir, "index.db"), func(now []byte) []byte {
		b = now
		return now
	})
	if err != nil || b == nil {
		t.Fatalf("tally %x, %v", b, err)
	}
	return b
}

// TestTallyLarge: a file in large/ that no blob has goes at opening; when one is missing
// that a blob should have, all is counted, and none goes.
func TestTallyLarge(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	e, err := local.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	b := keep(t, e, draftOf(t, e, 'a', 30<<10))
	keep(t, e, draftOf(t, e, 'b', 30<<10))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	orphan := filepath.Join(dir, "large", "00000000000fffff.msg")
	write := func() {
		if err := os.WriteFile(orphan, []byte("half a message"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if e, err = local.Open(dir, small()); err != nil {
		t.Fatal(err)
	}
	if got := e.Status().Recovered; !e.Tallied() || got != "1 unfinished body files removed" {
		t.Errorf("recovered %q, by the tally: %v", got, e.Tallied())
	}
	if _, err := os.Stat(orphan); !os.IsNotExist(err) {
		t.Errorf("the file of no blob: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	changeEntry(t, dir, b, func(k, v []byte) ([]byte, []byte) { return append(k[:9], 0xff), v })
	write()
	if e, err = local.Open(dir, small()); err != nil {
		t.Fatal(err)
	}
	if got := e.Status().Recovered; e.Tallied() || got == "" {
		t.Errorf("recovered %q, by the tally: %v", got, e.Tallied())
	}
	if _, err := os.Stat(orphan); err != nil {
		t.Errorf("a file that may be needed: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestTallyKeepsSegment: an entry of the body map that was lost after the tally was made
// takes no segment along, although nobody has read the map since.
func TestTallyKeepsSegment(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	e, err := local.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	blobs := []engine.Blob{keep(t, e, draftOf(t, e, 'a', 5000)), keep(t, e, draftOf(t, e, 'b', 500))}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	changeEntry(t, dir, blobs[0], func(k, v []byte) ([]byte, []byte) { return k, v[:4] })
	before := segmentFiles(t, dir)
	if e, err = local.Open(dir, small()); err != nil {
		t.Fatal(err)
	}
	if !e.Tallied() {
		t.Error("opening did not go by the tally")
	}
	err = e.Update(context.Background(), func(tx engine.Tx) error { _, err := tx.Drop(blobs[1]); return err })
	if err != nil {
		t.Fatal(err)
	}
	for id := uint32(1); id < 100; id++ { // several segments and checkpoints
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range before {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("the segment of a body whose entry was lost: %v", err)
		}
	}
}

// FuzzTally reads tallies whose checksum is right. What is taken for one is read again
// as it is written.
func FuzzTally(f *testing.F) {
	for _, seed := range []string{"", "01", "010000000000", "01034005020a01800501c00c", "010340050200000001", "0103ffffffffffffffffff7f"} {
		b, err := hex.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
		written, err := local.ReadTally(b)
		if err != nil {
			return
		}
		again, err := local.ReadTally(written)
		if err != nil || !bytes.Equal(again, written) {
			t.Errorf("%x was written as %x, and that as %x, %v", b, written, again, err)
		}
	})
}
