package local_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tripost/store/engine"
	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

// crashedStore returns a directory as a kill leaves it, with everything still
// to be replayed, and the ledger of it. The options make one segment.
func crashedStore(t *testing.T, records int, o local.Options) (string, *ledger) {
	t.Helper()
	live, dir := scratch(t), scratch(t)
	e, err := local.Open(live, o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	l := newLedger()
	for id := range uint32(records) {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, present)
	}
	if err := faultfs.CopyDir(live, dir); err != nil {
		t.Fatal(err)
	}
	return dir, l
}

func segmentFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "journal", "*.seg"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no segments: %v", err)
	}
	return names
}

// change rewrites a file.
func change(t *testing.T, name string, fn func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, fn(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[(at+len(b))%len(b)] ^= 0x40
		return b
	}
}

// TestTornTail cuts the last group at every length. Without it the store opens,
// says so, and takes updates; the cut is forgotten at the next opening.
func TestTornTail(t *testing.T) {
	t.Parallel()
	whole, l := crashedStore(t, 3, local.Options{})
	l.set(2, unknown)
	tail := fileSize(t, segmentFiles(t, whole)[0])
	first, _ := crashedStore(t, 2, local.Options{})
	start := fileSize(t, segmentFiles(t, first)[0])
	for size := start + 1; size < tail; size += 37 {
		dir := scratch(t)
		if err := faultfs.CopyDir(whole, dir); err != nil {
			t.Fatal(err)
		}
		torn := int64(0) // zeros at the end may have been written ahead
		change(t, segmentFiles(t, dir)[0], func(b []byte) []byte {
			torn = int64(len(bytes.TrimRight(b[start:size], "\x00")))
			return b[:size]
		})
		e, err := local.Open(dir, local.Options{})
		if err != nil {
			t.Fatalf("cut at %d: %v", size, err)
		}
		want := fmt.Sprintf("%d octets of an unfinished group cut off at 00000001.seg offset %d", torn, start)
		if got := e.Status().Recovered; !strings.Contains(got, want) {
			t.Errorf("recovered %q, want %q", got, want)
		}
		if err := l.compare(e, true); err != nil {
			t.Errorf("cut at %d: %v", size, err)
		}
		if err := putRecord(e, 500); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if e, err = local.Open(dir, local.Options{}); err != nil {
			t.Fatal(err)
		}
		if got := e.Status().Recovered; got != "" {
			t.Errorf("recovered again: %q", got)
		}
		e.Close()
	}
}

func fileSize(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestDamageInJournal changes what replay needs: opening must refuse, and name
// the file and the offset.
func TestDamageInJournal(t *testing.T) {
	t.Parallel()
	o := small()
	o.OverlayBytes = 1 << 30 // no checkpoint
	o.SegmentSize = 1 << 30
	oneSegment, _ := crashedStore(t, 20, o)
	o.SegmentSize = 8 << 10
	o.CheckpointEvery = 1 << 40
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string)
		says   string
	}{
		{"first group of the last segment", func(t *testing.T, dir string) {
			change(t, segmentFiles(t, dir)[0], flip(100))
		}, "00000001.seg at offset 64: group 1 is not whole, but group"},
		{"a group in the middle", func(t *testing.T, dir string) {
			change(t, segmentFiles(t, dir)[0], flip(9000))
		}, "is not whole, but group"},
		{"a hole in the middle", func(t *testing.T, dir string) {
			change(t, segmentFiles(t, dir)[0], func(b []byte) []byte { clear(b[4096:8192]); return b })
		}, "is not whole, but group"},
		{"segment header", func(t *testing.T, dir string) {
			change(t, segmentFiles(t, dir)[0], flip(20))
		}, "00000001.seg at offset 0: segment header is not whole"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := scratch(t)
			if err := faultfs.CopyDir(oneSegment, dir); err != nil {
				t.Fatal(err)
			}
			test.damage(t, dir)
			mustRefuse(t, dir, local.Options{}, engine.ErrDamaged, test.says)
		})
	}
}

// TestDamageInChain changes one of several segments that replay needs.
func TestDamageInChain(t *testing.T) {
	t.Parallel()
	chain := chainedStore(t)
	tests := []struct {
		name   string
		damage func(t *testing.T, segments []string)
		says   string
	}{
		{"first of three missing", func(t *testing.T, s []string) { os.Remove(s[0]) }, "00000001.seg at offset 0: segment is missing"},
		{"middle one missing", func(t *testing.T, s []string) { os.Remove(s[1]) }, "00000002.seg at offset 0: segment is missing"},
		{"middle one cut short", func(t *testing.T, s []string) {
			change(t, s[1], func(b []byte) []byte { return b[:validBefore(t, s[2])-1] })
		}, "00000002.seg at offset"},
		{"last octet of the first", func(t *testing.T, s []string) {
			change(t, s[0], flip(validBefore(t, s[1])-1))
		}, "00000001.seg at offset"},
		{"header of the middle one", func(t *testing.T, s []string) { change(t, s[1], flip(0)) }, "segment header is not whole"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := scratch(t)
			if err := faultfs.CopyDir(chain, dir); err != nil {
				t.Fatal(err)
			}
			test.damage(t, segmentFiles(t, dir))
			mustRefuse(t, dir, local.Options{}, engine.ErrDamaged, test.says)
		})
	}
}

// validBefore returns how much of the segment before counts.
func validBefore(t *testing.T, name string) int {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return int(binary.BigEndian.Uint64(b[32:]))
}

// chainedStore is a crashed store of at least three segments, none of them in
// the index: the disk took no checkpoint.
func chainedStore(t *testing.T) string {
	t.Helper()
	live, dir := scratch(t), scratch(t)
	fs := faultfs.New(live)
	o := local.Options{FS: fs, SegmentSize: 1 << 20, OverlayBytes: 1 << 30}
	e, err := local.Open(live, o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for id := range uint32(9) {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
		if id%3 == 2 { // a failure ends a segment
			failOnce(fs, "write")
			if err := putRecord(e, 1000); err == nil {
				t.Fatal("put on a failing disk")
			}
			if err := e.Probe(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := putRecord(e, 10); err != nil {
		t.Fatal(err)
	}
	if err := faultfs.CopyDir(live, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// failOnce lets the next operation of a kind fail.
func failOnce(fs *faultfs.FS, kind string) {
	done := false
	fs.FailWhen(func(_ int, op faultfs.Op) faultfs.Fault {
		if done || op.Kind != kind {
			return faultfs.Fault{}
		}
		done = true
		return faultfs.Fault{Err: syscall.EIO, Short: true}
	})
}

func mustRefuse(t *testing.T, dir string, o local.Options, want error, says string) {
	t.Helper()
	e, err := local.Open(dir, o)
	if err == nil {
		e.Close()
		t.Fatal("the store was opened")
	}
	if !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
		t.Errorf("refused with %q, want %q", err, says)
	}
}

// TestDamagedBody changes an octet of a body that is in the index. The store
// opens, the body is reported, the others can be read and moved.
func TestDamagedBody(t *testing.T) {
	t.Parallel()
	for _, large := range []bool{false, true} {
		dir := scratch(t)
		e, err := local.Open(dir, local.Options{LargeBody: 20 << 10})
		if err != nil {
			t.Fatal(err)
		}
		for id := range uint32(10) {
			if err := putRecord(e, id); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		name, damage := segmentFiles(t, dir)[0], func(b []byte) []byte {
			return flip(bytes.Index(b, bodyOf(3)) + 10)(b)
		}
		if large {
			names, _ := filepath.Glob(filepath.Join(dir, "large", "*.msg"))
			name, damage = names[0], flip(200)
		}
		change(t, name, damage)
		if e, err = local.Open(dir, local.Options{LargeBody: 20 << 10}); err != nil {
			t.Fatal(err)
		}
		var faults []engine.Fault
		if _, err := e.Check(context.Background(), func(f engine.Fault) { faults = append(faults, f) }); err != nil {
			t.Error(err)
		}
		if len(faults) != 1 || !strings.Contains(faults[0].Text, "checksum") || !strings.Contains(faults[0].Text, filepath.Base(name)) {
			t.Errorf("check reports %v", faults)
		}
		bad := 0
		for id := range uint32(10) {
			if err := readRecord(e, id); errors.Is(err, engine.ErrDamaged) {
				bad++
			} else if err != nil {
				t.Error(err)
			}
		}
		if bad != 1 {
			t.Errorf("%d bodies are damaged, want 1", bad)
		}
		for _, id := range []uint32{1, 2, 4, 9} {
			if err := removeRecord(e, id); err != nil {
				t.Error(err)
			}
		}
		if _, err := e.Compact(context.Background()); err != nil {
			t.Errorf("compact: %v", err)
		}
		if err := readRecord(e, 5); err != nil {
			t.Errorf("after compacting: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestUnreadableIsNotTorn lets reading fail at opening: that is an error, and
// nothing is cut.
func TestUnreadableIsNotTorn(t *testing.T) {
	t.Parallel()
	dir, l := crashedStore(t, 5, local.Options{})
	fs := faultfs.New(dir)
	fs.FailReads(func(name string) error {
		if strings.HasSuffix(name, ".seg") {
			return syscall.EIO
		}
		return nil
	})
	mustRefuse(t, dir, local.Options{FS: fs}, syscall.EIO, "00000001.seg")
	mustMatch(t, dir, local.Options{}, l, false)
}

// TestFaultyIndexFile changes the index file anywhere, and cuts it. Whatever comes
// of that is an error or a fault, and never the end of the process.
func TestFaultyIndexFile(t *testing.T) {
	t.Parallel()
	whole := scratch(t)
	o := local.Options{IndexMap: 1 << 30, LockTimeout: -1, ProbeEvery: -1}
	e, err := local.Open(whole, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		err := e.Update(context.Background(), func(tx engine.Tx) error {
			for j := range 50 {
				tx.Put(fmt.Appendf(nil, "key %d %d", j, i), make([]byte, 100))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	refused, faulty := 0, 0
	for seed := range uint64(rounds(150)) {
		r := rand.New(rand.NewPCG(seed, 6))
		dir := scratch(t)
		if err := faultfs.CopyDir(whole, dir); err != nil {
			t.Fatal(err)
		}
		change(t, filepath.Join(dir, "index.db"), func(b []byte) []byte {
			if r.IntN(5) == 0 {
				return b[:r.IntN(len(b))]
			}
			// Where pages have their tables, but not the high octets of a length:
			// bbolt would take gigabytes for the copy of such a page.
			for range 1 + r.IntN(20) {
				b[4096*r.IntN(len(b)/4096)+4*r.IntN(40)+r.IntN(2)] ^= byte(1 + r.IntN(255))
			}
			return b
		})
		switch faults, err := openDamaged(dir, o); {
		case err != nil:
			refused++
		case faults > 0:
			faulty++
		}
		os.RemoveAll(dir)
	}
	t.Logf("%d refused, %d with faults", refused, faulty)
	if refused+faulty == 0 {
		t.Error("no damage was noticed")
	}
}

// openDamaged uses a store and counts its faults.
func openDamaged(dir string, o local.Options) (faults int, err error) {
	e, err := local.Open(dir, o)
	if err != nil {
		return 0, err
	}
	ctx := context.Background()
	if _, err := e.Check(ctx, func(engine.Fault) { faults++ }); err != nil {
		faults++
	}
	for range 3 {
		if err := putRecord(e, 1); err != nil {
			faults++
		}
		if _, err := e.Compact(ctx); err != nil {
			faults++
		}
	}
	// What it says of closing such a store does not matter here.
	_ = e.Close()
	return faults, nil
}
