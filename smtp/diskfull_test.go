package smtp

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine/local"
	"tripost/wire/wiretest"
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

// When the disk is full the client is told to come again, for small and for
// large messages, nothing is left of the message, and service goes on when there
// is room again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	d := new(disk)
	e, err := local.Open(t.TempDir(), local.Options{FS: d})
	must(t, err)
	w := worldOn(t, func() *store.Store {
		st, err := store.New(t.Context(), e, store.Options{})
		must(t, err)
		t.Cleanup(func() { st.Close() })
		return st
	})
	w.listen()
	talk(t, w, "before", "HI\nSEND joe@client.test ann@example.test\n")
	for name, size := range map[string]string{"small": "10", "large": "400000"} {
		d.full.Store(true)
		talk(t, w, name, "HI\nC: MAIL FROM:<joe@client.test>\nS: 250 *\nC: RCPT TO:<ann@example.test>\nS: 250 *\n"+
			"C: DATA\nS: 354 *\nC: {"+size+"*x}\nC: .\nS: 452 4.3.1 no storage at the moment, try again later\nC: NOOP\nS: 250 *\n")
		d.full.Store(false)
		deadline := time.After(wiretest.Patience)
		for e.Status().ReadOnly != nil {
			select {
			case <-deadline:
				t.Fatal("the store stays read-only")
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	talk(t, w, "after", "HI\nSEND joe@client.test ann@example.test\n")
	if n := len(w.mailbox("ann@example.test/INBOX")); n != 2 {
		t.Errorf("%d messages, want the 2 that were taken", n)
	}
}
