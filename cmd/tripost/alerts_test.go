package main

import (
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
