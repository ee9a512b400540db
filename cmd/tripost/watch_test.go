package main

import (
	"strings"
	"testing"
	"time"
)

func TestWatchTexts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for left, want := range map[time.Duration]string{
		15 * 24 * time.Hour: "",
		14 * 24 * time.Hour: "The TLS certificate runs out in 14 days, on 2026-03-15",
		time.Hour:           "The TLS certificate runs out in 0 days, on 2026-03-01",
		-time.Hour:          "The TLS certificate has run out on 2026-03-01",
	} {
		if got := certificateText(now.Add(left), now, 14); got != want {
			t.Errorf("%v left: %q, want %q", left, got, want)
		}
	}
	for _, c := range []struct {
		free, blocks uint64
		want         string
	}{
		{5, 100, ""}, {0, 0, ""}, {100, 100, ""},
		{4 << 10, 100 << 10, "The disk of the mail store is nearly full: 16M are left. When it is full no mail is taken"},
		{0, 100, "The disk of the mail store is nearly full: 0 are left. When it is full no mail is taken"},
	} {
		if got := diskText(c.free, c.blocks, 4096, 5); got != c.want {
			t.Errorf("%d of %d free: %q, want %q", c.free, c.blocks, got, c.want)
		}
	}
}

// TestDomainQuotaAlert has the postmaster of a domain told that it is nearly full,
// once.
func TestDomainQuotaAlert(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "log.level = 3\n")
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "", "domain", "add", "client.test")
	for _, name := range []string{"boss@company.test", "office@client.test", "ann@client.test"} {
		mustRun(t, dir, "", "account", "add", name)
	}
	mustRun(t, dir, "", "alias", "add", "postmaster@client.test", "office")
	mustRun(t, dir, "From x\nSubject: one\n\nx\n\nFrom x\nSubject: two\n\nx\n", "message", "import", "ann@client.test", "INBOX", "-")
	mustRun(t, dir, "", "domain", "set", "client.test", "domain_quota_messages=2", "quota_alert=80")
	mustRun(t, dir, "", "domain", "set", "company.test", "domain_quota=1G")
	r := startServer(t, dir)
	const text = "The accounts of client.test use 100% of what they may keep together: mail for all of them is refused"
	r.logged(text)
	eventually(t, "the postmaster is told", func() bool {
		return strings.Contains(mustRun(t, dir, "", "alert", "list", "--account", "office@client.test"), text)
	})
	r.inspectQuotas(t.Context())
	if n := strings.Count(mustRun(t, dir, "", "alert", "list"), "use "); n != 1 {
		t.Errorf("told %d times", n)
	}
}
