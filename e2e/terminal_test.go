package e2e

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// A terminal is a program in a terminal of its own, which script gives it. What
// such a program is to be told is typed when it asks for it: many of them throw
// away what was typed before they set the terminal up.
type terminal struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	keys  io.WriteCloser
	ended chan struct{}
	err   error // of the program, after ended

	mu     sync.Mutex
	screen strings.Builder
	seen   int // up to here in screen, what was waited for is found
	shown  chan struct{}
}

// inTerminal starts a shell's command line in a home directory.
func inTerminal(t *testing.T, home, command string) *terminal {
	t.Helper()
	x := &terminal{t: t, name: command, ended: make(chan struct{}), shown: make(chan struct{}, 1)}
	x.cmd = exec.Command(program(t, "script"), "-qec", command, "/dev/null")
	x.cmd.Env = append(os.Environ(), "HOME="+home, "LC_ALL=C", "TERM=xterm", "LINES=24", "COLUMNS=80")
	x.cmd.Stdout, x.cmd.Stderr = x, x
	x.cmd.WaitDelay = patience / 4
	var err error
	if x.keys, err = x.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		x.err = x.cmd.Wait()
		close(x.ended)
	}()
	t.Cleanup(func() {
		x.cmd.Process.Kill() // fails when it has ended, as it should have
		<-x.ended
	})
	return x
}

// Write takes what the program shows.
func (x *terminal) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.screen.Write(p)
	select {
	case x.shown <- struct{}{}:
	default:
	}
	return len(p), nil
}

// text is all that was shown.
func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.screen.String()
}

// answer waits until the program shows a text, after what it was waited for before,
// and types keys.
func (x *terminal) answer(prompt, keys string) {
	x.t.Helper()
	deadline := time.After(patience)
	for {
		if at := strings.Index(x.text()[x.seen:], prompt); at >= 0 {
			x.seen += at + len(prompt)
			break
		}
		select {
		case <-x.shown:
		case <-x.ended:
			x.t.Fatalf("%s ended (%v) before it showed %q:\n%q", x.name, x.err, prompt, x.text())
		case <-deadline:
			x.t.Fatalf("%s does not show %q:\n%q", x.name, prompt, x.text())
		}
	}
	if _, err := io.WriteString(x.keys, keys); err != nil {
		x.t.Fatalf("%s: %v", x.name, err)
	}
}

// end waits for the program's end.
func (x *terminal) end() {
	x.t.Helper()
	select {
	case <-x.ended:
	case <-time.After(patience):
		x.t.Fatalf("%s does not end:\n%q", x.name, x.text())
	}
	if x.err != nil {
		x.t.Fatalf("%s: %v\n%q", x.name, x.err, x.text())
	}
}
