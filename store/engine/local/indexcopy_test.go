package local_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tripost/store/engine"
	"tripost/store/engine/enginetest"
	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

// compacted is a closed store whose journal no longer goes back to its beginning, with
// changes behind its copy of the index.
func compacted(t *testing.T) (dir string, l *ledger) {
	t.Helper()
	dir, l = stored(t, 150)
	e, err := local.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range l.ids(present) {
		if id%3 == 0 {
			continue
		}
		if err := removeRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, absent)
	}
	if _, err := e.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	for id := uint32(200); id < 215; id++ {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, present)
	}
	enginetest.CheckClean(t, e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "journal", "00000001.seg")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the first segment is still there: %v", err)
	}
	return dir, l
}

// TestRebuildFromCopy: a lost index is made of the copy and the journal since.
func TestRebuildFromCopy(t *testing.T) {
	t.Parallel()
	dir, l := compacted(t)
	for range 2 { // and the index that was made can be lost again
		if err := os.Truncate(filepath.Join(dir, "index.db"), 5000); err != nil {
			t.Fatal(err)
		}
		if err := local.Rebuild(dir, "", local.Options{}); err != nil {
			t.Fatal(err)
		}
		mustMatch(t, dir, small(), l, false)
	}
}

// TestJournalStaysForCopy: segments without a live body stay while the copy needs what
// they say of keys.
func TestJournalStaysForCopy(t *testing.T) {
	t.Parallel()
	dir, l := compacted(t)
	o := small()
	o.CopyIndex = 1 << 40 // no new copy
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range l.ids(present) {
		if id%6 != 0 {
			if err := removeRecord(e, id); err != nil {
				t.Fatal(err)
			}
			l.set(id, absent)
		}
	}
	for id := uint32(300); id < 600; id++ {
		if err := errors.Join(putRecord(e, id), removeRecord(e, id)); err != nil {
			t.Fatal(err)
		}
		l.set(id, absent)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "index.db")); err != nil {
		t.Fatal(err)
	}
	if err := local.Rebuild(dir, "", o); err != nil {
		t.Fatal(err)
	}
	mustMatch(t, dir, o, l, false)
}

// TestRebuildFromDamagedCopy changes and cuts the copy at random: what comes of it is
// an error that names damage, and everything stays as it was.
func TestRebuildFromDamagedCopy(t *testing.T) {
	t.Parallel()
	dir, l := compacted(t)
	name, index := filepath.Join(dir, "index.copy"), filepath.Join(dir, "index.db")
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(index, 9000); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		bad := bytes.Clone(good)
		if r.IntN(3) == 0 {
			bad = bad[:r.IntN(len(bad))]
		} else {
			bad[r.IntN(len(bad))] ^= byte(1 + r.IntN(255))
		}
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := local.Rebuild(dir, "", small()); !errors.Is(err, engine.ErrDamaged) && !errors.Is(err, engine.ErrNewerFormat) {
			t.Fatalf("rebuilt from a damaged copy: %v", err)
		}
		if info, err := os.Stat(index); err != nil || info.Size() != 9000 {
			t.Fatalf("the index was not left as it was: %v, %v", info, err)
		}
	}
	if err := os.WriteFile(name, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := local.Rebuild(dir, "", small()); err != nil {
		t.Fatal(err)
	}
	mustMatch(t, dir, small(), l, false)
}

// TestDamagedCopyIsFound: Check names it, and nobody else is held up by it.
func TestDamagedCopyIsFound(t *testing.T) {
	t.Parallel()
	dir, l := compacted(t)
	change(t, filepath.Join(dir, "index.copy"), func(b []byte) []byte {
		b[len(b)/2] ^= 1
		return b
	})
	e, err := local.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var places []string
	if _, err := e.Check(context.Background(), func(f engine.Fault) { places = append(places, f.Place) }); err != nil {
		t.Fatal(err)
	}
	if len(places) != 1 || places[0] != "index.copy" {
		t.Errorf("Check names %q", places)
	}
	if err := l.compare(e, false); err != nil {
		t.Error(err)
	}
	if _, err := e.Compact(context.Background()); err != nil { // makes a new one
		t.Fatal(err)
	}
	enginetest.CheckClean(t, e)
}

// TestPowerCutLosesIndex cuts the power at random moments, and the index does not
// survive it: all that was acknowledged comes back from the copy and the journal.
func TestPowerCutLosesIndex(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	fs := faultfs.New(dir)
	l := newLedger()
	recordRun(t, fs, dir, l)
	fromCopy := 0
	for round := range rounds(60) {
		r := rand.New(rand.NewPCG(uint64(round), 7))
		cut := cutSomewhere(t, fs, l, 0, r)
		if _, err := os.Stat(filepath.Join(cut, "FORMAT")); err != nil {
			os.RemoveAll(cut) // no store yet
			continue
		}
		if err := os.Remove(filepath.Join(cut, "index.db")); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(cut, "index.copy")); err == nil {
			fromCopy++
		}
		if err := local.Rebuild(cut, "", small()); err != nil {
			t.Errorf("rebuild: %v", err)
		} else {
			mustMatch(t, cut, small(), l, true)
		}
		os.RemoveAll(cut)
		if t.Failed() {
			t.Fatalf("cut %d", round)
		}
	}
	if fromCopy == 0 {
		t.Error("no cut left a copy of the index")
	}
}

// TestCopyOnFullDisk: where there is no room for a copy, the one before and what stayed
// for it make room, and a new one is made when there is room again.
func TestCopyOnFullDisk(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	fs := faultfs.New(dir)
	var full atomic.Bool
	fs.FailWhen(func(_ int, op faultfs.Op) faultfs.Fault {
		if full.Load() && op.Name == "index.copy.new" && op.Kind == "write" {
			return faultfs.Fault{Err: syscall.ENOSPC, Short: true}
		}
		return faultfs.Fault{}
	})
	o := small()
	o.FS = fs
	o.CopyIndex = 1 << 40 // only Compact makes one
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	l := newLedger()
	churn := func(from uint32) {
		t.Helper()
		for id := from; id < from+100; id++ {
			if err := putRecord(e, id); err != nil {
				t.Fatal(err)
			}
			l.set(id, present)
		}
		for id := from; id < from+100; id++ {
			if id%10 == 0 {
				continue
			}
			if err := removeRecord(e, id); err != nil {
				t.Fatal(err)
			}
			l.set(id, absent)
		}
		if _, err := e.Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := l.compare(e, false); err != nil {
			t.Fatal(err)
		}
	}
	there := func() bool {
		_, err := os.Stat(filepath.Join(dir, "index.copy"))
		return err == nil
	}
	churn(0)
	if !there() {
		t.Fatal("Compact made no copy")
	}
	full.Store(true)
	before := e.Status().LiveOctets
	churn(1000)
	if there() {
		t.Error("the copy is still there on a full disk")
	}
	if s := e.Status(); journalOctets(t, dir) > 2*(before+s.LiveOctets)+100<<10 {
		t.Errorf("%d octets of journal, %d live", journalOctets(t, dir), s.LiveOctets)
	}
	full.Store(false)
	churn(2000)
	if !there() {
		t.Error("no new copy when there was room again")
	}
	enginetest.CheckClean(t, e)
}

// journalOctets returns how long the segments are.
func journalOctets(t *testing.T, dir string) (octets int64) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // it has just gone
		}
		if err != nil {
			t.Fatal(err)
		}
		octets += info.Size()
	}
	return octets
}

// TestCopyInBackground: without being told to, a store keeps no more of the journal than
// a new copy needs.
func TestCopyInBackground(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	o := small()
	o.IndexGrow = 4096
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const most = 1 << 20
	written := int64(0)
	for id := uint32(0); written < 3<<20; id++ {
		if err := errors.Join(putRecord(e, id), removeRecord(e, id)); err != nil {
			t.Fatal(err)
		}
		written += int64(bodySize(id))
	}
	deadline := time.Now().Add(2 * time.Minute)
	for journalOctets(t, dir) > most {
		if time.Now().After(deadline) {
			t.Fatalf("still %d octets of journal, of %d", journalOctets(t, dir), written)
		}
		// Every commit gives the background another chance to finish.
		if err := errors.Join(putRecord(e, 1), removeRecord(e, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "index.copy")); err != nil {
		t.Error(err)
	}
}

// TestCompactDoesNotWaitForSlowCopy: what the background copies at its leisure is begun
// again at once.
func TestCompactDoesNotWaitForSlowCopy(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	o := small()
	o.CompactRate = 1 // octet a second
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	deadline := time.Now().Add(time.Minute)
	for id := uint32(0); ; id++ {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "index.copy.new")); err == nil {
			break // it has begun
		}
		if time.Now().After(deadline) {
			t.Fatal("no copy was begun")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := e.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "index.copy")); err != nil {
		t.Error(err)
	}
}

// FuzzIndexCopy reads octets as a copy: whatever they are, it ends with an index or
// with an error.
func FuzzIndexCopy(f *testing.F) {
	dir := f.TempDir()
	e, err := local.Open(dir, small())
	if err != nil {
		f.Fatal(err)
	}
	for id := range uint32(5) {
		if err := putRecord(e, id); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := e.Compact(context.Background()); err != nil {
		f.Fatal(err)
	}
	if err := e.Close(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, "index.copy"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(good[:64])
	f.Add([]byte("tripcopy"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "index.copy")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if keys, err := local.ReadCopy(name); err == nil && keys > len(b)*1100 {
			t.Errorf("%d keys of %d octets", keys, len(b))
		}
	})
}
