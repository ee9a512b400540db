package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

// TestUnreadableFiles makes files of the store unreadable under a running
// server. Who asks for such a message is told so; sessions go on and others are
// served. A server that is started then says which file it is.
func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	site := faultSite(t)
	for _, kind := range []string{"*.seg", "*.msg"} {
		t.Run(kind[2:], func(t *testing.T) {
			t.Parallel()
			w := newFaultWorld(t, site)
			w.deliver(300)
			w.deliver(25_000)
			w.fs.FailReads(func(name string) error {
				if fileKind(name) == kind {
					return syscall.EIO
				}
				return nil
			})
			refused := 0
			p, q := w.pop(), w.signedIn()
			for n := 1; n <= 2; n++ {
				p.say(fmt.Sprint("RETR ", n))
				switch reply := p.line(); {
				case strings.HasPrefix(reply, "+OK"):
					p.text()
				case strings.HasPrefix(reply, "-ERR [SYS/"):
					refused++
				default:
					t.Errorf("RETR %d: %q", n, reply)
				}
				if got := q.command(fmt.Sprintf("FETCH %d (BODY.PEEK[TEXT])", n)); !strings.HasPrefix(got, "OK ") && !strings.HasPrefix(got, "NO ") {
					t.Errorf("FETCH %d: %q", n, got)
				}
			}
			if refused != 1 {
				t.Errorf("%d of 2 messages could not be read", refused)
			}
			p.say("STAT")
			p.expect("+OK 2 ")
			if got := q.command("FETCH 1:* (FLAGS ENVELOPE)"); !strings.HasPrefix(got, "OK ") {
				t.Errorf("FETCH of what the index has: %q", got)
			}
			w.deliver(300)
			if !w.told[w.subject()] {
				t.Error("no mail is taken")
			}
			p.Close()
			q.Close()
			err := w.restart(w.ground())
			if err != nil && !strings.Contains(err.Error(), kind[1:]) {
				t.Errorf("the server does not start, and does not say for which file: %v", err)
			}
			w.fs.FailReads(nil)
			if err != nil {
				if err := w.start(w.ground()); err != nil {
					t.Fatal(err)
				}
			}
			w.judge("readable again")
			w.check()
		})
	}
}

// TestFaultsAtFirstStart lets each operation of the making of a store fail in
// turn. The server says why it does not start, or starts; the next start, on a
// good disk, finds nothing in its way.
func TestFaultsAtFirstStart(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		dir := newSite(t, faultConfig)
		fs := faultfs.New(filepath.Join(dir, "data", "store"))
		var hit atomic.Bool
		fs.FailWhen(func(i int, _ faultfs.Op) faultfs.Fault {
			if i != n {
				return faultfs.Fault{}
			}
			hit.Store(true)
			return faultfs.Fault{Err: syscall.EIO, Short: true}
		})
		r, err := tryServer(t, dir, ground{engine: local.Options{FS: fs, ProbeEvery: 5 * time.Millisecond}})
		if err != nil && !strings.Contains(err.Error(), syscall.EIO.Error()) {
			t.Errorf("operation %d: the server does not say why it does not start: %v", n, err)
		}
		if err == nil {
			if !hit.Load() { // all operations of a start were had
				return
			}
			r.end()
		}
		fs.FailWhen(nil)
		if r, err = tryServer(t, dir, ground{}); err != nil {
			t.Fatalf("operation %d: the next start: %v", n, err)
		}
		mustRun(t, dir, "", "domain", "add", "company.test")
		r.end()
	}
}
