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
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	domain   = "company.test"
	password = "tulip fields"
)

// binary is the program under test, built once for all tests of the package.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tripost-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tripost")
	args := append(append([]string{"build"}, buildFlags...), "-o", path, "tripost/cmd/tripost")
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("building: %w: %s", err, out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// server is a running tripost with its configuration and data.
type server struct {
	t      testing.TB
	dir    string
	config string
	cmd    *exec.Cmd
	output *bytes.Buffer

	smtp, submission, pop, imap    string // addresses, clear text
	submissionTLS, popTLS, imapTLS string
}

// newServer prepares a data directory with a domain and accounts, and starts a
// server on it. extra is added to the configuration.
func newServer(t testing.TB, extra string, accounts ...string) *server {
	t.Helper()
	s := prepare(t, extra)
	s.start()
	t.Cleanup(s.stop)
	s.run("domain", "add", domain)
	for _, name := range accounts {
		s.runWith(password+"\n", "account", "add", name+"@"+domain, "--password-stdin")
	}
	return s
}

// prepare writes a configuration on ports that are free now.
func prepare(t testing.TB, extra string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir()}
	s.config = filepath.Join(s.dir, "tripost.toml")
	addrs := freeAddresses(t, 7)
	s.smtp, s.submission, s.pop, s.imap = addrs[0], addrs[1], addrs[2], addrs[3]
	s.submissionTLS, s.popTLS, s.imapTLS = addrs[4], addrs[5], addrs[6]
	text := fmt.Sprintf(`hostname = "mail.company.test"
data = "data"
pop.listen = [%q]
pop.listen_tls = [%q]
imap.listen = [%q]
imap.listen_tls = [%q]
smtp.listen = [%q]
submission.listen = [%q]
submission.listen_tls = [%q]
admin.listen = ""
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

// nextPort is the next port to try. Ports below those that the system gives to
// outgoing connections stay free while a server restarts.
var nextPort atomic.Uint32

func freeAddresses(t testing.TB, n int) []string {
	t.Helper()
	nextPort.CompareAndSwap(0, 10_000+uint32(os.Getpid()%10_000))
	var addrs []string
	for range 20_000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+nextPort.Add(1)%20_000)
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		ln.Close()
		if addrs = append(addrs, addr); len(addrs) == n {
			return addrs
		}
	}
	t.Fatal("there are no free ports")
	return nil
}

// command makes a command of the program.
func (s *server) command(args ...string) *exec.Cmd {
	s.t.Helper()
	path, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	return exec.Command(path, append([]string{"--config", s.config}, args...)...)
}

// start starts the server and waits until it answers.
func (s *server) start() {
	s.t.Helper()
	s.cmd = s.command("serve")
	s.output = new(bytes.Buffer)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for _, addr := range []string{s.imapTLS, s.smtp} {
		for {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				conn.Close()
				break
			}
			if time.Now().After(deadline) {
				s.cmd.Process.Kill()
				s.cmd.Wait()
				s.t.Fatalf("the server does not answer on %s: %s", addr, s.output)
			}
			time.Sleep(5 * time.Millisecond) // the port is closed: nothing to wait on
		}
	}
}

// stop ends the server gracefully; the store must be clean afterwards.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(30*time.Second, func() { s.cmd.Process.Kill() })
	err := s.cmd.Wait()
	kill.Stop()
	s.cmd = nil
	if err != nil {
		s.t.Errorf("the server ended with %v: %s", err, s.output)
	}
	s.run("store", "check")
}

// kill ends the server as a crash would.
func (s *server) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
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

// patience bounds each program that a test starts.
const patience = 2 * time.Minute

// finish runs a command to its end and returns what it printed. One that does
// not end is killed.
func finish(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return "", err
	}
	kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
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
