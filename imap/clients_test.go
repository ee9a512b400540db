package imap

import (
	"net"
	"os/exec"
	"strings"
	"testing"
)

// TestImaplib runs a session of Python's imaplib.
func TestImaplib(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	w := newWorld(t, false)
	w.run()
	host, port, err := net.SplitHostPort(w.addr)
	must(t, err)
	out, err := exec.Command(python, "testdata/imaplib_client.py", host, port).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "done\n") {
		t.Fatalf("%v\n%s", err, out)
	}
}
