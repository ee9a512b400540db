package local_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tripost/store/engine/enginetest"
	"tripost/store/engine/local"
)

func TestBackup(t *testing.T) {
	t.Parallel()
	e, l := filled(t, small(), 150)
	for id := range uint32(30) {
		if err := removeRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, absent)
	}
	// Others write, drop and compact while the copy is made.
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for id := uint32(1000); ; id++ {
			select {
			case <-stop:
				return
			default:
			}
			l.set(id, unknown)
			if err := putRecord(e, id); err != nil {
				t.Error(err)
				return
			}
			if id%20 == 0 {
				if _, err := e.Compact(context.Background()); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	for range 5 {
		dir := filepath.Join(t.TempDir(), "copy")
		if err := e.Backup(context.Background(), dir, ""); err != nil {
			t.Fatal(err)
		}
		mustMatch(t, dir, small(), l, true)
		if err := e.Backup(context.Background(), dir, ""); !os.IsExist(err) && err == nil {
			t.Error("a second backup went into the same directory")
		}
	}
	close(stop)
	<-stopped
	enginetest.CheckClean(t, e)
}

// TestBackupAgain makes the second copy where the file system of the store
// cannot share files, so that it shares with the first one or not at all.
func TestBackupAgain(t *testing.T) {
	t.Parallel()
	o := small()
	o.FS = elsewhere{local.OS{}, t.TempDir()}
	e, l := filled(t, o, 150)
	first := filepath.Join(o.FS.(elsewhere).copies, "first")
	if err := e.Backup(context.Background(), first, ""); err != nil {
		t.Fatal(err)
	}
	for id := uint32(200); id < 210; id++ {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, present)
	}
	rot(t, filepath.Join(first, "large"))
	second := filepath.Join(o.FS.(elsewhere).copies, "second")
	if err := e.Backup(context.Background(), second, first); err != nil {
		t.Fatal(err)
	}
	shared, own := 0, 0
	for _, sub := range []string{"journal", "large"} {
		entries, err := os.ReadDir(filepath.Join(second, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			a, _ := os.Stat(filepath.Join(first, sub, entry.Name()))
			b, err := entry.Info()
			if err != nil {
				t.Fatal(err)
			}
			if a != nil && os.SameFile(a, b) {
				shared++
			} else {
				own++
			}
		}
	}
	if shared < 3 || own < 2 {
		t.Errorf("%d files are shared with the first copy, %d are not", shared, own)
	}
	mustMatch(t, second, small(), l, false)
}

// rot changes an octet of one file in a directory.
func rot(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d files in %q, %v", len(entries), dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, entries[0].Name()), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("?!"), 3); err != nil {
		t.Fatal(err)
	}
}

// elsewhere is a file system on which links reach only within the copies.
type elsewhere struct {
	local.OS
	copies string
}

func (e elsewhere) Link(from, to string) error {
	if !strings.HasPrefix(from, e.copies) {
		return syscall.EXDEV
	}
	return e.OS.Link(from, to)
}
