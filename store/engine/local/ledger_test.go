package local_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"tripost/store/engine"
	"tripost/store/engine/enginetest"
	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

// A ledger knows what a store was asked for and what it acknowledged, and
// compares a store with that. Every record is two keys and a blob, and a
// counter over all of them, so that half a change shows.
type ledger struct {
	mu      sync.Mutex
	records map[uint32]recordState
}

type recordState int

const (
	absent   recordState = iota // never asked for, refused, or its deletion acknowledged
	present                     // acknowledged
	unknown                     // asked for, or its deletion, and not answered: whole or absent
	refused                     // answered with an error: absent, except to a crash right then
	unremove                    // its deletion was refused: present, except to a crash right then
)

func newLedger() *ledger { return &ledger{records: map[uint32]recordState{}} }

func (l *ledger) set(id uint32, s recordState) {
	l.mu.Lock()
	l.records[id] = s
	l.mu.Unlock()
}

func (l *ledger) ids(s recordState) []uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []uint32
	for id, state := range l.records {
		if state == s {
			ids = append(ids, id)
		}
	}
	return ids
}

// bodySize gives one record in 40 a large body.
func bodySize(id uint32) int {
	if id%40 == 7 {
		return 30_000 + int(id%13)*1000
	}
	return int(id*2654435761>>20) % 3000
}

func bodyOf(id uint32) []byte {
	b := make([]byte, bodySize(id))
	r := rand.NewPCG(uint64(id), 5)
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b
}

func keyOf(prefix string, id uint32) []byte { return binary.BigEndian.AppendUint32([]byte(prefix), id) }

func addTotal(tx engine.Tx, n int64) error {
	v, err := tx.Get([]byte("total"))
	if err != nil {
		return err
	}
	var total int64
	if len(v) == 8 {
		total = int64(binary.BigEndian.Uint64(v))
	}
	tx.Put([]byte("total"), binary.BigEndian.AppendUint64(nil, uint64(total+n)))
	return nil
}

// put asks a store for a record.
func putRecord(e *local.Engine, id uint32) error {
	ctx := context.Background()
	d, err := e.Draft(ctx, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Write(bodyOf(id)); err != nil {
		return err
	}
	return e.Update(ctx, func(tx engine.Tx) error {
		blob, err := tx.Keep(d)
		if err != nil {
			return err
		}
		tx.Put(keyOf("m", id), binary.BigEndian.AppendUint64(nil, uint64(blob)))
		tx.Put(keyOf("c", id), []byte("companion"))
		return addTotal(tx, 1)
	})
}

func removeRecord(e *local.Engine, id uint32) error {
	return e.Update(context.Background(), func(tx engine.Tx) error {
		v, err := tx.Get(keyOf("m", id))
		if err != nil || len(v) != 8 {
			return fmt.Errorf("record %d: %x, %w", id, v, err)
		}
		if _, err := tx.Drop(engine.Blob(binary.BigEndian.Uint64(v))); err != nil {
			return err
		}
		tx.Delete(keyOf("m", id))
		tx.Delete(keyOf("c", id))
		return addTotal(tx, -1)
	})
}

// compare reports every record that is not as the ledger says. crashed allows
// for changes that were refused in the moment before the crash.
func (l *ledger) compare(e *local.Engine, crashed bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	blobs := map[uint32]engine.Blob{}
	companions := map[uint32]bool{}
	total := int64(0)
	err := e.View(context.Background(), func(r engine.Reader) error {
		for it, err := range r.Range(nil, nil) {
			if err != nil {
				return err
			}
			switch {
			case string(it.Key) == "total":
				total = int64(binary.BigEndian.Uint64(it.Value))
			case it.Key[0] == 'm':
				blobs[binary.BigEndian.Uint32(it.Key[1:])] = engine.Blob(binary.BigEndian.Uint64(it.Value))
			case it.Key[0] == 'c':
				companions[binary.BigEndian.Uint32(it.Key[1:])] = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if total != int64(len(blobs)) || len(companions) != len(blobs) {
		return fmt.Errorf("%d records, %d companions, total %d", len(blobs), len(companions), total)
	}
	for id, state := range l.records {
		_, there := blobs[id]
		switch {
		case state == present && !there, state == unremove && !there && !crashed:
			return fmt.Errorf("record %d was acknowledged and is lost", id)
		case state == absent && there, state == refused && there && !crashed:
			return fmt.Errorf("record %d is there, but was refused or removed", id)
		}
	}
	return compareBodies(e, blobs, companions)
}

func compareBodies(e *local.Engine, blobs map[uint32]engine.Blob, companions map[uint32]bool) error {
	for id, blob := range blobs {
		if !companions[id] {
			return fmt.Errorf("record %d has no companion", id)
		}
		if err := compareBody(e, id, blob); err != nil {
			return err
		}
	}
	return nil
}

func compareBody(e *local.Engine, id uint32, blob engine.Blob) error {
	body, err := e.Open(context.Background(), blob)
	if err != nil {
		return fmt.Errorf("record %d: %w", id, err)
	}
	defer body.Close()
	var b bytes.Buffer
	if _, err = body.WriteTo(&b); err != nil {
		return fmt.Errorf("body of record %d: %w", id, err)
	}
	if !bytes.Equal(b.Bytes(), bodyOf(id)) {
		return fmt.Errorf("body of record %d differs", id)
	}
	return nil
}

// readRecord compares one record's body.
func readRecord(e *local.Engine, id uint32) error {
	var blob engine.Blob
	err := e.View(context.Background(), func(r engine.Reader) error {
		v, err := r.Get(keyOf("m", id))
		if err != nil || len(v) != 8 {
			return fmt.Errorf("record %d: %x, %w", id, v, err)
		}
		blob = engine.Blob(binary.BigEndian.Uint64(v))
		return nil
	})
	if err != nil {
		return err
	}
	return compareBody(e, id, blob)
}

// settle turns what a reopened store shows of the unanswered into fact.
func (l *ledger) settle(e *local.Engine) error {
	return e.View(context.Background(), func(r engine.Reader) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for id, state := range l.records {
			if state != unknown && state != refused && state != unremove {
				continue
			}
			v, err := r.Get(keyOf("m", id))
			if err != nil {
				return err
			}
			l.records[id] = absent
			if v != nil {
				l.records[id] = present
			}
		}
		return nil
	})
}

// mustMatch opens a directory and compares it with the ledger.
func mustMatch(t *testing.T, dir string, o local.Options, l *ledger, crashed bool) {
	t.Helper()
	o.FS = faultfs.New(dir) // saves the time of syncs that nobody counts on
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatalf("reopening: %v", err)
	}
	if err := l.compare(e, crashed); err != nil {
		t.Errorf("reopened store: %v (%s)", err, e.Status().Recovered)
	}
	enginetest.CheckClean(t, e)
	if err := e.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// scratch returns a directory for stores whose disk is only simulated: in
// memory where the system has that, since thousands of files come and go.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tripost-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// small makes segments, checkpoints and large bodies frequent.
func small() local.Options {
	return local.Options{
		SegmentSize: 48 << 10, GroupBytes: 16 << 10, LargeBody: 20 << 10, OverlayBytes: 12 << 10,
		ProbeEvery: -1, CompactBelow: -1, IndexMap: 1 << 30, IndexGrow: 64 << 10,
	}
}

// rounds returns how often a crash test goes round: a few times in go test,
// TRIPOST_CRASH_ROUNDS times when that is set.
func rounds(few int) int {
	if n, err := strconv.Atoi(os.Getenv("TRIPOST_CRASH_ROUNDS")); err == nil && n > 0 {
		return n
	}
	return few
}
