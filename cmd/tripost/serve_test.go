package main

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestStop ends a server under open sessions: each is told, then closed, and
// the store is whole.
func TestStop(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "")
	r := startServer(t, dir)
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "secret\n", "account", "add", "ann", "--password-stdin")
	pop := r.dial("POP", "+OK")
	imap := r.dial("IMAP", "* OK")
	imap.say("a LOGIN ann secret")
	imap.expect("a OK")
	imap.say("b SELECT INBOX")
	for line := ""; !strings.HasPrefix(line, "b OK"); line = imap.line() {
	}
	imap.say("c IDLE")
	imap.expect("+ ")
	smtp := r.dial("SMTP", "220 ")
	smtp.say("MAIL FROM:<>")
	smtp.expect("503 ")
	submission := r.dial("submission", "220 ")

	r.stop()
	pop.expect("-ERR [SYS/TEMP] ")
	pop.expectEnd()
	imap.expect("* BYE [UNAVAILABLE] ")
	imap.expectEnd()
	smtp.expect("421 4.3.2 mail.company.test ")
	smtp.expectEnd()
	submission.expect("421 4.3.2 mail.company.test ")
	submission.expectEnd()
	if err := r.ended(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	for _, m := range r.modules {
		for _, l := range m.listeners {
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s still listens: %v", m.name, err)
			}
		}
	}
	if out := mustRun(t, dir, "", "store", "check"); !strings.Contains(out, "0 faults") {
		t.Errorf("store check: %s", out)
	}
}

// TestStopWaitsForCommands stops a server while it imports: the import is done
// to its end, and the store closed after it.
func TestStopWaitsForCommands(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "")
	r := startServer(t, dir)
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "", "account", "add", "ann")
	stdin, feed := io.Pipe()
	var out lockedBuffer
	code := make(chan int, 1)
	go func() {
		code <- run(t.Context(), []string{"message", "import", "ann", "INBOX", "-", "--config", filepath.Join(dir, "tripost.toml")}, stdin, &out, &out)
	}()
	if _, err := io.WriteString(feed, "From x\n\nfirst\n\nFrom y\n\nsec"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first message is there", func() bool {
		return strings.Contains(mustRun(t, dir, "", "account", "list"), "ann@company.test  1 ")
	})
	r.stop()
	eventually(t, "the server takes no more commands", func() bool {
		_, err := os.Stat(socketPath(filepath.Join(dir, "data")))
		return errors.Is(err, os.ErrNotExist)
	})
	if _, err := io.WriteString(feed, "ond\n"); err != nil {
		t.Fatal(err)
	}
	feed.Close()
	if c := <-code; c != exitDone || !strings.Contains(out.String(), "2 messages imported") {
		t.Errorf("exit code %d: %s", c, out.String())
	}
	if err := r.ended(); err != nil {
		t.Error(err)
	}
	if out := mustRun(t, dir, "", "store", "check"); !strings.Contains(out, " 2 messages, ") {
		t.Errorf("store check: %s", out)
	}
}

// TestModes looks at who may read what the server keeps. It also finds its way
// past the socket of a server that is gone.
func TestModes(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "")
	data := filepath.Join(dir, "data")
	if err := os.Remove(data); err != nil {
		t.Fatal(err)
	}
	r := startServer(t, dir)
	for path, closed := range map[string]os.FileMode{
		data:                                   0o077,
		filepath.Join(data, "store"):           0o077,
		socketPath(data):                       0o177,
		filepath.Join(data, "self-signed.pem"): 0o077,
		filepath.Join(dir, "logs"):             0o027,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&closed != 0 {
			t.Errorf("%s has mode %v", path, mode)
		}
	}
	r.stop()
	if err := r.ended(); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", socketPath(data))
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	mustRun(t, dir, "", "domain", "add", "company.test")
	startServer(t, dir)
	mustRun(t, dir, "", "domain", "show", "company.test")
}

// TestSecondServer starts a server on the data of another: it says whose they
// are, and the first goes on.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "")
	startServer(t, dir)
	code, out := tripost(t, dir, "", "serve")
	if want := "process " + strconv.Itoa(os.Getpid()); code != exitFailed || !strings.Contains(out, want) {
		t.Errorf("the second server ended with code %d: %s; want %q", code, out, want)
	}
	if strings.Count(out, "\n") != 1 {
		t.Errorf("more than one line: %s", out)
	}
	mustRun(t, dir, "", "domain", "add", "company.test")
}

// TestLongDataPath has data where no socket can be: the server says so, and
// commands do without it.
func TestLongDataPath(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "")
	data := filepath.Join(dir, strings.Repeat("long", 30))
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "tripost.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, config, strings.Replace(string(text), `data = "data"`, `data = "`+data+`"`, 1))
	mustRun(t, dir, "", "domain", "add", "company.test")
	if code, out := tripost(t, dir, "", "serve"); code != exitFailed || !strings.Contains(out, "data needs a shorter one") {
		t.Errorf("exit code %d: %s", code, out)
	}
}
