package local_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"tripost/store/engine"
	"tripost/store/engine/enginetest"
	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

// trimmed returns a segment's octets without the zeros at its end. No group of these
// tests ends with a zero.
func trimmed(t *testing.T, name string) (octets []byte, zeros int) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	octets = bytes.TrimRight(b, "\x00")
	return octets, len(b) - len(octets)
}

// settled makes sure that the committer has done what it does behind its last answer.
func settled(t *testing.T, e *local.Engine) {
	t.Helper()
	if err := e.Settle(); err != nil {
		t.Fatal(err)
	}
}

// aheadOptions make one segment and no checkpoint.
func aheadOptions() local.Options {
	return local.Options{LargeBody: 20 << 10, CheckpointEvery: 1 << 40, ProbeEvery: -1, CompactBelow: -1, IndexMap: 1 << 30}
}

// aheadStore is an open store whose segment has zeros behind its last group.
func aheadStore(t *testing.T, dir string, o local.Options) (*local.Engine, *ledger) {
	t.Helper()
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	l := newLedger()
	for id := range uint32(20) {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, present)
	}
	settled(t, e)
	return e, l
}

// TestAheadIsNothing looks at a segment that is written out ahead: with every tool
// while the store is open, as a kill leaves it, and after a stop.
func TestAheadIsNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir, killed, copied := scratch(t), scratch(t), filepath.Join(scratch(t), "copy")
	e, l := aheadStore(t, dir, aheadOptions())
	octets, zeros := trimmed(t, segmentFiles(t, dir)[0])
	if zeros == 0 {
		t.Fatal("nothing is written ahead")
	}
	enginetest.CheckClean(t, e)
	if err := e.Backup(ctx, copied, ""); err != nil {
		t.Fatal(err)
	}
	if _, zeros := trimmed(t, segmentFiles(t, copied)[0]); zeros > 0 {
		t.Errorf("the backup has %d of the zeros", zeros)
	}
	mustMatch(t, copied, aheadOptions(), l, false)
	if err := faultfs.CopyDir(dir, killed); err != nil {
		t.Fatal(err)
	}

	if _, result, faults := rescued(t, killed); len(faults) > 0 || result.Bodies != 20 {
		t.Errorf("rescue of a killed store: %+v, %v", result, faults)
	}
	next, err := local.Open(killed, aheadOptions())
	if err != nil {
		t.Fatal(err)
	}
	if got := next.Status().Recovered; got != "20 commit groups replayed from the journal" {
		t.Errorf("recovered %q", got)
	}
	if err := l.compare(next, false); err != nil {
		t.Error(err)
	}
	if got, zeros := trimmed(t, segmentFiles(t, killed)[0]); zeros > 0 || !bytes.Equal(got, octets) {
		t.Errorf("opening left %d octets and %d zeros of %d octets", len(got), zeros, len(octets))
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}

	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got, zeros := trimmed(t, segmentFiles(t, dir)[0]); zeros > 0 || !bytes.Equal(got, octets) {
		t.Errorf("a stop left %d octets and %d zeros of %d octets", len(got), zeros, len(octets))
	}
	mustMatch(t, dir, aheadOptions(), l, false)
}

// TestAheadBehindIndex kills a store whose index has all of the journal: there is
// nothing to replay, and the zeros go.
func TestAheadBehindIndex(t *testing.T) {
	t.Parallel()
	dir, killed := scratch(t), scratch(t)
	e, l := aheadStore(t, dir, aheadOptions())
	if err := e.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if err := faultfs.CopyDir(dir, killed); err != nil {
		t.Fatal(err)
	}
	next, err := local.Open(killed, aheadOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if got := next.Status().Recovered; got != "" {
		t.Errorf("recovered %q", got)
	}
	if _, zeros := trimmed(t, segmentFiles(t, killed)[0]); zeros > 0 {
		t.Errorf("opening left %d zeros", zeros)
	}
	if err := l.compare(next, false); err != nil {
		t.Error(err)
	}
}

// TestAheadSealed goes through several segments: none that is not the last has zeros.
func TestAheadSealed(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	o := aheadOptions()
	o.SegmentSize = 48 << 10
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for id := range uint32(150) {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
	}
	settled(t, e)
	names := segmentFiles(t, dir)
	if len(names) < 3 {
		t.Fatalf("%d segments", len(names))
	}
	for _, name := range names[:len(names)-1] {
		if _, zeros := trimmed(t, name); zeros > 0 {
			t.Errorf("%s has %d zeros", name, zeros)
		}
	}
}

// TestAheadDamage damages groups that have zeros behind them: the last one is taken
// for torn, as ever, and any other is damage.
func TestAheadDamage(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	_, l := aheadStore(t, dir, aheadOptions())
	l.set(19, unknown)
	killed, bad := scratch(t), scratch(t)
	for _, to := range []string{killed, bad} {
		if err := faultfs.CopyDir(dir, to); err != nil {
			t.Fatal(err)
		}
	}
	octets, _ := trimmed(t, segmentFiles(t, dir)[0])
	change(t, segmentFiles(t, killed)[0], func(b []byte) []byte { b[len(octets)-1] = 0; return b })
	e, err := local.Open(killed, aheadOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := e.Status().Recovered; !strings.Contains(got, "19 commit groups replayed") || !strings.Contains(got, "octets of an unfinished group cut off") {
		t.Errorf("recovered %q", got)
	}
	if err := l.compare(e, true); err != nil {
		t.Error(err)
	}
	if err := putRecord(e, 100); err != nil {
		t.Error(err)
	}

	change(t, segmentFiles(t, bad)[0], func(b []byte) []byte { clear(b[4096:8192]); return b })
	mustRefuse(t, bad, aheadOptions(), engine.ErrDamaged, "is not whole, but group")
}

// TestAheadFails lets writing ahead fail: no Update is refused for it. After a sync
// that failed the journal goes on in another segment.
func TestAheadFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind     string
		err      error
		segments int
	}{
		{"write", syscall.ENOSPC, 1},
		{"sync", syscall.EIO, 2},
	} {
		t.Run(test.kind, func(t *testing.T) {
			t.Parallel()
			dir := scratch(t)
			fs := faultfs.New(dir)
			o := aheadOptions()
			o.FS = fs
			e, err := local.Open(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			var failed atomic.Int32
			fs.FailWhen(func(_ int, op faultfs.Op) faultfs.Fault {
				if op.Kind == test.kind && op.Zeros {
					failed.Add(1)
					return faultfs.Fault{Err: test.err, Short: true}
				}
				return faultfs.Fault{}
			})
			l := newLedger()
			for id := range uint32(30) {
				if err := putRecord(e, id); err != nil {
					t.Fatalf("put %d: %v", id, err)
				}
				l.set(id, present)
			}
			settled(t, e)
			if failed.Load() != 1 {
				t.Errorf("%d failures, want 1", failed.Load())
			}
			if n := len(segmentFiles(t, dir)); n != test.segments {
				t.Errorf("%d segments, want %d", n, test.segments)
			}
			killed := scratch(t)
			if err := faultfs.CopyDir(dir, killed); err != nil {
				t.Fatal(err)
			}
			mustMatch(t, killed, aheadOptions(), l, false)
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			mustMatch(t, dir, aheadOptions(), l, false)
		})
	}
}

// TestAheadLeavesBulkAlone writes groups so long that each octet would be written twice for
// little.
func TestAheadLeavesBulkAlone(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	e, err := local.Open(dir, local.Options{ProbeEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range 30 {
		err := e.Update(context.Background(), func(tx engine.Tx) error {
			tx.Put(fmt.Appendf(nil, "key %d", i), bytes.Repeat([]byte("x"), 100<<10))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	settled(t, e)
	if _, zeros := trimmed(t, segmentFiles(t, dir)[0]); zeros > 0 {
		t.Errorf("%d zeros", zeros)
	}
}
