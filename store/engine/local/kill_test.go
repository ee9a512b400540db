package local_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"tripost/store/engine/local"
)

// childEnv makes the test binary the child of TestKill: it holds the directory
// to work in.
const childEnv = "TRIPOST_TEST_KILL_CHILD"

// A report is what the child tells about one record.
const (
	reportReady   = 'r' // the store is open
	reportPut     = 'p' // about to put it
	reportPutDone = 'P' // acknowledged
	reportDel     = 'd'
	reportDelDone = 'D'
)

// killChild puts and removes records until it is killed. It tells of each
// before it begins and after it is acknowledged. Standard input holds the first
// record number to use.
func killChild(dir string, in io.Reader, out io.Writer) error {
	var first uint32
	if _, err := fmt.Fscan(in, &first); err != nil {
		return err
	}
	o := small()
	o.CheckpointEvery = 3 * time.Millisecond
	o.CompactBelow, o.CompactEvery, o.CompactRate = 0.9, 5*time.Millisecond, 1<<30
	e, err := local.Open(dir, o)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	report := func(kind byte, id uint32) {
		mu.Lock()
		defer mu.Unlock()
		// When the pipe is gone so is the parent.
		_, _ = out.Write(binary.BigEndian.AppendUint32([]byte{kind}, id))
	}
	report(reportReady, 0)
	failed := make(chan error)
	const workers = 8
	for w := range uint32(workers) {
		go func() {
			for id := first + w; ; id += workers {
				report(reportPut, id)
				if err := putRecord(e, id); err != nil {
					failed <- err
					return
				}
				report(reportPutDone, id)
				if id%3 == 0 {
					report(reportDel, id)
					if err := removeRecord(e, id); err != nil {
						failed <- err
						return
					}
					report(reportDelDone, id)
				}
			}
		}()
	}
	return <-failed
}

// TestKill kills a process that writes as fast as it can, again and again on
// the same store, and compares what it had acknowledged.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := newLedger()
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	first := uint32(0)
	acknowledged := 0
	kills := rounds(30)
	for round := range kills {
		opening := round%5 == 4 // kill it while it recovers
		after := 60 * time.Millisecond
		if opening {
			after = 12 * time.Millisecond
		}
		first = killOne(t, dir, l, first, opening, time.Duration(r.Int64N(int64(after))))
		e, err := local.Open(dir, small())
		if err != nil {
			t.Fatalf("kill %d: %v", round, err)
		}
		if err := l.compare(e, true); err != nil {
			t.Fatalf("kill %d: %v (%s)", round, err, e.Status().Recovered)
		}
		if err := l.settle(e); err != nil {
			t.Fatal(err)
		}
		acknowledged += len(l.ids(present))
		// Keep the comparison short: what the next kills can harm is recent.
		if err := thin(e, l); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		mustMatch(t, dir, small(), l, false)
		if t.Failed() {
			t.Fatalf("kill %d", round)
		}
	}
	t.Logf("%d kills, %d acknowledged records compared, none lost", kills, acknowledged)
}

// killOne runs the child until it is killed, some time after its start when
// opening is set, else after it has opened the store. It returns the lowest
// record number not used.
func killOne(t *testing.T, dir string, l *ledger, first uint32, opening bool, after time.Duration) uint32 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, first)
	buffered := bufio.NewReader(out)
	next := first
	var killer *time.Timer
	if opening {
		killer = time.AfterFunc(after, func() { cmd.Process.Kill() })
	}
	for {
		var b [5]byte
		if _, err := io.ReadFull(buffered, b[:]); err != nil {
			break // the child is gone, and all that it wrote is read
		}
		id := binary.BigEndian.Uint32(b[1:])
		switch b[0] {
		case reportReady:
			if opening {
				continue
			}
			killer = time.AfterFunc(after, func() { cmd.Process.Kill() })
		case reportPut, reportDel:
			l.set(id, unknown)
			next = max(next, id+1)
		case reportPutDone:
			l.set(id, present)
		case reportDelDone:
			l.set(id, absent)
		}
	}
	if killer == nil {
		t.Error("the child ended before it was killed")
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Errorf("the child was not killed: %v", err)
	}
	return next
}

// thin removes most records.
func thin(e *local.Engine, l *ledger) error {
	for i, id := range l.ids(present) {
		if i < 100 {
			continue
		}
		if err := removeRecord(e, id); err != nil {
			return err
		}
		l.set(id, absent)
	}
	return nil
}
