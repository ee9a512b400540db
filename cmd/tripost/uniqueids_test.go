package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// uidl returns what UIDL answers for a mailbox of ann, message by message, after
// it was compared with what UIDL of each says.
func (r *running) uidl(mailbox string) string {
	r.t.Helper()
	pop := r.dial("POP", "+OK")
	for _, line := range []string{"USER " + mailbox + "#ann", "PASS tulip", "UIDL"} {
		pop.say(line)
		pop.expect("+OK")
	}
	var list []string
	for line := pop.line(); line != ".\r\n"; line = pop.line() {
		list = append(list, strings.TrimSpace(line))
	}
	for _, line := range list {
		n, _, _ := strings.Cut(line, " ")
		pop.say("UIDL " + n)
		pop.expect("+OK " + line + "\r\n")
	}
	pop.say("QUIT")
	pop.expect("+OK")
	return strings.Join(list, "\n")
}

// TestUniqueIDsForEver takes a mailbox with imported and ordinary unique-ids
// through a restart, compaction, a new name, a backup that is restored, and export
// and import: they stay.
func TestUniqueIDsForEver(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "")
	r := startServer(t, dir)
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "tulip\n", "account", "add", "ann", "--password-stdin")
	const mbox = "From x\nX-UIDL: 0000001a4b5c6d7e\nSubject: 1\n\n1\n\n" +
		"From x\nSubject: 2\n\n2\n\n" +
		"From x\nSubject: 3\nX-UIDL: <3@old.test>\n\n3\n\n" +
		"From x\nSubject: 4\nX-UIDL: <3@old.test>\n\n4\n\n"
	mustRun(t, dir, mbox, "message", "import", "ann", "old", "-")
	want := r.uidl("old")
	lines := strings.Split(want, "\n")
	if len(lines) != 4 || lines[0] != "1 0000001a4b5c6d7e" || !strings.HasSuffix(lines[1], ".2") ||
		lines[2] != "3 <3@old.test>" || !strings.HasSuffix(lines[3], ".4") {
		t.Fatalf("UIDL answers\n%s", want)
	}
	same := func(after, got string) {
		t.Helper()
		if got != want {
			t.Errorf("after %s UIDL answers\n%s\nbefore it was\n%s", after, got, want)
		}
	}
	r.stop()
	if err := r.ended(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, dir, "", "store", "compact")
	r = startServer(t, dir)
	same("compaction and a restart", r.uidl("old"))
	mustRun(t, dir, "", "store", "compact")
	same("compaction while it runs", r.uidl("old"))
	mustRun(t, dir, "", "mailbox", "rename", "ann", "old", "lists/new")
	same("a new name", r.uidl("lists/new"))
	mustRun(t, dir, "", "message", "export", "ann", "lists/new", filepath.Join(dir, "out.mbox"))
	mustRun(t, dir, "", "message", "import", "ann", "again", filepath.Join(dir, "out.mbox"))
	same("export and import", r.uidl("again"))

	backups := filepath.Join(t.TempDir(), "backups")
	mustRun(t, dir, "", "store", "backup", backups)
	elsewhere := newSite(t, "")
	mustRun(t, elsewhere, "", "store", "restore", backups)
	other := startServer(t, elsewhere)
	same("backup and restore", other.uidl("lists/new"))
	same("backup and restore of a copy", other.uidl("again"))
	if out := mustRun(t, elsewhere, "", "store", "check"); !strings.Contains(out, " 0 faults") {
		t.Errorf("store check: %s", out)
	}
}
