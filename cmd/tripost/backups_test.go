package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tripost/store/backup"
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

// TestBackupTakesAlong holds what a backup has beside the store: certificates, keys and
// what the configuration names, and nothing that somebody has put there, be it a store
// moved away or anything else.
func TestBackupTakesAlong(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "queue.smarthost = \"127.0.0.1:1\"\nqueue.smarthost_user = \"x\"\nqueue.smarthost_password_file = \"data/secrets/smarthost\"\nscreen.rspamd_password_file = \"rspamd\"\n")
	for name, size := range map[string]int64{
		"data/secrets/smarthost":              8,
		"data/acme/certificate.pem":           100,
		"data/store.old/journal/00000001.seg": 17 << 20,
		"data/saved/cur/1":                    5,
		"data/SystemLogs/2026-03-01.log":      5,
		"rspamd":                              8,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, "secret\n")
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
	}
	startServer(t, dir)
	mustRun(t, dir, "", "store", "backup", filepath.Join(dir, "backups"))
	made, err := backup.Find(filepath.Join(dir, "backups"))
	if err != nil {
		t.Fatal(err)
	}
	var along []string
	for _, f := range made.Files {
		if name, ok := strings.CutPrefix(f.Name, "files/"); ok {
			along = append(along, name)
		}
	}
	if want := []string{"acme/certificate.pem", "secrets/smarthost", "self-signed.pem"}; !slices.Equal(along, want) {
		t.Errorf("beside the store there are %q, want %q", along, want)
	}
	// What a server makes in its data directory is in the backup or known not to be.
	entries, err := os.ReadDir(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"acme", "control.sock", "legacy.key", "saved", "secrets", "self-signed.pem", "store", "store.old", "SystemLogs"}
	for _, e := range entries {
		if !slices.Contains(known, e.Name()) {
			t.Errorf("%s in the data directory: shall a backup have it?", e.Name())
		}
	}
}
