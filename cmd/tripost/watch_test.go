package main

import (
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
