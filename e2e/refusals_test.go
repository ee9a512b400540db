package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefusals starts servers that cannot work: each says what is wrong and
// where, in one line, and ends with code 1.
func TestRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // not before the parallel subtests
	for _, c := range []struct {
		name  string
		extra string
		want  []string
	}{
		{"unknown key", "pop.chanels = 3\n", []string{"line ", "pop.chanels"}},
		{"wrong type", "pop.channels = \"many\"\n", []string{"line "}},
		{"wrong value", "security.cleartext_login = \"sometimes\"\n", []string{"security.cleartext_login", "sometimes"}},
		{"wrong duration", "store.undelete = \"two weeks\"\n", []string{"two weeks"}},
		{"limit too low", "message.recipients = 5\n", []string{"message.recipients", "100"}},
		{"open relay", "security.client_addresses = [\"0.0.0.0/0\"]\n", []string{"security.client_addresses", "0.0.0.0/0"}},
		{"missing certificate", "tls.certificate = \"nowhere.pem\"\ntls.key = \"nowhere.key\"\n", []string{"nowhere.pem", "no such file"}},
		{"half a certificate", "tls.certificate = \"nowhere.pem\"\n", []string{"tls", "key"}},
		{"damaged certificate", "tls.certificate = \"bad.pem\"\ntls.key = \"bad.pem\"\n", []string{"bad.pem"}},
		{"port in use", "admin.listen = \"" + taken.Addr().String() + "\"\n", []string{taken.Addr().String(), "in use"}},
		{"broken file", "[pop\n", []string{"line "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			extra := c.extra
			s := prepare(t, "")
			text, err := os.ReadFile(s.config)
			if err != nil {
				t.Fatal(err)
			}
			config := string(text)
			if strings.HasPrefix(extra, "admin.listen") {
				config = strings.Replace(config, "admin.listen = \"\"\n", "", 1)
			}
			write(t, s.dir, "tripost.toml", config+extra, 0o600)
			write(t, s.dir, "bad.pem", "this is no certificate\n", 0o600)
			out, err := s.try("", "serve")
			if exitCode(err) != 1 {
				t.Errorf("ended with %v, want code 1", err)
			}
			if strings.Count(strings.TrimSpace(out), "\n") != 0 {
				t.Errorf("more than one line:\n%s", out)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q does not say %q", out, want)
				}
			}
		})
	}
}

// TestSecondServer starts a second server on the same data: it says which
// process has it, and the first goes on.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann")
	second := prepare(t, "")
	text, err := os.ReadFile(second.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, second.dir, "tripost.toml", strings.Replace(string(text), `data = "data"`, `data = "`+filepath.Join(s.dir, "data")+`"`, 1), 0o600)
	out, err := second.try("", "serve")
	if exitCode(err) != 1 || !strings.Contains(out, "process") || !strings.Contains(out, itoa(s.cmd.Process.Pid)) {
		t.Errorf("the second server said %q (%v), want the process id %d", out, err, s.cmd.Process.Pid)
	}
	s.deliver("ann", 1)
	s.wantSubjects(t, "ann", "INBOX", "letter 1")
}

// TestCommandsWithoutServer does with no server what is otherwise done over the
// control socket.
func TestCommandsWithoutServer(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann")
	s.deliver("ann", 2)
	s.stop()
	s.run("alias", "add", "info@"+domain, address("ann"))
	s.run("mailbox", "create", address("ann"), "lists/go")
	out := s.run("mailbox", "list", address("ann"))
	if !strings.Contains(out, "lists/") || !strings.Contains(out, "lists/go") {
		t.Errorf("mailbox list printed:\n%s", out)
	}
	if out := s.run("route", "test", "info@"+domain); !strings.Contains(out, "LOCAL(ann@company.test)") {
		t.Errorf("route test printed:\n%s", out)
	}
	mbox := s.run("message", "export", address("ann"), "INBOX", "-")
	s.runWith(mbox, "message", "import", address("ann"), "lists/go", "-")
	if again := s.run("message", "export", address("ann"), "lists/go", "-"); again != mbox {
		t.Errorf("exported, imported and exported again, the mailbox is\n%s\nwhich was\n%s", again, mbox)
	}
	if out, err := s.try("", "account", "show", "nobody@"+domain); exitCode(err) != 1 || !strings.Contains(out, "no such account") {
		t.Errorf("account show of nobody: %q (%v)", out, err)
	}
	if out, err := s.try("", "acount", "show"); exitCode(err) != 2 {
		t.Errorf("an unknown command: %q (%v), want code 2", out, err)
	}
	s.start()
	s.wantSubjects(t, "ann", "lists/go", "letter 1", "letter 2")
}
