package queue

import (
	"context"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/router"
	"tripost/smtp/sinktest"
	"tripost/store"
	"tripost/store/engine/local"
)

// disk is a file system that can be full.
type disk struct {
	local.OS
	full    atomic.Bool
	refused atomic.Int64 // writes
}

func (d *disk) OpenFile(name string, flag int, perm os.FileMode) (local.File, error) {
	f, err := d.OS.OpenFile(name, flag, perm)
	return &diskFile{f, d}, err
}

func (d *disk) CommitIndex(_ string, commit func() error) error {
	if d.full.Load() {
		d.refused.Add(1)
		return syscall.ENOSPC
	}
	return commit()
}

type diskFile struct {
	local.File
	disk *disk
}

func (f *diskFile) WriteAt(p []byte, at int64) (int, error) {
	if f.disk.full.Load() {
		f.disk.refused.Add(1)
		return 0, syscall.ENOSPC
	}
	return f.File.WriteAt(p, at)
}

// The disk is full when the peer has just taken the message: nobody can write
// that down. The peer gets it once all the same.
func TestSenderDiskFull(t *testing.T) {
	t.Parallel()
	d := new(disk)
	e, err := local.Open(t.TempDir(), local.Options{FS: d})
	must(t, err)
	ctx := context.Background()
	st, err := store.New(ctx, e, store.Options{})
	must(t, err)
	defer st.Close()
	dir := accounts.New(st, accounts.Options{})
	_, err = dir.AddDomain(ctx, "example.test")
	must(t, err)
	w := &world{t: t, ctx: ctx, dir: dir, now: time.Now()}
	w.Queue = New(st, router.New(dir, router.Options{}), dir, Options{Now: w.clock})

	taken := make(chan struct{})
	s := sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
		if command == "data" {
			d.full.Store(true)
			close(taken)
		}
		return ""
	}})
	n := newInternet()
	n.host("client.test", "192.0.2.1", s)
	w.submit("ann@example.test", "joe@client.test")
	w.submit("ann@example.test", "jim@client.test")

	sender := NewSender(w.Queue, SenderOptions{DNS: n, Dial: n.dial, PerHost: 1})
	sender.pause = time.Millisecond
	run, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- sender.Run(run) }()
	<-taken
	w.until("it could not be recorded some times", func() bool { return e.Status().ReadOnly != nil && d.refused.Load() > 0 })
	if items := w.items(); len(items) != 2 {
		t.Errorf("the queue is %+v", items)
	}
	cancel() // the attempt in flight may still be recorded, no other one begins
	d.full.Store(false)
	must(t, <-ended)
	if n := len(s.Messages()); n != 1 {
		t.Errorf("the peer got %d messages", n)
	}
	if it := w.only(); it.Recipients[0].Address != "jim@client.test" {
		t.Errorf("left: %+v", it)
	}
}
