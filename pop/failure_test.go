package pop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
	"tripost/wire"
)

// largeMessage is more than any buffer on the way to the client holds.
func largeMessage() string {
	return "Subject: large\r\n\r\n" + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 128<<10)
}

// A client that goes away within a message has not seen it.
func TestVanishWithinRETR(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.deliver("ann/INBOX", largeMessage())
	w.run()
	client, server := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c := wire.NewConn(server, w.wire)
		w.srv.Serve(w.ctx, c)
		c.Close()
	}()
	go io.WriteString(client, "USER ann\r\nPASS "+annPassword+"\r\nRETR 1\r\n")
	_, err := io.CopyN(io.Discard, client, 1<<20)
	must(t, err)
	client.Close()
	<-ended
	if got := w.contents("ann/INBOX"); got != "1\n" {
		t.Errorf("the mailbox holds %q", got)
	}
}

// A large message comes whole, by TCP and by TLS.
func TestLargeMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	text := largeMessage() + ".\r\n..\r\nend\r\n"
	w.deliver("ann/INBOX", text)
	c := w.signedIn("ann", annPassword)
	c.do("RETR 1")
	if got := c.rest(); got != text {
		t.Errorf("RETR differs at octet %d", difference(got, text))
	}
	c.do("TOP 1 2")
	if got, want := c.rest(), text[:strings.Index(text, "\r\n\r\n")+4+128]; got != want {
		t.Errorf("TOP: %q", got)
	}
	w.awaitContents("ann/INBOX", "1 \\Seen\n")
}

// Octets that the disk has spoiled are not served as if nothing had happened:
// the message breaks off without its dot, and the session with it.
func TestDamagedMessage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := local.Open(dir, local.Options{})
	must(t, err)
	st, err := store.New(context.Background(), e, store.Options{})
	must(t, err)
	defer st.Close()
	w := newWorldOn(t, st, false)
	const spoiled = "MARK OF THE SPOILED OCTETS"
	w.deliver("ann/INBOX", "Subject: x\r\n\r\n"+strings.Repeat("line\r\n", 2000)+spoiled+"\r\n"+strings.Repeat("line\r\n", 2000))
	spoil(t, dir, spoiled)
	c := w.signedIn("ann", annPassword)
	reply := c.ask("RETR 1")
	if strings.HasPrefix(reply, "-ERR [SYS/") {
		return
	}
	got, err := io.ReadAll(c.r)
	if err != nil || bytes.HasSuffix(got, []byte("\r\n.\r\n")) {
		t.Errorf("%s, then %d octets, %v: a damaged message was ended like a whole one", reply, len(got), err)
	}
	if got := w.contents("ann/INBOX"); got != "1\n" {
		t.Errorf("the mailbox holds %q", got)
	}
}

// spoil changes octets wherever a text stands in the files of a directory.
func spoil(t *testing.T, dir, text string) {
	t.Helper()
	found := 0
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for at := 0; ; at++ {
			i := bytes.Index(b[at:], []byte(text))
			if i < 0 {
				return nil
			}
			at += i
			found++
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte("x"), int64(at)); err != nil {
				return err
			}
		}
	}))
	if found == 0 {
		t.Fatalf("%q is in no file of %s", text, dir)
	}
}

// failingFS is a file system whose syncs fail while it is told so.
type failingFS struct {
	local.OS
	fail atomic.Bool
}

type failingFile struct {
	local.File
	fs *failingFS
}

func (f *failingFS) OpenFile(name string, flag int, perm os.FileMode) (local.File, error) {
	file, err := f.OS.OpenFile(name, flag, perm)
	return failingFile{file, f}, err
}

func (f failingFile) Sync() error {
	if f.fs.fail.Load() {
		return syscall.EIO
	}
	return f.File.Sync()
}

// While the store takes no changes users sign in and read on; QUIT says that
// nothing was removed.
func TestReadOnlyStore(t *testing.T) {
	t.Parallel()
	fs := new(failingFS)
	e, err := local.Open(t.TempDir(), local.Options{FS: fs, ProbeEvery: -1})
	must(t, err)
	st, err := store.New(context.Background(), e, store.Options{})
	must(t, err)
	defer st.Close()
	w := newWorldOn(t, st, false)
	w.deliver("ann/INBOX", "one\r\n")
	c := w.signedIn("ann", annPassword)
	w.deliver("ann/INBOX", "two\r\n")
	fs.fail.Store(true)
	if _, err := w.append(w.mailbox("ann/INBOX"), strings.NewReader("lost")); !errors.Is(err, engine.ErrReadOnly) {
		t.Fatalf("append to a store whose disk fails: %v", err)
	}
	c.do("RETR 1")
	if got := c.rest(); got != "one\r\n" {
		t.Errorf("RETR: %q", got)
	}
	c.do("DELE 1")
	if got := c.ask("QUIT"); got != "-ERR [SYS/TEMP] some deleted messages not removed" {
		t.Errorf("QUIT: %s", got)
	}
	c = w.signedIn("ann", annPassword)
	if got := c.do("STAT"); got != "2 10" {
		t.Errorf("STAT: %s", got)
	}
	c.do("RETR 2")
	if got := c.rest(); got != "two\r\n" {
		t.Errorf("RETR: %q", got)
	}
	c.do("DELE 2")
	if got := c.ask("QUIT"); got != "-ERR [SYS/TEMP] some deleted messages not removed" {
		t.Errorf("QUIT: %s", got)
	}
}
