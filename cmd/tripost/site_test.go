package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/syslog"
)

// patience bounds every wait of a test.
const patience = 2 * time.Minute

// siteConfig is the configuration of most tests: everything on loopback, on
// ports that the system chooses. Nothing leaves the machine.
const siteConfig = `hostname = "mail.company.test"
data = "data"
log.directory = "logs"
log.keep = "0s"
pop.listen = ["127.0.0.1:0"]
pop.listen_tls = ["127.0.0.1:0"]
imap.listen = ["127.0.0.1:0"]
imap.listen_tls = ["127.0.0.1:0"]
smtp.listen = ["127.0.0.1:0"]
submission.listen = ["127.0.0.1:0"]
submission.listen_tls = ["127.0.0.1:0"]
queue.resolver = "127.0.0.1:1"
`

// newSite makes a directory with a configuration, which more is added to, and
// an empty data directory. It returns the directory.
func newSite(t testing.TB, more string) string {
	t.Helper()
	dir := t.TempDir()
	if !strings.Contains(more, "log.level") {
		more = "log.level = 0\n" + more
	}
	if !strings.Contains(more, "admin.listen") {
		more += "admin.listen = \"\"\n"
	}
	writeFile(t, filepath.Join(dir, "tripost.toml"), siteConfig+more)
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// running is a server of a test.
type running struct {
	*server
	t    testing.TB
	dir  string
	stop context.CancelFunc
	done chan struct{}
	err  error // once done is closed
}

// startServer runs a server on a site until the test ends.
func startServer(t testing.TB, dir string) *running {
	t.Helper()
	r, err := tryServer(t, dir, ground{})
	if err != nil {
		t.Fatalf("the server does not start: %v", err)
	}
	t.Cleanup(func() {
		r.stop()
		if err := r.ended(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return r
}

// tryServer is startServer for a server on other ground, which may not start, and
// of whose end the test thinks what it likes.
func tryServer(t testing.TB, dir string, g ground) (*running, error) {
	t.Helper()
	path := filepath.Join(dir, "tripost.toml")
	cfg, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, dir: dir, stop: stop, done: make(chan struct{})}
	ready := make(chan *server, 1)
	go func() {
		defer close(r.done)
		r.err = runServer(ctx, cfg, serverOptions{configPath: path, ground: g, ready: func(s *server) { ready <- s }})
	}()
	select {
	case r.server = <-ready:
	case <-r.done:
		stop()
		return nil, r.err
	case <-time.After(patience):
		stop()
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() {
		stop()
		r.ended()
	})
	return r, nil
}

// ended waits for the end of the server and returns how it ended.
func (r *running) ended() error {
	r.t.Helper()
	select {
	case <-r.done:
		return r.err
	case <-time.After(patience):
		return errors.New("no end in sight")
	}
}

// address returns where a module listens, in clear text or with TLS.
func (r *running) address(module string, tls bool) string {
	r.t.Helper()
	for _, m := range r.modules {
		for _, l := range m.listeners {
			if m.name == module && l.tls == tls {
				return l.Addr().String()
			}
		}
	}
	r.t.Fatalf("there is no listener of %s", module)
	return ""
}

// dial connects to a module and expects its greeting, if any is given.
func (r *running) dial(module, greeting string) *peer {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.address(module, false))
	if err != nil {
		r.t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { nc.Close() })
	p := newPeer(r.t, nc)
	if greeting != "" {
		p.expect(greeting)
	}
	return p
}

// logged waits for a record with a text.
func (r *running) logged(text string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found := errors.New("found")
	err := syslog.Read(ctx, filepath.Join(r.dir, "logs"), syslog.Filter{Level: syslog.Raw}, true, func(line string) error {
		if strings.Contains(line, text) {
			return found
		}
		return nil
	})
	if !errors.Is(err, found) {
		r.t.Fatalf("%q is not logged (%v)", text, err)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never: " + what)
		}
	}
}

// tripost runs a command of the program on the site and returns its exit code
// and all it printed.
func tripost(t testing.TB, dir, stdin string, args ...string) (code int, out string) {
	t.Helper()
	var b lockedBuffer
	code = run(t.Context(), append([]string{"--config", filepath.Join(dir, "tripost.toml")}, args...), strings.NewReader(stdin), &b, &b)
	return code, b.String()
}

// mustRun is tripost for one that has to succeed.
func mustRun(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	code, out := tripost(t, dir, stdin, args...)
	if code != exitDone {
		t.Fatalf("tripost %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// lockedBuffer may be written and read by goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
