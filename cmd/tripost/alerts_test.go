package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestAlertSeenAndRemoved follows one alert through the commands, with a server
// running and without.
func TestAlertSeenAndRemoved(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "log.level = 3\n")
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "", "account", "add", "ann")
	id := strings.TrimSpace(strings.TrimPrefix(mustRun(t, dir, "", "alert", "post", "--server", "The server stops"), "posted "))
	r := startServer(t, dir)
	ann, err := r.directory.Account(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	if out := mustRun(t, dir, "", "alert", "seen", id); strings.Contains(out, "ann@") {
		t.Errorf("seen already:\n%s", out)
	}
	if text, _, ok, err := r.alerts.Take(t.Context(), ann); text != "The server stops" || !ok || err != nil {
		t.Errorf("shown %q, %v, %v", text, ok, err)
	}
	if out := mustRun(t, dir, "", "alert", "seen", id); !strings.Contains(out, "ann@company.test") {
		t.Errorf("not seen:\n%s", out)
	}
	if out := mustRun(t, dir, "", "alert", "remove", id); out != "" {
		t.Errorf("removed: %s", out)
	}
	if out := mustRun(t, dir, "", "alert", "list"); strings.Contains(out, id) {
		t.Errorf("still there:\n%s", out)
	}
	r.logged("ALERT removed alert " + id + " for server: The server stops")
	r.stop()
	if err := r.ended(); err != nil {
		t.Fatal(err)
	}
	if code, out := tripost(t, dir, "", "alert", "remove", id); code != exitFailed {
		t.Errorf("removed twice: %d %s", code, out)
	}
}

// TestAlertAtSignIn has a user see alerts by POP, each once, and the log tell of
// it by the name of the session.
func TestAlertAtSignIn(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "log.level = 2\nalerts.quota_percent = 50\n")
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "tulip\n", "account", "add", "ann", "--password-stdin")
	mustRun(t, dir, "From x\nSubject: a load\n\n"+strings.Repeat("x", 800)+"\n", "message", "import", "ann", "INBOX", "-")
	mustRun(t, dir, "", "account", "set", "ann", "quota=1K")
	r := startServer(t, dir)
	mustRun(t, dir, "", "alert", "post", "--domain", "company.test", "The server stops at 18:00")
	c := r.dial("POP", "+OK")
	for _, try := range [][2]string{
		{"wrong", "-ERR [AUTH]"},
		{"tulip", "-ERR [SYS/TEMP] ALERT: The server stops at 18:00\r\n"},
		{"tulip", "-ERR [SYS/TEMP] ALERT: Your mail storage is 8"},
		{"tulip", "+OK 1 messages"},
	} {
		fmt.Fprint(c, "USER ann\r\n")
		c.expect("+OK")
		fmt.Fprintf(c, "PASS %s\r\n", try[0])
		c.expect(try[1])
	}
	r.logged("ALERT shown to ann@company.test by POP-000001: alert ")
	r.logged("ALERT shown to ann@company.test by POP-000001: quota alert: Your mail storage is 8")
	err := popNotices{r.alerts}.Post(t.Context(), 1, "All was removed.")
	if err != nil {
		t.Fatal(err)
	}
	if out := mustRun(t, dir, "", "alert", "list", "--account", "ann"); !strings.Contains(out, "All was removed.") {
		t.Errorf("the owner is not told:\n%s", out)
	}
}
