package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDebianPackage makes the package and looks into it. Its configuration must
// be one that the program takes, and systemd must know every line of its unit.
func TestDebianPackage(t *testing.T) {
	t.Parallel()
	program(t, "dpkg-deb")
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dist := t.TempDir()
	tool(t, "", "../packaging/deb.sh", path, "1.2.3", dist)
	found, err := filepath.Glob(filepath.Join(dist, "tripost_1.2.3_*.deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("packages %q, %v", found, err)
	}
	list := tool(t, "", "dpkg-deb", "--contents", found[0])
	for _, line := range []string{
		"-rwxr-xr-x root/root", "./usr/bin/tripost", "./usr/lib/systemd/system/tripost.service",
		"-rw-r----- root/root", "./etc/tripost/tripost.toml", "./usr/share/doc/tripost/configuration.md",
	} {
		if !strings.Contains(list, line) {
			t.Errorf("%q is missing in\n%s", line, list)
		}
	}
	root := filepath.Join(dist, "root")
	tool(t, "", "dpkg-deb", "--extract", found[0], root)
	linksLead(t, filepath.Join(root, "usr/share/doc/tripost"))
	if control := tool(t, "", "dpkg-deb", "--field", found[0]); strings.Contains(control, "mail-transport-agent") {
		t.Errorf("the package has no /usr/sbin/sendmail, which Debian Policy 11.6 asks of a mail-transport-agent:\n%s", control)
	}
	out, err := exec.Command(filepath.Join(root, "usr/bin/tripost"), "--config", filepath.Join(root, "etc/tripost/tripost.toml"), "config", "check").CombinedOutput()
	if err != nil {
		t.Errorf("the configuration: %v: %s", err, out)
	}
	if _, err := exec.LookPath("systemd-analyze"); err == nil {
		unit := filepath.Join(root, "usr/lib/systemd/system/tripost.service")
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		here := strings.ReplaceAll(string(text), "/usr/bin/tripost", filepath.Join(root, "usr/bin/tripost"))
		if err := os.WriteFile(unit, []byte(here), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || strings.Contains(string(out), "tripost.service:") {
			t.Errorf("the unit: %v: %s", err, out)
		}
	}
}

// linksLead looks up what the pages in a directory link to, and their pictures.
// What is beside the documentation in the source is not in the package.
func linksLead(t *testing.T, dir string) {
	t.Helper()
	form := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	links := 0
	err := filepath.WalkDir(dir, func(page string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(page, ".md") {
			return err
		}
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		for _, link := range form.FindAllStringSubmatch(string(text), -1) {
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s: %v", filepath.Base(page), err)
			}
		}
		return nil
	})
	if err != nil || links == 0 {
		t.Errorf("%d links: %v", links, err)
	}
}
