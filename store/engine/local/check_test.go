package local_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/store/engine"
	"tripost/store/engine/enginetest"
	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

// heldContext stops who first asks whether it has ended, until release.
type heldContext struct {
	context.Context
	once          sync.Once
	held, release chan struct{}
}

func (c *heldContext) Err() error {
	c.once.Do(func() {
		close(c.held)
		<-c.release
	})
	return c.Context.Err()
}

// TestCheckHoldsUpNobody stops Check in the middle of the index, whose commits
// go on, since Updates would have to wait for them. What it then finds is the
// index as it was.
func TestCheckHoldsUpNobody(t *testing.T) {
	t.Parallel()
	e, l := filled(t, small(), 200)
	if _, err := e.Compact(context.Background()); err != nil { // all is in the index
		t.Fatal(err)
	}
	// Check asks for the first time when it is at the pages of the index.
	ctx := &heldContext{Context: context.Background(), held: make(chan struct{}), release: make(chan struct{})}
	checked := make(chan error, 1)
	var faults []engine.Fault
	go func() {
		_, err := e.Check(ctx, func(f engine.Fault) { faults = append(faults, f) })
		checked <- err
	}()
	<-ctx.held
	updated := make(chan error, 1)
	go func() {
		// Many times the overlay, over what is there and beside it.
		for id := range uint32(200) {
			if err := removeRecord(e, id); err != nil {
				updated <- err
				return
			}
			if err := putRecord(e, 1000+id); err != nil {
				updated <- err
				return
			}
		}
		updated <- nil
	}()
	select {
	case err := <-updated:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("updates wait for Check")
	}
	close(ctx.release)
	if err := <-checked; err != nil || len(faults) > 0 {
		t.Errorf("check: %v, %v", faults, err)
	}
	for id := range uint32(200) {
		l.set(id, absent)
		l.set(1000+id, present)
	}
	if err := l.compare(e, false); err != nil {
		t.Error(err)
	}
}

// indexFreeList returns where the ids of the free list lie in an index file,
// and how many there are.
func indexFreeList(t *testing.T, b []byte) (at, count int) {
	t.Helper()
	order := binary.NativeEndian
	meta := b[16:]
	if order.Uint64(b[4096+64:]) > order.Uint64(b[64:]) {
		meta = b[4096+16:]
	}
	page := b[4096*order.Uint64(meta[32:]):]
	if order.Uint16(page[8:]) != 0x10 {
		t.Fatal("not the free list")
	}
	return len(b) - len(page) + 16, int(order.Uint16(page[10:]))
}

// TestDamagedPages changes the index file in ways that leave each page in
// itself sound.
func TestDamagedPages(t *testing.T) {
	t.Parallel()
	order := binary.NativeEndian
	tests := map[string]struct {
		damage func(t *testing.T, b []byte) []byte
		says   string
	}{
		"keys out of order": {func(t *testing.T, b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("key 0500"), []byte("key 9500"))
		}, "is not above the one before"},
		"keys of another page": {func(t *testing.T, b []byte) []byte {
			for at := 2 * 4096; at < len(b); at += 4096 {
				if page := b[at : at+4096]; order.Uint16(page[8:]) == 1 { // a branch
					copy(page, bytes.ReplaceAll(page, []byte("key 0"), []byte("kez 0")))
				}
			}
			return b
		}, "belongs to another page"},
		"a page lost": {func(t *testing.T, b []byte) []byte {
			at, count := indexFreeList(t, b)
			order.PutUint16(b[at-6:], uint16(count-1))
			return b
		}, "neither used nor free"},
		"a page free twice": {func(t *testing.T, b []byte) []byte {
			at, _ := indexFreeList(t, b)
			copy(b[at:at+8], b[at+8:])
			return b
		}, "is free twice"},
		"a page used and free": {func(t *testing.T, b []byte) []byte {
			at, count := indexFreeList(t, b)
			order.PutUint16(b[at-6:], uint16(count+1))
			order.PutUint64(b[at+8*count:], uint64(at/4096)) // its own
			return b
		}, "is used and free"},
		"a free page outside": {func(t *testing.T, b []byte) []byte {
			at, count := indexFreeList(t, b)
			order.PutUint64(b[at+8*(count-1):], 1<<40)
			return b
		}, "leads out of the file"},
	}
	whole := scratch(t)
	o := local.Options{IndexMap: 1 << 30, ProbeEvery: -1}
	e, err := local.Open(whole, o)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		err := e.Update(context.Background(), func(tx engine.Tx) error {
			for i := range 1000 {
				tx.Put(fourDigits(i), make([]byte, 100))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			damagedPages(t, whole, o, test.damage, test.says)
		})
	}
}

func fourDigits(i int) []byte { return fmt.Appendf(nil, "key %04d", i) }

func damagedPages(t *testing.T, whole string, o local.Options, damage func(*testing.T, []byte) []byte, says string) {
	dir := scratch(t)
	if err := faultfs.CopyDir(whole, dir); err != nil {
		t.Fatal(err)
	}
	change(t, filepath.Join(dir, "index.db"), func(b []byte) []byte { return damage(t, b) })
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var faults []string
	_, err = e.Check(context.Background(), func(f engine.Fault) { faults = append(faults, f.Place+": "+f.Text) })
	if err != nil {
		t.Error(err)
	}
	if !strings.Contains(strings.Join(faults, "\n"), says) {
		t.Errorf("check reports %q, want %q", faults, says)
	}
}

// TestCheckLongValues checks an index whose pages go on in others, some of them
// free again.
func TestCheckLongValues(t *testing.T) {
	t.Parallel()
	dir, o := scratch(t), small()
	o.FS = faultfs.New(dir) // saves the time of syncs that nobody counts on
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx := context.Background()
	for round := range 2 {
		err := e.Update(ctx, func(tx engine.Tx) error {
			for i := range 30 {
				if round == 0 {
					tx.Put(fourDigits(i), make([]byte, 400<<10+i))
				} else if i%2 == 0 {
					tx.Delete(fourDigits(i))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Compact(ctx); err != nil { // all goes to the index
			t.Fatal(err)
		}
		enginetest.CheckClean(t, e)
	}
}

// TestCheckCopiedIndex checks backups of two commits after each other: bbolt
// puts the latest transaction of a copy into the first page, whatever its
// number.
func TestCheckCopiedIndex(t *testing.T) {
	t.Parallel()
	e, l := filled(t, small(), 1)
	ctx := context.Background()
	for id := uint32(1); id < 3; id++ {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
		l.set(id, present)
		if _, err := e.Compact(ctx); err != nil { // one commit of the index
			t.Fatal(err)
		}
		copied := scratch(t)
		if err := e.Backup(ctx, copied, ""); err != nil {
			t.Fatal(err)
		}
		mustMatch(t, copied, small(), l, false)
	}
}
