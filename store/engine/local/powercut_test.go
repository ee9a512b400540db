package local_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

// recordRun delivers, removes and compacts on a recorded file layer. The
// ledger's entries are set by the marks of each cut.
func recordRun(t *testing.T, fs *faultfs.FS, dir string, l *ledger) {
	t.Helper()
	o := small()
	o.FS = fs
	if err := fs.Record(); err != nil {
		t.Fatal(err)
	}
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	const workers, each = 8, 60
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				id := uint32(w*each + i)
				markedPut(t, e, fs, l, id)
				if i%3 == 2 {
					markedRemove(t, e, fs, l, id-uint32(i%3))
				}
				if i == each/2 && w%4 == 0 {
					if _, err := e.Compact(context.Background()); err != nil {
						t.Errorf("compact: %v", err)
					}
				}
			}
		}()
	}
	wg.Wait()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func markedPut(t *testing.T, e *local.Engine, fs *faultfs.FS, l *ledger, id uint32) {
	fs.Mark(func() { l.set(id, unknown) })
	if err := putRecord(e, id); err != nil {
		t.Errorf("put: %v", err)
	}
	fs.Mark(func() { l.set(id, present) })
}

func markedRemove(t *testing.T, e *local.Engine, fs *faultfs.FS, l *ledger, id uint32) {
	fs.Mark(func() { l.set(id, unknown) })
	if err := removeRecord(e, id); err != nil {
		t.Errorf("remove: %v", err)
	}
	fs.Mark(func() { l.set(id, absent) })
}

// TestPowerCut rebuilds the files as a power cut at random moments might have
// left them: all that was acknowledged before is there, nothing is half done.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fs := faultfs.New(dir)
	l := newLedger()
	recordRun(t, fs, dir, l)
	acknowledged := 0
	points := rounds(60)
	for round := range points {
		r := rand.New(rand.NewPCG(uint64(round), 1))
		clear(l.records)
		cut := t.TempDir()
		if err := fs.Cut(cut, r.IntN(fs.Events()+1), r); err != nil {
			t.Fatal(err)
		}
		acknowledged += len(l.ids(present))
		mustMatch(t, cut, small(), l, true)
		if t.Failed() {
			t.Fatalf("cut %d", round)
		}
	}
	t.Logf("%d power cuts, %d acknowledged records compared, none lost", points, acknowledged)
}

// TestPowerCutTwice cuts the power again while the store recovers.
func TestPowerCutTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fs := faultfs.New(dir)
	l := newLedger()
	recordRun(t, fs, dir, l)
	for round := range rounds(15) {
		r := rand.New(rand.NewPCG(uint64(round), 2))
		clear(l.records)
		first := t.TempDir()
		if err := fs.Cut(first, r.IntN(fs.Events()+1), r); err != nil {
			t.Fatal(err)
		}
		again := faultfs.New(first)
		if err := again.Record(); err != nil {
			t.Fatal(err)
		}
		begin := again.Events()
		o := small()
		o.FS = again
		e, err := local.Open(first, o)
		if err != nil {
			t.Fatalf("cut %d: %v", round, err)
		}
		if err := putRecord(e, 1<<20); err != nil {
			t.Fatal(err)
		}
		e.Close()
		second := t.TempDir()
		if err := again.Cut(second, begin+r.IntN(again.Events()-begin+1), r); err != nil {
			t.Fatal(err)
		}
		mustMatch(t, second, small(), l, true)
		if t.Failed() {
			t.Fatalf("cut %d", round)
		}
	}
}

// TestPowerCutControl shows that TestPowerCut would see a journal that is not
// synced.
func TestPowerCutControl(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fs := faultfs.New(dir)
	fs.SwallowSyncs(func(name string) bool { return strings.HasSuffix(name, ".seg") })
	l := newLedger()
	recordRun(t, fs, dir, l)
	caught := 0
	const points = 20
	for round := range points {
		r := rand.New(rand.NewPCG(uint64(round), 3))
		clear(l.records)
		cut := filepath.Join(t.TempDir(), "cut")
		if err := fs.Cut(cut, fs.Events()/2+r.IntN(fs.Events()/2), r); err != nil {
			t.Fatal(err)
		}
		if !matches(cut, l) {
			caught++
		}
	}
	if caught < points/2 {
		t.Errorf("a journal that is never synced was caught in %d of %d cuts only", caught, points)
	}
	t.Logf("a journal that is never synced was caught in %d of %d cuts", caught, points)
}

func matches(dir string, l *ledger) bool {
	e, err := local.Open(dir, small())
	if err != nil {
		return false
	}
	defer e.Close()
	return l.compare(e, true) == nil
}
