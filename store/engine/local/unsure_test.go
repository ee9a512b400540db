package local_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"tripost/store/engine"
	"tripost/store/engine/local"
)

// changeEntry rewrites a blob's entry of the body map in a store that is
// closed, and its key. fn returns them.
func changeEntry(t *testing.T, dir string, b engine.Blob, fn func(key, value []byte) ([]byte, []byte)) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "index.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	key := binary.BigEndian.AppendUint64([]byte("\x00b"), uint64(b))
	err = db.Update(func(tx *bbolt.Tx) error {
		keys := tx.Bucket([]byte("keys"))
		value := slices.Clone(keys.Get(key))
		if err := keys.Delete(key); err != nil {
			return err
		}
		return keys.Put(fn(slices.Clone(key), value))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// bodyFiles lists the files that hold bodies.
func bodyFiles(t *testing.T, dir string) []string {
	t.Helper()
	names := segmentFiles(t, dir)
	large, err := filepath.Glob(filepath.Join(dir, "large", "*.msg"))
	if err != nil {
		t.Fatal(err)
	}
	return append(names, large...)
}

// TestDamagedEntry spoils an entry of the body map. It may be the only one that
// says why a file is needed: the store opens and works, but no file that was
// there goes, and a backup has it too. Opening notices it when it counts, and where the
// body is a file of its own; compaction in any case.
func TestDamagedEntry(t *testing.T) {
	t.Parallel()
	// Value: version, codec, segment, offset, length in one to three octets each.
	tests := map[string]func(key, value []byte) ([]byte, []byte){
		"version":          func(k, v []byte) ([]byte, []byte) { v[0] ^= 0x40; return k, v },
		"cut short":        func(k, v []byte) ([]byte, []byte) { return k, v[:4] },
		"another segment":  func(k, v []byte) ([]byte, []byte) { v[2] ^= 0x40; return k, v },
		"too long":         func(k, v []byte) ([]byte, []byte) { return k, longEntry(v) },
		"key of no number": func(k, v []byte) ([]byte, []byte) { return k[:9], v },
	}
	for name, damage := range tests {
		for size, kind := range map[int]string{8: "small", 300 << 10: "large"} {
			if name == "too long" && kind == "large" {
				continue // as long as its file says, which reading it finds out
			}
			for how, o := range map[string]local.Options{"counted": local.Options{}.Recount(), "tallied": {}} {
				t.Run(name+" "+kind+" "+how, func(t *testing.T) {
					t.Parallel()
					damagedEntry(t, o, size, how == "counted" || kind == "large", damage)
				})
			}
		}
	}
}

// longEntry returns an entry of the same place with a length beyond its file.
func longEntry(v []byte) []byte {
	at := 2
	for range 2 {
		_, n := binary.Uvarint(v[at:])
		at += n
	}
	_, n := binary.Uvarint(v[at:])
	return slices.Concat(v[:at], binary.AppendUvarint(nil, 1<<62), v[at+n:])
}

func damagedEntry(t *testing.T, o local.Options, size int, atOpening bool, damage func(key, value []byte) ([]byte, []byte)) {
	dir := scratch(t)
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := keep(t, e, draftOf(t, e, 'a', size))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	changeEntry(t, dir, b, damage)
	before := bodyFiles(t, dir)

	if e, err = local.Open(dir, o); err != nil {
		t.Fatal(err)
	}
	if got := e.Status().Recovered; strings.Contains(got, "1 entries of the body map make no sense") != atOpening {
		t.Errorf("recovered %q", got)
	}
	ctx := context.Background()
	for range 2 { // a commit in a new segment, a checkpoint
		if err := putRecord(e, 1); err != nil {
			t.Fatal(err)
		}
		if err := removeRecord(e, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Compact(ctx); !errors.Is(err, engine.ErrDamaged) {
			t.Errorf("compact: %v", err)
		}
	}
	faults := 0
	if _, err := e.Check(ctx, func(engine.Fault) { faults++ }); err != nil || faults == 0 {
		t.Errorf("check reports %d faults, %v", faults, err)
	}
	copied := scratch(t)
	if err := e.Backup(ctx, copied, ""); err != nil {
		t.Errorf("backup: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range before {
		for _, home := range []string{dir, copied} {
			name := strings.Replace(name, dir, home, 1)
			if _, err := os.Stat(name); err != nil {
				t.Errorf("a body's file is gone: %v", err)
			}
		}
	}
}
