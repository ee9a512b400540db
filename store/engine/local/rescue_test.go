package local_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"tripost/store/engine"
	"tripost/store/engine/local"
)

// rescued reads all that Rescue finds.
func rescued(t *testing.T, dir string) (bodies map[string]bool, result local.RescueResult, faults []engine.Fault) {
	t.Helper()
	bodies = map[string]bool{}
	result, err := local.Rescue(context.Background(), dir, local.Options{}, func(b local.Rescued) error {
		text, err := io.ReadAll(b.Read)
		if int64(len(text)) != b.Size {
			t.Errorf("%s has %d octets of %d", b.Place, len(text), b.Size)
		}
		bodies[string(text)] = true
		return err
	}, func(f engine.Fault) { faults = append(faults, f) })
	if err != nil {
		t.Fatal(err)
	}
	return bodies, result, faults
}

// stored is a store with some records that has been closed.
func stored(t *testing.T, records uint32) (dir string, l *ledger) {
	t.Helper()
	dir, l = t.TempDir(), newLedger()
	e, err := local.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	for id := range records {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, present)
	}
	for id := uint32(0); id < records; id += 10 {
		if err := removeRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, absent)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, l
}

func TestRescue(t *testing.T) {
	t.Parallel()
	dir, l := stored(t, 120)
	if err := os.Remove(filepath.Join(dir, "index.db")); err != nil {
		t.Fatal(err)
	}
	bodies, result, faults := rescued(t, dir)
	for _, id := range l.ids(present) {
		if !bodies[string(bodyOf(id))] {
			t.Errorf("body %d is missing", id)
		}
	}
	if len(faults) > 0 || result.Bodies != len(l.ids(present)) || result.Dropped == 0 {
		t.Errorf("%+v, faults %v", result, faults)
	}
}

func TestRescueOpenStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := local.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := local.Rescue(context.Background(), dir, local.Options{LockTimeout: 1}, nil, nil); !errors.Is(err, engine.ErrInUse) {
		t.Errorf("rescued from an open store: %v", err)
	}
}

// TestRescueDamaged passes over what is damaged, and says where: a record in the
// middle of a segment, and the header of another segment with its salt.
func TestRescueDamaged(t *testing.T) {
	t.Parallel()
	dir, l := stored(t, 120)
	for name, offset := range map[string]int64{"00000001.seg": 20_000, "00000002.seg": 50} {
		f, err := os.OpenFile(filepath.Join(dir, "journal", name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("rotten"), offset); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	bodies, _, faults := rescued(t, dir)
	lost := 0
	for _, id := range l.ids(present) {
		if !bodies[string(bodyOf(id))] {
			lost++
		}
	}
	if lost > 1 || len(faults) != 1 {
		t.Errorf("%d bodies lost, faults %v", lost, faults)
	}
}

// TestRebuild makes an index from the journal alone.
func TestRebuild(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(string) error{
		"missing": os.Remove,
		"cut":     func(name string) error { return os.Truncate(name, 5000) },
		"empty":   func(name string) error { return os.Truncate(name, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, l := stored(t, 150)
			if err := spoil(filepath.Join(dir, "index.db")); err != nil {
				t.Fatal(err)
			}
			if err := local.Rebuild(dir, "", local.Options{}); err != nil {
				t.Fatal(err)
			}
			mustMatch(t, dir, small(), l, false)
		})
	}
}

// TestRebuildFromBackup needs the backup's index: compaction has removed what
// came before, and the copy is lost as well.
func TestRebuildFromBackup(t *testing.T) {
	t.Parallel()
	dir, l := stored(t, 100)
	e, err := local.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range l.ids(present) {
		if err := removeRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, absent)
	}
	if _, err := e.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := e.Backup(context.Background(), copied, ""); err != nil {
		t.Fatal(err)
	}
	for id := uint32(200); id < 240; id++ {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, present)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "index.db")
	if err := errors.Join(os.Truncate(name, 9000), os.Remove(filepath.Join(dir, "index.copy"))); err != nil {
		t.Fatal(err)
	}
	if err := local.Rebuild(dir, "", local.Options{}); !errors.Is(err, engine.ErrDamaged) {
		t.Errorf("rebuilt without what is missing: %v", err)
	}
	if info, err := os.Stat(name); err != nil || info.Size() != 9000 {
		t.Errorf("the index was not left as it was: %v, %v", info, err)
	}
	if err := local.Rebuild(dir, copied, local.Options{}); err != nil {
		t.Fatal(err)
	}
	mustMatch(t, dir, small(), l, false)
}
