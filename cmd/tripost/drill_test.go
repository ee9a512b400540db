package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestDrillJudge shows that a drill can fail: it misses what was acknowledged
// and never stored, and what was stored otherwise than it was sent.
func TestDrillJudge(t *testing.T) {
	t.Parallel()
	real, err := loadConfig(filepath.Join(newSite(t, ""), "tripost.toml"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDrill(t.Context(), real)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(d.socket)) })
	for name, text := range map[string]string{"sound": drillMail("sound"), "cut": drillMail("cut")[:500]} {
		file := filepath.Join(d.dir, name)
		writeFile(t, file, "From a@drill.test Mon Jan  5 10:00:00 2026\nReceived: here\n"+text)
		mustRun(t, d.dir, "", "message", "import", drillAddress(0), "INBOX", file)
	}
	mustRun(t, d.dir, "", "message", "import", drillAddress(1), "INBOX", filepath.Join(d.dir, "sound"))
	d.acknowledged["sound"], d.acknowledged["never stored"] = true, true
	var info DrillInfo
	if err := d.judge(t.Context(), &info); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(info.Lost, []string{"never stored"}) || len(info.Damaged) != 2 || info.Faults != 0 {
		t.Errorf("judged %+v", info)
	}
}
