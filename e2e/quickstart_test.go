package e2e

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestQuickstart starts "serve --quickstart" in an empty directory and runs the
// three commands that it prints, as a newcomer pastes them into a shell. It
// uses the fixed ports of the quickstart, so it is skipped when they are taken.
func TestQuickstart(t *testing.T) {
	program(t, "curl")
	for _, port := range []string{"2525", "2587", "2110", "2143", "8010"} {
		requireFree(t, "127.0.0.1:"+port)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for start, again := range []string{"first", "second"} {
		cmd := exec.Command(path, "serve", "--quickstart")
		cmd.Dir = dir
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var problems bytes.Buffer
		cmd.Stderr = &problems
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		t.Cleanup(func() { cmd.Process.Kill() }) // fails when it has ended, as it should have
		printed, err := readUntil(stdout, "removes everything")
		if err != nil {
			cmd.Wait()
			if strings.Contains(problems.String(), "address already in use") {
				t.Skipf("somebody has just taken a port: %s", &problems)
			}
			t.Fatalf("%s start: after\n%s\n%v: %s", again, printed, err, &problems)
		}
		if got := strings.Count(printed, "has the password"); got != []int{2, 0}[start] {
			t.Errorf("%s start: %d passwords printed:\n%s", again, got, printed)
		}
		commands := regexp.MustCompile(`(?m)^   (.*)$`).FindAllStringSubmatch(printed, -1)
		if len(commands) != 3 {
			t.Fatalf("%d commands are printed, not three:\n%s", len(commands), printed)
		}
		for i, c := range commands {
			shell := exec.Command("bash", "-c", c[1])
			shell.Dir = dir
			out, err := finish(shell)
			if err != nil {
				t.Errorf("%s: %v\n%s", c[1], err, out)
			}
			if i > 0 && !strings.Contains(out, "How are you?") {
				t.Errorf("%s printed\n%s", c[1], out)
			}
		}
		cmd.Process.Signal(syscall.SIGTERM)
		io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s start: ended with %v: %s", again, err, &problems)
		}
		kill.Stop()
	}
}

// readUntil reads lines to one with a text, and returns them all.
func readUntil(r io.Reader, text string) (string, error) {
	var all strings.Builder
	b := bufio.NewReader(r)
	for !strings.Contains(all.String(), text) {
		line, err := b.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			return all.String(), err
		}
	}
	return all.String(), nil
}
