package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOperating runs the commands of docs/operating.md that back up, restore, rebuild and
// rescue, in its order, on a store that remembers changes and goes on after the backup.
func TestOperating(t *testing.T) {
	t.Parallel()
	s := prepare(t, "security.client_addresses = []\n")
	s.start()
	t.Cleanup(func() { s.stop() })
	s.run("domain", "add", "company.test")
	s.runWith(password+"\n", "account", "add", "ann@company.test", "--password-stdin")
	for _, subject := range []string{"stays", "goes"} {
		s.post(t, "x@elsewhere.test", "ann@company.test", subject, "250")
	}
	pop := signInPOP(t, s, "ann@company.test")
	for _, command := range []string{"DELE 2", "QUIT"} {
		pop.send("%s", command)
		pop.want("+OK")
	}
	page := s.page(t)
	backup := page[0]
	page.do(t, s, backup)
	s.post(t, "x@elsewhere.test", "ann@company.test", "comes later", "250")
	for _, command := range page[1:] {
		if strings.Contains(command, "store rebuild") {
			if err := os.Remove(filepath.Join(s.dir, "data", "store", "index.db")); err != nil {
				t.Fatal(err)
			}
			if out, err := s.try("", "serve"); err == nil || !strings.Contains(out, "store rebuild") {
				t.Errorf("without its index the server says %v: %s", err, out)
			}
		}
		page.do(t, s, command)
	}
	s.wantExport(t, "ann@company.test", "INBOX", "stays")
	saved, err := filepath.Glob(filepath.Join(s.dir, "data", "saved", "cur", "*"))
	if err != nil || len(saved) == 0 {
		t.Fatalf("saved %q, %v", saved, err)
	}
	if text, err := os.ReadFile(slices.Max(saved)); err != nil || !strings.Contains(string(text), "Subject: comes later\n") {
		t.Errorf("the newest that was saved is %q, %v", text, err)
	}
	s.post(t, "x@elsewhere.test", "ann@company.test", "after all that", "250")
	page.do(t, s, backup) // beside store.old
}

// commands are lines to be run.
type commands []string

// page reads the commands between backing up and trying the disk, with the paths of the
// test's server.
func (s *server) page(t *testing.T) (list commands) {
	t.Helper()
	text, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(text), "\n## Back up\n")
	part, _, ok2 := strings.Cut(part, "\n## Try the disk\n")
	if !ok || !ok2 {
		t.Fatal("the page has other sections")
	}
	paths := strings.NewReplacer("/var/lib/tripost", filepath.Join(s.dir, "data"), "/var/backups/tripost", filepath.Join(s.dir, "backups"))
	for line := range strings.Lines(part) {
		command, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "    ")
		if !ok || strings.HasPrefix(command, "[") || strings.Contains(command, " = ") {
			continue // text, or configuration
		}
		command, _, _ = strings.Cut(command, " #")
		list = append(list, paths.Replace(strings.TrimSpace(command)))
	}
	if len(list) < 10 || !strings.Contains(list[0], "store backup") {
		t.Fatalf("the page has the commands %q", list)
	}
	return list
}

// do runs one of them.
func (commands) do(t *testing.T, s *server, command string) {
	t.Helper()
	fields := strings.Fields(strings.TrimPrefix(command, "sudo -u tripost "))
	switch {
	case command == "systemctl stop tripost":
		s.stop()
	case command == "systemctl start tripost":
		s.start()
	case fields[0] == "tripost":
		s.run(fields[1:]...)
	case fields[0] == "mv":
		if out, err := exec.Command("mv", fields[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	default:
		t.Fatalf("what is %q?", command)
	}
}

// TestPackagedBackups holds the directory of backups in the packaged configuration and in
// docs/operating.md against what the package makes and what its unit lets the server write.
func TestPackagedBackups(t *testing.T) {
	t.Parallel()
	var texts [4]string
	var failed error
	for i, name := range []string{"tripost.toml", "tripost.service", "postinst", "../docs/operating.md"} {
		text, err := os.ReadFile(filepath.Join("../packaging", name))
		texts[i], failed = string(text), errors.Join(failed, err)
	}
	if failed != nil {
		t.Fatal(failed)
	}
	_, dir, ok := strings.Cut(texts[0], "\n# directory = \"")
	dir, _, ok2 := strings.Cut(dir, "\"")
	if !ok || !ok2 || !filepath.IsAbs(dir) {
		t.Fatalf("the configuration has the directory %q", dir)
	}
	if !strings.Contains(texts[1], "\nReadWritePaths=-"+dir+"\n") {
		t.Errorf("the unit does not let the server write to %s", dir)
	}
	made := false
	for line := range strings.Lines(texts[2]) {
		made = made || strings.Contains(line, "install -d -o tripost ") && slices.Contains(strings.Fields(line), dir)
	}
	if !made {
		t.Errorf("the package does not make %s", dir)
	}
	if !strings.Contains(texts[3], "tripost store backup "+dir+" ") || !strings.Contains(texts[3], "directory = \""+dir+"\"") {
		t.Errorf("operating.md backs up to another directory than %s", dir)
	}
}
