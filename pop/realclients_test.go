package pop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// realClient runs a mail program that is installed on the machine, in a home
// directory of its own, and returns what it wrote.
func (w *world) realClient(home, program string, args ...string) string {
	w.t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		w.t.Skipf("%s is not installed: it is not tried", program)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (w *world) port() string {
	w.run()
	_, port, err := net.SplitHostPort(w.addr)
	must(w.t, err)
	return port
}

// threeMessages fills ann's INBOX.
func (w *world) threeMessages() {
	for n := range 3 {
		w.deliver("ann/INBOX", fmt.Sprintf("From: bob@other.test\r\nTo: ann@example.test\r\nSubject: number %d\r\nMessage-ID: <%d@other.test>\r\n\r\n.dot\r\nend %d\r\n", n+1, n+1, n+1))
	}
}

func TestCurl(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.threeMessages()
	base := "pop3://127.0.0.1:" + w.port() + "/"
	curl := func(args ...string) string {
		return w.realClient(t.TempDir(), "curl", append([]string{"-sS", "--max-time", "120", "-u", "ann:" + annPassword}, args...)...)
	}
	if got := curl(base); got != "1 106\r\n2 106\r\n3 106\r\n" {
		t.Errorf("list: %q", got)
	}
	if got := curl("--ssl-reqd", "-k", base+"2"); !strings.HasSuffix(got, "\r\n\r\n.dot\r\nend 2\r\n") {
		t.Errorf("message 2 by STLS: %q", got)
	}
	if got := curl("--login-options", "AUTH=PLAIN", base+"1"); !strings.HasSuffix(got, "\r\n\r\n.dot\r\nend 1\r\n") {
		t.Errorf("message 1 after AUTH PLAIN: %q", got)
	}
	curl("-I", "-X", "DELE 3", base)
	w.awaitContents("ann/INBOX", "1 \\Seen\n2 \\Seen\n")
}

func TestMpop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.threeMessages()
	home := t.TempDir()
	config := filepath.Join(home, "mpoprc")
	must(t, os.WriteFile(config, []byte("account default\nhost 127.0.0.1\nport "+w.port()+"\nuser ann\npassword "+annPassword+
		"\ntls on\ntls_starttls on\ntls_certcheck off\nkeep on\nuidls_file "+home+"/uidls\ndelivery mbox "+home+"/mbox\n"), 0o600))
	w.realClient(home, "mpop", "-C", config, "-Q")
	w.realClient(home, "mpop", "-C", config, "-Q") // knows the unique-ids: fetches nothing again
	mbox, err := os.ReadFile(filepath.Join(home, "mbox"))
	must(t, err)
	if n := strings.Count(string(mbox), "\n.dot\n"); n != 3 {
		t.Errorf("%d messages fetched:\n%s", n, mbox)
	}
	w.realClient(home, "mpop", "-C", config, "-Q", "--keep=off")
	w.awaitContents("ann/INBOX", "")
}

func TestFetchmail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.threeMessages()
	home := t.TempDir()
	config := filepath.Join(home, "fetchmailrc")
	must(t, os.WriteFile(config, []byte("poll 127.0.0.1 protocol pop3 port "+w.port()+" timeout 120\n user ann password "+annPassword+
		" fetchall no rewrite sslproto 'auto' no sslcertck mda \"cat >> "+home+"/mbox\"\n"), 0o600))
	w.realClient(home, "fetchmail", "-f", config, "--nodetach", "--nosyslog", "--pidfile", home+"/pid", "--idfile", home+"/ids")
	mbox, err := os.ReadFile(filepath.Join(home, "mbox"))
	must(t, err)
	if n := strings.Count(string(mbox), "\n.dot\n"); n != 3 {
		t.Errorf("%d messages fetched:\n%s", n, mbox)
	}
	w.awaitContents("ann/INBOX", "")
}
