package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tripost/syslog"
	"tripost/syslog/syslogtest"
)

// echo is a session that greets, repeats every line, and says goodbye.
func echo(ctx context.Context, c *Conn) {
	c.WriteString("+OK " + c.Remote().Addr().String() + "\r\n")
	for {
		line, err := c.ReadLine(512)
		switch {
		case errors.Is(err, context.Canceled):
			c.WriteString("-ERR shutting down\r\n")
			return
		case err != nil:
			return
		case string(line) == "PANIC":
			panic("told to\nin two lines")
		}
		c.Write(line)
		c.WriteString("\r\n")
	}
}

// running is a server under test.
type running struct {
	*Server
	ln      net.Listener
	addr    string
	cancel  context.CancelFunc
	done    chan error
	records func() string // closes the log and returns its lines
}

// run starts a server whose session is echo, as changed by with.
func run(t *testing.T, implicitTLS bool, with func(s *Server)) *running {
	t.Helper()
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return runOn(t, ln, implicitTLS, with)
}

func runOn(t *testing.T, ln net.Listener, implicitTLS bool, with func(s *Server)) *running {
	t.Helper()
	log, records := syslogtest.Open(t, syslog.Protocol)
	config := timeouts()
	config.TLS = testCertificates(t).Config(true)
	s := &Server{
		Name: "POP", Channels: 100, Log: log.Tag("POP"), Session: echo,
		Conn: func() Config { return config },
		Busy: func(reason string) string { return "-ERR [SYS/TEMP] " + reason + "\r\n" },
	}
	with(s)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Server: s, ln: ln, addr: ln.Addr().String(), cancel: cancel, done: make(chan error, 1), records: records}
	go func() { r.done <- s.Serve(ctx, ln, implicitTLS) }()
	t.Cleanup(func() {
		cancel()
		r.stopped(t)
		log.Close()
	})
	return r
}

func (r *running) stopped(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(2 * time.Minute):
		t.Fatal("the server does not stop")
		return nil
	}
}

// client is a peer that fails the test rather than hang.
type client struct {
	net.Conn
	in *bufio.Reader
	t  *testing.T
}

func dial(t *testing.T, network, addr string) *client {
	t.Helper()
	nc, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(2 * time.Minute))
	t.Cleanup(func() { nc.Close() })
	return &client{nc, bufio.NewReader(nc), t}
}

func (c *client) expect(want string) {
	c.t.Helper()
	if got, err := c.in.ReadString('\n'); strings.TrimRight(got, "\r\n") != want {
		c.t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func (c *client) expectEnd() {
	c.t.Helper()
	if got, err := io.ReadAll(c.in); len(got) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("got %q, %v; want the end", got, err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never: " + what)
		}
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	r := run(t, false, func(*Server) {})
	c := dial(t, "tcp", r.addr)
	c.expect("+OK 127.0.0.1")
	io.WriteString(c, "hello\r\n")
	c.expect("hello")
	if r.Count() != 1 {
		t.Errorf("count %d", r.Count())
	}
	c.Close()
	eventually(t, "the session ends", func() bool { return r.Count() == 0 })
	want := "4 POP-000001([127.0.0.1]:" + port(c.LocalAddr()) + ") [127.0.0.1]:" + port(c.RemoteAddr()) +
		" <- [127.0.0.1]:" + port(c.LocalAddr()) + " incoming connection\n"
	if got := r.records(); !strings.HasSuffix(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func port(a net.Addr) string {
	_, p, _ := net.SplitHostPort(a.String())
	return p
}

func TestServerOnUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lmtp")
	ln, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	r := runOn(t, ln, false, func(s *Server) { s.PerAddress = 1 })
	one, two := dial(t, "unix", path), dial(t, "unix", path)
	one.expect("+OK invalid IP")
	two.expect("+OK invalid IP")
	if got := r.records(); !strings.Contains(got, "POP-000001 [local] <- [local] incoming") {
		t.Errorf("log %q", got)
	}
}

func TestChannelLimit(t *testing.T) {
	t.Parallel()
	r := run(t, false, func(s *Server) { s.Channels = 2 })
	one, two := dial(t, "tcp", r.addr), dial(t, "tcp", r.addr)
	one.expect("+OK 127.0.0.1")
	two.expect("+OK 127.0.0.1")
	three := dial(t, "tcp", r.addr)
	three.expect("-ERR [SYS/TEMP] too many connections")
	three.expectEnd()
	one.Close()
	eventually(t, "a channel is free", func() bool { return r.Count() == 1 })
	dial(t, "tcp", r.addr).expect("+OK 127.0.0.1")
	if got := r.records(); !strings.Contains(got, " 3 POP [127.0.0.1]:"+port(three.LocalAddr())+" refused: too many connections\n") {
		t.Errorf("log %q", got)
	}
}

func TestAddressLimit(t *testing.T) {
	t.Parallel()
	r := run(t, false, func(s *Server) { s.PerAddress = 1 })
	one := dial(t, "tcp", r.addr)
	one.expect("+OK 127.0.0.1")
	two := dial(t, "tcp", r.addr)
	two.expect("-ERR [SYS/TEMP] too many connections from your address")
	two.expectEnd()
	one.Close()
	eventually(t, "the session ends", func() bool { return r.Count() == 0 })
	dial(t, "tcp", r.addr).expect("+OK 127.0.0.1")

	exempt := run(t, false, func(s *Server) {
		s.PerAddress = 1
		s.Exempt = netip.Addr.IsLoopback
	})
	dial(t, "tcp", exempt.addr).expect("+OK 127.0.0.1")
	dial(t, "tcp", exempt.addr).expect("+OK 127.0.0.1")
}

func TestHostOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.7":              "192.0.2.7",
		"::ffff:192.0.2.7":       "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::",
		"fe80::1%eth0":           "fe80::",
		"2001:db8:1:2:ffff::abc": "2001:db8:1:2::",
	} {
		if got := hostOf(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	r := run(t, true, func(s *Server) { s.Channels = 1 })
	c := dial(t, "tcp", r.addr)
	secure := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	in := bufio.NewReader(secure)
	if got, err := in.ReadString('\n'); got != "+OK 127.0.0.1\r\n" {
		t.Fatalf("greeting %q, %v", got, err)
	}
	over := dial(t, "tcp", r.addr)
	over.expectEnd() // and no line that is not TLS
	secure.Close()
	eventually(t, "the session ends", func() bool { return r.Count() == 0 })
}

// A client that says nothing counts from the moment it is accepted, and is
// dropped at the end of the handshake timeout.
func TestSilentTLSClient(t *testing.T) {
	t.Parallel()
	config := timeouts()
	config.Handshake = 50 * time.Millisecond
	config.TLS = testCertificates(t).Config(true)
	counted := make(chan int, 1)
	r := run(t, true, func(s *Server) {
		s.Conn = func() Config {
			counted <- s.Count()
			return config
		}
	})
	c := dial(t, "tcp", r.addr)
	c.expectEnd()
	if n := <-counted; n != 1 {
		t.Errorf("counted as %d", n)
	}
	eventually(t, "it is gone", func() bool { return r.Count() == 0 })
	if got := r.records(); !strings.Contains(got, "TLS handshake: ") {
		t.Errorf("log %q", got)
	}
}

func TestImplicitTLSWithoutCertificate(t *testing.T) {
	t.Parallel()
	r := run(t, true, func(s *Server) { s.Conn = timeouts })
	dial(t, "tcp", r.addr).expectEnd()
	eventually(t, "it is gone", func() bool { return r.Count() == 0 })
	if got := r.records(); !strings.Contains(got, " 3 POP-000001(") || !strings.Contains(got, ErrNoTLS.Error()) {
		t.Errorf("log %q", got)
	}
}

func TestPanicOfASession(t *testing.T) {
	t.Parallel()
	r := run(t, false, func(*Server) {})
	bystander := dial(t, "tcp", r.addr)
	bystander.expect("+OK 127.0.0.1")
	c := dial(t, "tcp", r.addr)
	c.expect("+OK 127.0.0.1")
	io.WriteString(c, "PANIC\r\n")
	c.expectEnd()
	eventually(t, "the session ends", func() bool { return r.Count() == 1 })
	io.WriteString(bystander, "still here\r\n")
	bystander.expect("still here")
	if got := r.records(); !strings.Contains(got, " 0 POP-000002([127.0.0.1]:"+port(c.LocalAddr())+`) panic in the session: told to\nin two lines\ngoroutine `) {
		t.Errorf("log %q", got)
	}
}

func TestGracefulStop(t *testing.T) {
	t.Parallel()
	r := run(t, false, func(*Server) {})
	var clients []*client
	for range 10 {
		c := dial(t, "tcp", r.addr)
		c.expect("+OK 127.0.0.1")
		clients = append(clients, c)
	}
	r.cancel()
	for _, c := range clients {
		c.expect("-ERR shutting down")
		c.expectEnd()
	}
	if err := r.stopped(t); err != nil {
		t.Error(err)
	}
	if _, err := r.ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
}

// Sessions that do not listen to their context lose their connection.
func TestHardStop(t *testing.T) {
	t.Parallel()
	deaf := func(_ context.Context, c *Conn) {
		io.Copy(io.Discard, c.Literal(1<<40))
	}
	r := run(t, false, func(s *Server) {
		s.Session = deaf
		s.Grace = 20 * time.Millisecond
	})
	c := dial(t, "tcp", r.addr)
	eventually(t, "it is accepted", func() bool { return r.Count() == 1 })
	r.cancel()
	c.expectEnd()
	eventually(t, "it is gone", func() bool { return r.Count() == 0 })
	r.stopped(t)
}

func TestSessionThatNeverEnds(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	r := run(t, false, func(s *Server) {
		s.Session = func(context.Context, *Conn) { <-release }
		s.Grace = 10 * time.Millisecond
	})
	dial(t, "tcp", r.addr)
	eventually(t, "it is accepted", func() bool { return r.Count() == 1 })
	r.cancel()
	if err := r.stopped(t); err == nil || !strings.Contains(err.Error(), "1 sessions do not end") {
		t.Errorf("got %v", err)
	}
}

// faulty is a listener that runs out of file descriptors now and then.
type faulty struct {
	net.Listener
	mu   sync.Mutex
	left int
}

func (f *faulty) Accept() (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left > 0 {
		f.left--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return f.Listener.Accept()
}

func TestAcceptErrors(t *testing.T) {
	t.Parallel()
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := runOn(t, &faulty{Listener: ln, left: 3}, false, func(*Server) {})
	dial(t, "tcp", r.addr).expect("+OK 127.0.0.1")
	if got := r.records(); strings.Count(got, "too many open files; trying again in") != 3 {
		t.Errorf("log %q", got)
	}
	closed := run(t, false, func(*Server) {})
	closed.cancel()
	if err := closed.stopped(t); err != nil {
		t.Error(err)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	addr := ln.Addr().String()
	want := `listen on "` + addr + `": another process is listening there: address already in use`
	if _, err := Listen(addr); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{"127.0.0.1:xyz", "127.0.0.1", "unix:/nonexistent/socket"} {
		if _, err := Listen(bad); err == nil || !strings.HasPrefix(err.Error(), `listen on "`+bad+`": `) {
			t.Errorf("got %v", err)
		}
	}
}

func TestListenUnix(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	ln, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != socketMode {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Listen("unix:" + path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("in use: %v", err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close() // as a process that was killed leaves it
	ln, err = Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	os.WriteFile(path, []byte("precious"), 0o600)
	if _, err := Listen("unix:" + path); err == nil {
		t.Error("took the place of a file")
	}
	if got, _ := os.ReadFile(path); string(got) != "precious" {
		t.Error("the file is gone")
	}
}
