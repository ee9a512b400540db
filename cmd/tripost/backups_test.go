package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDirectories refuses directories that nobody means, and makes no more than
// the last level of the others: a mistyped path must not become a tree.
func TestDirectories(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "")
	startServer(t, dir)
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "\x1b[2J", "a\nb", "\x00", "\u202e", strings.Repeat("x", 100_000), filepath.Join(dir, "a/b"), filepath.Join(dir, strings.Repeat("a/", 1000))} {
		for _, command := range []string{"backup", "verify", "restore", "rescue"} {
			code, out := tripost(t, dir, "", "store", command, bad)
			if code == exitDone || len(out) > 2000 || strings.ContainsAny(out, "\x1b\x00\u202e") {
				t.Errorf("store %s %.40q: exit code %d: %.200q", command, bad, code, out)
			}
		}
	}
	after, err := os.ReadDir(dir)
	if err != nil || len(after) != len(before) {
		t.Errorf("%d files in the directory, %d before, %v", len(after), len(before), err)
	}
}
