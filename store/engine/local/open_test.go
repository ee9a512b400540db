package local_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tripost/store/engine"
	"tripost/store/engine/enginetest"
	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

func TestInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, dir, local.Options{LockTimeout: -1}, engine.ErrInUse, fmt.Sprintf("process %d has the store", os.Getpid()))

	// The next one gets it as soon as this one lets go.
	opened := make(chan error)
	go func() {
		next, err := local.Open(dir, local.Options{LockTimeout: time.Minute})
		if err == nil {
			err = next.Close()
		}
		opened <- err
	}()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("opening after the first process let go: %v", err)
	}
}

func TestNewerFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
	change(t, filepath.Join(dir, "FORMAT"), func([]byte) []byte { return []byte("tripost store, format 2\n") })
	mustRefuse(t, dir, local.Options{}, engine.ErrNewerFormat, "it has format 2, this program knows formats up to 1")
	change(t, filepath.Join(dir, "FORMAT"), func([]byte) []byte { return []byte("something else\n") })
	mustRefuse(t, dir, local.Options{}, engine.ErrDamaged, "does not say which format")
	if err := os.Remove(filepath.Join(dir, "FORMAT")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "journal", "00000001.seg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, dir, local.Options{}, engine.ErrDamaged, "has no file FORMAT")
}

func TestMissingIndex(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(name string) error{
		"missing": os.Remove,
		"cut":     func(name string) error { return os.Truncate(name, 5000) },
		"empty":   func(name string) error { return os.Truncate(name, 0) },
		"zeros":   func(name string) error { return errors.Join(os.Truncate(name, 0), os.Truncate(name, 1<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			e, err := local.Open(dir, local.Options{})
			if err != nil {
				t.Fatal(err)
			}
			e.Close()
			if err := damage(filepath.Join(dir, "index.db")); err != nil {
				t.Fatal(err)
			}
			mustRefuse(t, dir, local.Options{}, local.ErrIndex, "index.db")
		})
	}
}

// TestModes keeps mail from other users of the machine.
func TestModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	e, err := local.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	for id := range uint32(8) { // the last one is large
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
	}
	e.Close()
	seen := map[string]bool{}
	err = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		seen[filepath.Ext(name)] = true
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	})
	if err != nil || !seen[".seg"] || !seen[".msg"] || !seen[".db"] {
		t.Errorf("files seen: %v, %v", seen, err)
	}
}

// TestLittleAddressSpace asks for more than the system grants.
func TestLittleAddressSpace(t *testing.T) {
	t.Parallel()
	e, err := local.Open(t.TempDir(), local.Options{IndexMap: 1 << 47})
	if err != nil {
		t.Fatal(err)
	}
	if err := putRecord(e, 1); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	e, err := local.Open(t.TempDir(), local.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	before := e.Status()
	for id := range uint32(5) {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
	}
	s := e.Status()
	if s.Engine != "local" || s.Format != 1 || s.ReadOnly != nil || !s.Opened.Equal(now) || s.Recovered != "" {
		t.Errorf("status %+v", s)
	}
	// The first group begins a segment, which has a sync of its own and one of
	// the directory.
	if s.Commits-before.Commits != 5 || s.Updates-before.Updates != 5 || s.Syncs-before.Syncs != 7 {
		t.Errorf("five updates took %d commits and %d syncs", s.Commits-before.Commits, s.Syncs-before.Syncs)
	}
	if s.LiveOctets <= 0 || s.DiskOctets <= s.LiveOctets {
		t.Errorf("%d octets live of %d", s.LiveOctets, s.DiskOctets)
	}
}

// TestReplayAll opens what a kill leaves when nothing is in the index yet.
func TestReplayAll(t *testing.T) {
	t.Parallel()
	dir, l := crashedStore(t, 50, local.Options{})
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Status().Recovered; got != "50 commit groups replayed from the journal" {
		t.Errorf("recovered %q", got)
	}
	if err := l.compare(e, false); err != nil {
		t.Error(err)
	}
	e.Close()
	mustMatch(t, dir, local.Options{}, l, false)
}

// TestOrphans removes the file of a large body that no commit names.
func TestOrphans(t *testing.T) {
	t.Parallel()
	live, dir := t.TempDir(), t.TempDir()
	e, err := local.Open(live, small())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	d, err := e.Draft(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	enginetest.CheckClean(t, e) // a draft in progress is no fault
	if err := faultfs.CopyDir(live, dir); err != nil {
		t.Fatal(err)
	}
	crashed, err := local.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	defer crashed.Close()
	if got := crashed.Status().Recovered; got != "1 unfinished body files removed" {
		t.Errorf("recovered %q", got)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "large", "*")); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

var writeFixture = flag.Bool("write-fixture", false, "write testdata/format1 anew")

// TestFormat1 opens a store written by the first release of the format: part
// of it in the index, part in the journal alone, with a torn tail.
func TestFormat1(t *testing.T) {
	t.Parallel()
	fixture := filepath.Join("testdata", "format1")
	o := local.Options{LargeBody: 20 << 10, IndexMap: 1 << 20, IndexGrow: 4096}
	if *writeFixture {
		makeFixture(t, fixture, o)
	}
	dir := t.TempDir()
	if err := faultfs.CopyDir(fixture, dir); err != nil {
		t.Fatal(err)
	}
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := e.Status().Recovered; !strings.Contains(got, "4 commit groups replayed") || !strings.Contains(got, "17 octets of an unfinished group") {
		t.Errorf("recovered %q", got)
	}
	if err := fixtureLedger().compare(e, false); err != nil {
		t.Error(err)
	}
	enginetest.CheckClean(t, e)
}

func fixtureLedger() *ledger {
	l := newLedger()
	for id := range uint32(11) {
		l.set(id, present)
	}
	l.set(2, absent)
	l.set(4, absent)
	return l
}

func makeFixture(t *testing.T, fixture string, o local.Options) {
	t.Helper()
	live := t.TempDir()
	for part := range uint32(2) {
		e, err := local.Open(live, o)
		if err != nil {
			t.Fatal(err)
		}
		first, last := part*8, 8+part*3
		for id := first; id < last; id++ { // 7 is large
			if err := putRecord(e, id); err != nil {
				t.Fatal(err)
			}
		}
		if err := removeRecord(e, 2+2*part); err != nil {
			t.Fatal(err)
		}
		if part == 1 {
			if err := os.RemoveAll(fixture); err != nil {
				t.Fatal(err)
			}
			if err := faultfs.CopyDir(live, fixture); err != nil {
				t.Fatal(err)
			}
			os.Remove(filepath.Join(fixture, "lock"))
			names := segmentFiles(t, fixture)
			change(t, names[len(names)-1], func(b []byte) []byte { return append(b, "tpr1 unfinished.."...) })
		}
		e.Close()
	}
}

func TestCheckpointInTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	checkpointed := make(chan struct{}, 100)
	fs := &indexWatch{done: checkpointed}
	e, err := local.Open(dir, local.Options{FS: fs, CheckpointEvery: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := putRecord(e, 1); err != nil {
		t.Fatal(err)
	}
	select {
	case <-checkpointed:
	case <-time.After(2 * time.Minute):
		t.Fatal("no checkpoint")
	}
}

// indexWatch tells of commits of the index.
type indexWatch struct {
	local.OS
	done chan struct{}
}

func (w *indexWatch) CommitIndex(_ string, commit func() error) error {
	err := commit()
	select {
	case w.done <- struct{}{}:
	default:
	}
	return err
}

func TestUpdateAfterClosedStoreIsRefused(t *testing.T) {
	t.Parallel()
	e, err := local.Open(t.TempDir(), local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Draft(context.Background(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("discarding a draft after Close: %v", err)
	}
	if err := e.Backup(context.Background(), t.TempDir(), ""); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("backup after Close: %v", err)
	}
}
