package local_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
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
	dir := scratch(t)
	fs := faultfs.New(dir)
	l := newLedger()
	recordRun(t, fs, dir, l)
	acknowledged := 0
	points := rounds(120)
	for round := range points {
		r := rand.New(rand.NewPCG(uint64(round), 1))
		cut := cutSomewhere(t, fs, l, 0, r)
		acknowledged += len(l.ids(present))
		mustMatch(t, cut, small(), l, true)
		os.RemoveAll(cut)
		if t.Failed() {
			t.Fatalf("cut %d", round)
		}
	}
	t.Logf("%d power cuts, %d acknowledged records compared, none lost", points, acknowledged)
}

// cutSomewhere cuts the power at a random event from the given one on, and
// leaves in the ledger what had been acknowledged.
func cutSomewhere(t *testing.T, fs *faultfs.FS, l *ledger, from int, r *rand.Rand) string {
	t.Helper()
	clear(l.records)
	cut := scratch(t)
	if err := fs.Cut(cut, from+r.IntN(fs.Events()-from+1), r); err != nil {
		t.Fatal(err)
	}
	return cut
}

// TestPowerCutTwice cuts the power again while the store recovers from the
// first cut, or soon after.
func TestPowerCutTwice(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	fs := faultfs.New(dir)
	l := newLedger()
	recordRun(t, fs, dir, l)
	for round := range rounds(40) {
		r := rand.New(rand.NewPCG(uint64(round), 2))
		first := cutSomewhere(t, fs, l, 0, r)
		before := maps.Clone(l.records)
		again := faultfs.New(first)
		begin := reopenAndPut(t, again, first, l)
		second := cutSomewhere(t, again, l, begin, r)
		late := l.records
		l.records = before
		maps.Copy(l.records, late)
		mustMatch(t, second, small(), l, true)
		os.RemoveAll(first)
		os.RemoveAll(second)
		if t.Failed() {
			t.Fatalf("cut %d", round)
		}
	}
}

// reopenAndPut opens a store after a cut, puts a few records, and returns the event
// at which it began.
func reopenAndPut(t *testing.T, fs *faultfs.FS, dir string, l *ledger) int {
	t.Helper()
	if err := fs.Record(); err != nil {
		t.Fatal(err)
	}
	begin := fs.Events()
	o := small()
	o.FS = fs
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	for id := range uint32(5) {
		markedPut(t, e, fs, l, 1<<20+id)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return begin
}

// TestPowerCutAfterKill kills the process, opens the store again, and then cuts
// the power. What the second process showed to anybody must be there, though the
// first one may have been killed before it could sync it.
func TestPowerCutAfterKill(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	fs := faultfs.New(dir)
	l := newLedger()
	recordRun(t, fs, dir, l)
	for round := range rounds(60) {
		r := rand.New(rand.NewPCG(uint64(round), 4))
		killed := scratch(t)
		next, err := fs.Kill(killed, r.IntN(fs.Events()+1))
		if err != nil {
			t.Fatal(err)
		}
		begin := showAndPut(t, next, killed, l, r.IntN(4))
		cut := cutSomewhere(t, next, l, begin, r)
		mustMatch(t, cut, small(), l, true)
		os.RemoveAll(killed)
		os.RemoveAll(cut)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// showAndPut opens a store, marks what it shows, and puts some records. It
// returns the event from which on nothing of that may be lost.
func showAndPut(t *testing.T, fs *faultfs.FS, dir string, l *ledger, puts int) int {
	t.Helper()
	o := small()
	o.FS = fs
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	shown := newLedger()
	for id := range uint32(500) {
		shown.set(id, unknown)
	}
	if err := shown.settle(e); err != nil {
		t.Fatal(err)
	}
	fs.Mark(func() { maps.Copy(l.records, shown.records) })
	begin := fs.Events()
	for id := range uint32(puts) {
		markedPut(t, e, fs, l, 1<<20+id)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return begin
}

// TestPowerCutControl shows that TestPowerCut would see a journal that is not
// synced.
func TestPowerCutControl(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	fs := faultfs.New(dir)
	fs.SwallowSyncs(func(name string) bool { return strings.HasSuffix(name, ".seg") })
	l := newLedger()
	recordRun(t, fs, dir, l)
	caught := 0
	const points = 20
	for round := range points {
		r := rand.New(rand.NewPCG(uint64(round), 3))
		cut := cutSomewhere(t, fs, l, fs.Events()/2, r)
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
