package local_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tripost/store/engine"
	"tripost/store/engine/enginetest"
	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

// faultRun is one run of the same few operations, with one fault somewhere.
type faultRun struct {
	t    *testing.T
	fs   *faultfs.FS
	dir  string
	e    *local.Engine
	l    *ledger
	heal bool // probe after each refusal, and go on
}

func (f *faultRun) options() local.Options {
	o := small()
	o.FS = f.fs
	o.CheckpointEvery = time.Hour // every operation has its place in the order
	o.OverlayBytes = 1 << 20
	o.CompactEvery = time.Hour
	return o
}

// operations do what makes every kind of file operation happen.
func (f *faultRun) operations() {
	for id := range uint32(6) {
		f.put(id)
	}
	f.put(7) // a large one
	f.remove(2)
	f.compact()
	for id := uint32(40); id < 48; id++ {
		f.put(id) // the last is large
	}
	f.remove(3)
	f.remove(7)
	f.compact()
	f.put(50)
	copied := scratch(f.t)
	defer os.RemoveAll(copied)
	if err := f.e.Backup(context.Background(), filepath.Join(copied, "store"), ""); err != nil && !errors.Is(err, errInjected) {
		f.t.Errorf("backup: %v", err)
	}
}

func (f *faultRun) put(id uint32) {
	err := putRecord(f.e, id)
	f.l.set(id, present)
	if err != nil {
		f.l.set(id, refused)
		f.refusal(err)
	}
}

func (f *faultRun) remove(id uint32) {
	if f.l.records[id] != present {
		return
	}
	err := removeRecord(f.e, id)
	f.l.set(id, absent)
	if err != nil {
		f.l.set(id, unremove)
		f.refusal(err)
	}
}

func (f *faultRun) compact() {
	if _, err := f.e.Compact(context.Background()); err != nil {
		f.refusal(err)
	}
}

// refusal checks that an error says what it must, and that reading goes on.
func (f *faultRun) refusal(err error) {
	f.t.Helper()
	if !errors.Is(err, engine.ErrReadOnly) || !errors.Is(err, errInjected) {
		f.t.Errorf("refused with %v", err)
	}
	if err := f.l.compare(f.e, false); err != nil {
		f.t.Errorf("after a refusal: %v", err)
	}
	if f.heal {
		if err := f.e.Probe(context.Background()); err != nil {
			f.t.Errorf("probe: %v", err)
		}
	}
}

var errInjected = syscall.EIO

// TestFaultInEveryOperation lets each operation on a file fail in turn, in
// several ways. Nothing acknowledged is lost, nothing refused is seen, and the
// store takes updates again when the disk does.
func TestFaultInEveryOperation(t *testing.T) {
	t.Parallel()
	variants := []struct {
		name   string
		fault  faultfs.Fault
		sticky bool // the disk fails until the end of the operations
	}{
		{"once", faultfs.Fault{Err: errInjected}, false},
		{"short", faultfs.Fault{Err: errInjected, Short: true}, false},
		{"done but reported failed", faultfs.Fault{Err: errInjected, After: true}, false},
		{"from then on", faultfs.Fault{Err: errInjected, Short: true, After: true}, true},
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				var hit atomic.Bool
				fault := func(i int, _ faultfs.Op) faultfs.Fault {
					if i == n || v.sticky && i > n {
						hit.Store(true)
						return v.fault
					}
					return faultfs.Fault{}
				}
				runWithFault(t, fault, !v.sticky)
				if t.Failed() {
					t.Fatalf("operation %d", n)
				}
				if !hit.Load() {
					t.Logf("%d operations", n-1)
					return
				}
			}
		})
	}
}

func runWithFault(t *testing.T, fault func(int, faultfs.Op) faultfs.Fault, heal bool) {
	t.Helper()
	root := scratch(t)
	defer os.RemoveAll(root)
	f := &faultRun{t: t, dir: filepath.Join(root, "store"), l: newLedger(), heal: heal}
	f.fs = faultfs.New(f.dir)
	f.fs.FailWhen(fault)
	e, err := local.Open(f.dir, f.options())
	if err != nil {
		if !errors.Is(err, errInjected) {
			t.Errorf("open: %v", err)
		}
		f.fs.FailWhen(nil)
		if e, err = local.Open(f.dir, f.options()); err != nil {
			t.Fatalf("opening what an interrupted creation left: %v", err)
		}
	}
	f.e = e
	f.operations()
	f.crashCopy()
	f.fs.FailWhen(nil)
	if err := e.Probe(context.Background()); err != nil {
		t.Errorf("probe on a good disk: %v", err)
	}
	if err := putRecord(e, 100); err != nil {
		t.Errorf("put on a good disk: %v", err)
	}
	f.l.set(100, present)
	if err := f.l.compare(e, false); err != nil {
		t.Errorf("after recovery: %v", err)
	}
	enginetest.CheckClean(t, e)
	if err := e.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	mustMatch(t, f.dir, small(), f.l, false)
}

// crashCopy opens the store as it would be had the process been killed now.
func (f *faultRun) crashCopy() {
	f.t.Helper()
	dir := scratch(f.t)
	defer os.RemoveAll(dir)
	if err := f.e.Still(func() error { return faultfs.CopyDir(f.dir, dir) }); err != nil {
		f.t.Fatal(err)
	}
	mustMatch(f.t, dir, small(), f.l, true)
}

// TestFaultWhileReopening closes and opens on a disk that takes no writes: mail
// can still be read, and nothing is lost.
func TestFaultWhileReopening(t *testing.T) {
	t.Parallel()
	f := &faultRun{t: t, dir: scratch(t), l: newLedger()}
	f.fs = faultfs.New(f.dir)
	e, err := local.Open(f.dir, f.options())
	if err != nil {
		t.Fatal(err)
	}
	f.e = e
	for id := range uint32(5) {
		f.put(id)
	}
	full := func(_ int, op faultfs.Op) faultfs.Fault {
		switch op.Kind {
		case "write", "create", "index":
			return faultfs.Fault{Err: syscall.EIO, Short: true}
		}
		return faultfs.Fault{}
	}
	f.fs.FailWhen(full)
	f.put(5)
	if e.Status().ReadOnly == nil {
		t.Error("status does not say that the store is read-only")
	}
	if err := e.Close(); err != nil {
		t.Errorf("closing a read-only store: %v", err)
	}
	if f.e, err = local.Open(f.dir, f.options()); err != nil {
		t.Fatalf("opening on a full disk: %v", err)
	}
	if err := f.l.compare(f.e, false); err != nil {
		t.Errorf("opened on a full disk: %v", err)
	}
	f.put(6)
	if err := f.e.Probe(context.Background()); !errors.Is(err, engine.ErrReadOnly) {
		t.Errorf("probe on a full disk: %v", err)
	}
	f.fs.FailWhen(nil)
	if err := f.e.Probe(context.Background()); err != nil {
		t.Errorf("probe on a good disk: %v", err)
	}
	f.put(8)
	if err := f.e.Close(); err != nil {
		t.Error(err)
	}
	mustMatch(t, f.dir, small(), f.l, false)
}

// TestFaultInIndex lets a commit of the index fail when all of it was written.
// Neither this process nor the next one goes on with that file.
func TestFaultInIndex(t *testing.T) {
	t.Parallel()
	f := &faultRun{t: t, dir: scratch(t), l: newLedger()}
	f.fs = faultfs.New(f.dir)
	e, err := local.Open(f.dir, f.options())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	f.e = e
	f.put(1)
	f.fs.FailWhen(func(_ int, op faultfs.Op) faultfs.Fault {
		if op.Kind == "index" {
			return faultfs.Fault{Err: errInjected, After: true}
		}
		return faultfs.Fault{}
	})
	f.compact()
	if e.Status().ReadOnly == nil {
		t.Error("the store is not read-only")
	}
	killed := scratch(t)
	if err := e.Still(func() error { return faultfs.CopyDir(f.dir, killed) }); err != nil {
		t.Fatal(err)
	}

	replaced := false
	watch := func(_ int, op faultfs.Op) faultfs.Fault {
		replaced = replaced || op.Kind == "rename" && op.Name == "index.db.new"
		return faultfs.Fault{}
	}
	f.fs.FailWhen(watch)
	if err := e.Probe(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !replaced {
		t.Error("this process goes on with the index file")
	}
	f.put(2)
	if err := f.l.compare(e, false); err != nil {
		t.Error(err)
	}

	replaced = false
	o := f.options()
	next := faultfs.New(killed)
	next.FailWhen(watch)
	o.FS = next
	second, err := local.Open(killed, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := putRecord(second, 2); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if !replaced {
		t.Error("the next process goes on with the index file")
	}
	mustMatch(t, killed, small(), f.l, false)
	if left, _ := filepath.Glob(filepath.Join(killed, "index.*")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// TestFaultFailsWholeGroup lets the sync of a group of many fail: all of its
// members are refused, and none is seen.
func TestFaultFailsWholeGroup(t *testing.T) {
	t.Parallel()
	f := &faultRun{t: t, dir: scratch(t), l: newLedger()}
	f.fs = faultfs.New(f.dir)
	e, err := local.Open(f.dir, f.options())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := putRecord(e, 1000); err != nil { // begins a segment
		t.Fatal(err)
	}
	f.l.set(1000, present)
	release := make(chan struct{})
	results := make(chan error, 20)
	e.Hold(release)
	f.fs.FailWhen(func(_ int, op faultfs.Op) faultfs.Fault {
		if op.Kind == "sync" {
			return faultfs.Fault{Err: errInjected, After: true}
		}
		return faultfs.Fault{}
	})
	for id := range uint32(20) {
		f.l.set(id, refused)
		go func() {
			if bodySize(id) > 20_000 {
				id = 999 // large ones have syncs of their own
			}
			results <- putRecord(e, id)
		}()
	}
	waitFor(t, e, 20)
	close(release)
	for range cap(results) {
		if err := <-results; !errors.Is(err, engine.ErrReadOnly) {
			t.Errorf("refused with %v", err)
		}
	}
	if err := f.l.compare(e, false); err != nil {
		t.Error(err)
	}
	f.e = e
	f.crashCopy()
	f.fs.FailWhen(nil)
	if err := e.Probe(context.Background()); err != nil {
		t.Error(err)
	}
	// From now on not even a crash brings the group back.
	copied := scratch(t)
	if err := e.Still(func() error { return faultfs.CopyDir(f.dir, copied) }); err != nil {
		t.Fatal(err)
	}
	mustMatch(t, copied, small(), f.l, false)
}

// waitFor waits until some Updates are in the committer's queue.
func waitFor(t *testing.T, e *local.Engine, updates int) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for e.Waiting() < updates {
		select {
		case <-deadline:
			t.Fatalf("%d Updates wait, want %d", e.Waiting(), updates)
		default:
			runtime.Gosched()
		}
	}
}

// TestFaultTakesErrorsBack lets an Update refuse for what another one of its
// group did, and then the sync of that group fail: the reason never was, so
// neither may be refused for it.
func TestFaultTakesErrorsBack(t *testing.T) {
	t.Parallel()
	f := &faultRun{t: t, dir: scratch(t), l: newLedger()}
	f.fs = faultfs.New(f.dir)
	e, err := local.Open(f.dir, f.options())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := putRecord(e, 1); err != nil { // begins a segment
		t.Fatal(err)
	}
	f.fs.FailWhen(func(_ int, op faultfs.Op) faultfs.Fault {
		if op.Kind == "sync" {
			return faultfs.Fault{Err: errInjected}
		}
		return faultfs.Fault{}
	})
	exists := errors.New("mailbox exists")
	create := func(tx engine.Tx) error {
		if v, _ := tx.Get([]byte("x")); v != nil {
			return exists
		}
		tx.Put([]byte("x"), nil)
		return nil
	}
	const creators = 20
	release := make(chan struct{})
	results := make(chan error, creators)
	e.Hold(release)
	refused := 0
	for range creators {
		go func() {
			results <- e.Update(context.Background(), func(tx engine.Tx) error {
				err := create(tx)
				if err != nil {
					refused++ // on the committer's goroutine
				}
				return err
			})
		}()
	}
	waitFor(t, e, creators)
	close(release)
	for range cap(results) {
		if err := <-results; !errors.Is(err, engine.ErrReadOnly) || errors.Is(err, exists) {
			t.Errorf("refused with %v", err)
		}
	}
	if refused == 0 {
		t.Error("no two Updates shared a group")
	}
}

// TestFaultIsProbed waits for the background to find that the disk is well.
func TestFaultIsProbed(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	fs := faultfs.New(dir)
	logged := make(chan string, 10)
	e, err := local.Open(dir, local.Options{FS: fs, ProbeEvery: time.Millisecond, Logf: func(level int, text string) {
		logged <- fmt.Sprintf("%d %s", level, text)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var failed atomic.Bool
	fs.FailWhen(func(_ int, op faultfs.Op) faultfs.Fault {
		if op.Kind == "sync" && failed.CompareAndSwap(false, true) {
			return faultfs.Fault{Err: syscall.ENOSPC}
		}
		return faultfs.Fault{}
	})
	if err := putRecord(e, 1); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("put: %v", err)
	}
	for _, want := range []string{"1 store is read-only: ", "2 store takes updates again"} {
		select {
		case line := <-logged:
			if len(line) < len(want) || line[:len(want)] != want {
				t.Errorf("logged %q, want %q", line, want)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("nothing logged, want %q", want)
		}
	}
	if err := putRecord(e, 2); err != nil {
		t.Errorf("put after recovery: %v", err)
	}
}
