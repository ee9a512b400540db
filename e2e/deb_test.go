package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
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
