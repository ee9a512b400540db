package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	domain   = "company.test"
	password = "tulip fields"
)

// binary is the program under test, built once for all tests of the package.
var binary = sync.OnceValues(func() (string, error) { return build(buildFlags...) })

// plainBinary is the program without the race detector, for tests that measure
// its memory.
var plainBinary = sync.OnceValues(func() (string, error) {
	if len(buildFlags) == 0 {
		return binary()
	}
	return build()
})

// build builds the program in the directory of all that this process builds.
func build(flags ...string) (string, error) {
	dir, err := binaries()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tripost"+strings.Join(flags, ""))
	args := append(append([]string{"build"}, flags...), "-o", path, "tripost/cmd/tripost")
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("building: %w: %s", err, out)
	}
	return path, err
}

// binaries is where the programs under test are, until TestMain removes it.
var binaries = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "tripost-e2e-") })

func TestMain(m *testing.M) {
	// A program with the race detector sleeps for a second before it ends. Races are
	// told when they are found, and the tests run hundreds of commands.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	syscall.Umask(0o022) // what other users' programs are given they must be able to read
	code := m.Run()
	if dir, err := binaries(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// server is a running tripost with its configuration and data.
type server struct {
	t      testing.TB
	dir    string
	config string
	binary func() (string, error)
	env    []string  // of its processes, beside that of the test
	cmd    *exec.Cmd // nil: it was stopped or killed
	output *bytes.Buffer
	ended  chan struct{} // closed when the process is gone
	end    error         // how it ended

	smtp, submission, pop, imap    string // addresses, clear text
	submissionTLS, popTLS, imapTLS string
}

// newServer prepares a data directory with a domain and accounts, and starts a
// server on it. extra is added to the configuration.
func newServer(t testing.TB, extra string, accounts ...string) *server {
	t.Helper()
	s := prepare(t, extra)
	s.begin(accounts...)
	return s
}

// begin starts a server until the end of the test and makes a domain with
// accounts.
func (s *server) begin(accounts ...string) {
	s.t.Helper()
	s.start()
	s.t.Cleanup(s.stop)
	s.run("domain", "add", domain)
	for _, name := range accounts {
		s.runWith(password+"\n", "account", "add", name+"@"+domain, "--password-stdin")
	}
}

// preparePlain is prepare for a server without the race detector.
func preparePlain(t testing.TB, extra string) *server {
	t.Helper()
	s := prepare(t, extra)
	s.binary = plainBinary
	return s
}

// prepare writes a configuration on ports that are free now.
func prepare(t testing.TB, extra string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), binary: binary}
	s.config = filepath.Join(s.dir, "tripost.toml")
	addrs := freeAddresses(t, 7)
	s.smtp, s.submission, s.pop, s.imap = addrs[0], addrs[1], addrs[2], addrs[3]
	s.submissionTLS, s.popTLS, s.imapTLS = addrs[4], addrs[5], addrs[6]
	if !strings.Contains(extra, "admin.listen") {
		extra = "admin.listen = \"\"\n" + extra
	}
	text := fmt.Sprintf(`hostname = "mail.company.test"
data = "data"
pop.listen = [%q]
pop.listen_tls = [%q]
imap.listen = [%q]
imap.listen_tls = [%q]
smtp.listen = [%q]
submission.listen = [%q]
submission.listen_tls = [%q]
queue.resolver = "127.0.0.1:1" # nothing may leave this machine
%s`, s.pop, s.popTLS, s.imap, s.imapTLS, s.smtp, s.submission, s.submissionTLS, extra)
	if !strings.Contains(extra, "log.level") {
		text += "log.level = 4\n"
	}
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// ports are given out one after the other, in blocks that no other process which
// runs these tests has. They are below those that the system gives to outgoing
// connections and to whoever asks for any port, so that they stay free while a
// server restarts.
var ports struct {
	mu         sync.Mutex
	next, last int
	held       []net.Listener // on the first port of each block, to the end of the process
}

const (
	firstPort, lastPort = 10_000, 32_000
	portBlock           = 200
)

// freeAddresses returns addresses on which nobody listens or will.
func freeAddresses(t testing.TB, n int) []string {
	t.Helper()
	ports.mu.Lock()
	defer ports.mu.Unlock()
	var addrs []string
	for len(addrs) < n {
		if ports.next == ports.last && !takePorts() {
			t.Fatal("there are no free ports")
		}
		addr := fmt.Sprintf("127.0.0.1:%d", ports.next)
		ports.next++
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// takePorts makes a block of ports ours by listening on its first one. The caller
// holds ports.mu.
func takePorts() bool {
	const blocks = (lastPort - firstPort) / portBlock
	begin := os.Getpid()
	for i := range blocks {
		first := firstPort + (begin+i)%blocks*portBlock
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first))
		if err == nil {
			ports.held = append(ports.held, ln)
			ports.next, ports.last = first+1, first+portBlock
			return true
		}
	}
	return false
}

// command makes a command of the program.
func (s *server) command(args ...string) *exec.Cmd {
	s.t.Helper()
	path, err := s.binary()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"--config", s.config}, args...)...)
	cmd.Env = append(os.Environ(), s.env...)
	return cmd
}

// start starts the server and waits until it answers.
func (s *server) start() {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for !s.launch(deadline) {
		// A connection of somebody else may come from our port, for a moment.
		if !strings.Contains(s.output.String(), "address already in use") || time.Now().After(deadline) {
			s.t.Fatalf("the server does not start (%v): %s", s.end, s.output)
		}
	}
}

// launch starts the server, and tells whether it answers. If not it has ended.
func (s *server) launch(deadline time.Time) bool {
	s.t.Helper()
	cmd := s.command("serve")
	s.output = new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = s.output, s.output
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	s.cmd, s.ended = cmd, ended
	go func() {
		s.end = cmd.Wait()
		close(ended)
	}()
	tick := time.NewTicker(5 * time.Millisecond) // the port is closed: nothing else to wait on
	defer tick.Stop()
	for _, addr := range []string{s.imapTLS, s.smtp} {
		for !answers(addr) {
			select {
			case <-ended:
				s.cmd = nil
				return false
			case <-tick.C:
			}
			if time.Now().After(deadline) {
				s.kill()
				return false
			}
		}
	}
	return true
}

// answers tells whether somebody listens on an address.
func answers(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// stop ends the server gracefully; the store must be clean afterwards.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	cmd := s.cmd
	s.cmd = nil
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(patience):
		cmd.Process.Signal(syscall.SIGQUIT) // it tells what it was doing
		<-s.ended
	}
	if s.end != nil {
		s.t.Errorf("the server ended with %v: %s", s.end, s.output)
	}
	if s.t.Failed() {
		s.t.Logf("the end of the System Log:\n%s", s.lastRecords(200))
	}
	s.run("store", "check")
}

// lastRecords returns the last lines of the System Log.
func (s *server) lastRecords(n int) string {
	files, _ := filepath.Glob(filepath.Join(s.dir, "data", "SystemLogs", "*.log"))
	var all []byte
	for _, name := range files {
		text, _ := os.ReadFile(name) // one that cannot be read is told by its absence
		all = append(all, text...)
	}
	lines := strings.SplitAfter(string(all), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// kill ends the server as a crash would.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.ended
	s.cmd = nil
}

// run runs a command of the program and returns what it printed.
func (s *server) run(args ...string) string {
	s.t.Helper()
	return s.runWith("", args...)
}

// runWith is run with a standard input.
func (s *server) runWith(stdin string, args ...string) string {
	s.t.Helper()
	out, err := s.try(stdin, args...)
	if err != nil {
		s.t.Fatalf("tripost %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// try is runWith for a command that may fail.
func (s *server) try(stdin string, args ...string) (string, error) {
	s.t.Helper()
	cmd := s.command(args...)
	cmd.Stdin = strings.NewReader(stdin)
	return finish(cmd)
}

// patience bounds each program that a test starts, and each wait. Only what has
// gone wrong takes so long.
const patience = 8 * time.Minute

// finish runs a command to its end and returns what it printed. One that does
// not end is killed.
func finish(cmd *exec.Cmd) (string, error) { return finishWithin(patience, cmd) }

func finishWithin(limit time.Duration, cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = patience / 4 // for what it has printed to be read, on a busy machine
	if err := cmd.Start(); err != nil {
		return "", err
	}
	kill := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer kill.Stop()
	err := cmd.Wait()
	return out.String(), err
}

// exitCode returns the code of a failed command.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// program skips the test, visibly, when a program is not installed.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// tool runs a program and fails the test when it fails.
func tool(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	out, err := tryWith(t, stdin, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// tryWith runs a program that may fail, in a home directory of its own.
func tryWith(t *testing.T, stdin, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
	cmd.Stdin = strings.NewReader(stdin)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "FETCHMAILHOME="+home, "LC_ALL=C")
	return finish(cmd)
}

// port returns the port of an address.
func port(addr string) string {
	_, p, _ := strings.Cut(addr, ":")
	return p
}

func address(name string) string { return name + "@" + domain }

// write puts text into a file of the test's directory.
func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// letter is a small mail with LF line ends.
func letter(from, to, subject string) string {
	return "From: " + from + "\nTo: " + to + "\nSubject: " + subject + "\nMessage-ID: <" + strconv.Itoa(len(subject)) + "." +
		strings.ReplaceAll(subject, " ", "-") + "@" + domain + ">\n\nDear reader,\n.\n..\nthis is the text.\n"
}

// requireFree skips the test when somebody listens on an address.
func requireFree(t *testing.T, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("%s is taken", addr)
	}
	ln.Close()
}

func itoa(n int) string { return strconv.Itoa(n) }
