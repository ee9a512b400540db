package history

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine/local"
)

// disk is a file system that can be full.
type disk struct {
	local.OS
	full atomic.Bool
}

func (d *disk) OpenFile(name string, flag int, perm os.FileMode) (local.File, error) {
	f, err := d.OS.OpenFile(name, flag, perm)
	return &diskFile{f, d}, err
}

type diskFile struct {
	local.File
	disk *disk
}

func (f *diskFile) WriteAt(p []byte, at int64) (int, error) {
	if f.disk.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.WriteAt(p, at)
}

// TestDiskFull tells what is written while nothing more can be.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	d := new(disk)
	e, err := local.Open(t.TempDir(), local.Options{FS: d})
	must(t, err)
	reads := NewReads(nil)
	st, err := store.New(t.Context(), e, store.Options{History: Record, Reads: reads.Note})
	must(t, err)
	defer st.Close()
	w := &world{t: t, ctx: t.Context(), now: time.Now(), History: New(st, reads, Options{})}
	must(t, st.Update(w.ctx, func(tx *store.Tx) (err error) {
		w.ann, err = tx.CreateAccount()
		return err
	}))
	w.deliver(w.draft("a@x", 1), "INBOX")
	const want = "received delivered INBOX/1:there"
	if got := w.tells("a@x"); got != want {
		t.Fatal(got)
	}
	v := w.open("INBOX")
	v.Read(1)
	d.full.Store(true)
	if got := w.tells("a@x"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	d.full.Store(false)
	v.Close()
}
