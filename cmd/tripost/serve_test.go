package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
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
	if nc, err := net.Dial("tcp", r.address("POP", false)); err == nil {
		nc.Close()
		t.Error("somebody still listens for POP")
	}
	if out := mustRun(t, dir, "", "store", "check"); !strings.Contains(out, "0 faults") {
		t.Errorf("store check: %s", out)
	}
}

// TestReload changes a server's configuration and certificate while it runs.
func TestReload(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "log.level = 2\ntls.certificate = \"cert.pem\"\ntls.key = \"cert.pem\"\n")
	pem, config := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "tripost.toml")
	writeFile(t, pem, certificate(t, 1))
	r := startServer(t, dir)
	if n := r.serial(); n != 1 {
		t.Fatalf("certificate %d is served", n)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	loud := strings.Replace(string(text), "log.level = 2", "log.level = 4", 1)

	writeFile(t, pem, certificate(t, 2))
	writeFile(t, config, loud)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.logged("reloaded the log levels")
	if n := r.serial(); n != 2 {
		t.Errorf("after SIGHUP certificate %d is served", n)
	}
	pop := r.dial("POP", "+OK")
	pop.say("NOOP first")
	r.logged("NOOP first")

	writeFile(t, pem, "no certificate")
	writeFile(t, config, "nonsense = 1\n")
	r.reload()
	r.logged("the old certificate stays: ")
	r.logged("the old configuration stays: " + config + ": line 1: there is no key \"nonsense\"")
	if n := r.serial(); n != 2 {
		t.Errorf("with a damaged file certificate %d is served", n)
	}
	pop.say("NOOP second")
	r.logged("NOOP second")

	writeFile(t, pem, certificate(t, 3))
	writeFile(t, config, string(text)+"pop.channels = 7\n")
	r.reload()
	r.logged("which count from the next start")
	pop.say("NOOP third")
	pop.expect("-ERR")
	r.stop()
	if err := r.ended(); err != nil {
		t.Fatal(err)
	}
	if out := mustRun(t, dir, "", "log"); strings.Contains(out, "NOOP third") {
		t.Error("the log level is still 4")
	}
}

// serial returns the number of the certificate that new connections get.
func (r *running) serial() int64 {
	r.t.Helper()
	c, err := tls.Dial("tcp", r.address("IMAP", true), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestLimits opens one connection more than is allowed, of one address and in
// all.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, limit := range []struct{ config, reason string }{
		{"security.per_address = 1\n", "too many connections from your address"},
		{"security.per_address = 0\npop.channels = 1\nimap.channels = 1\nsmtp.channels = 1\n", "too many connections"},
	} {
		r := startServer(t, newSite(t, limit.config))
		for _, module := range []struct{ name, greeting, busy string }{
			{"POP", "+OK", "-ERR [SYS/TEMP] "},
			{"IMAP", "* OK", "* BYE [UNAVAILABLE] "},
			{"SMTP", "220 ", "421 4.3.2 mail.company.test "},
			{"submission", "220 ", "421 4.3.2 mail.company.test "},
		} {
			first := r.dial(module.name, module.greeting)
			second := r.dial(module.name, module.busy+limit.reason+"\r\n")
			second.expectEnd()
			if module.name != "SMTP" {
				r.dialTLS(module.name).expectEnd() // no handshake, not a word
			}
			first.say("NOOP") // it goes on
			first.line()
			first.Close()
			r.admits(module.name, module.greeting)
		}
	}
}

// dialTLS connects to a TLS port, without a handshake.
func (r *running) dialTLS(module string) *peer {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.address(module, true))
	if err != nil {
		r.t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { nc.Close() })
	return newPeer(r.t, nc)
}

// admits waits until a module takes another connection.
func (r *running) admits(module, greeting string) {
	r.t.Helper()
	eventually(r.t, module+" takes a connection again", func() bool {
		p := r.dial(module, "")
		defer p.Close()
		return strings.HasPrefix(p.line(), greeting)
	})
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

// TestHealth asks a server how it is.
func TestHealth(t *testing.T) {
	t.Parallel()
	r := startServer(t, newSite(t, "admin.listen = \"127.0.0.1:0\"\n"))
	if status, text := health(t, r.health.Addr().String()); status != http.StatusOK || text != "ok\n" {
		t.Errorf("a server that is well answers %d, %q", status, text)
	}
	resp, err := http.Post("http://"+r.health.Addr().String()+"/v1/domain/list", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("the health listener answers %d to an operation", resp.StatusCode)
	}
}

// readOnlyEngine is an engine that takes no more writes.
type readOnlyEngine struct{ engine.Engine }

func (e readOnlyEngine) Status() engine.Status {
	s := e.Engine.Status()
	s.ReadOnly = syscall.ENOSPC
	return s
}

// TestHealthWhenFull asks a server whose disk is full.
func TestHealthWhenFull(t *testing.T) {
	t.Parallel()
	e, err := local.Open(t.TempDir(), local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.New(t.Context(), readOnlyEngine{e}, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&rooms{store: st}).serveHealth(ctx, ln) }()
	if status, text := health(t, ln.Addr().String()); status != http.StatusServiceUnavailable || !strings.Contains(text, "takes no mail") {
		t.Errorf("a server with a full disk answers %d, %q", status, text)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func health(t *testing.T, addr string) (status int, text string) {
	t.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + addr + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
