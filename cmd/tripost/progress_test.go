package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tripost/admin"
	"tripost/store/engine"
)

func TestBar(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(1_800_000_000, 0)
	b := &bar{w: &out, what: "imported", now: func() time.Time { return now }}
	for _, c := range []struct {
		after       time.Duration
		done, total int64
		want        string
	}{
		{0, 0, 0, ""}, // nothing is known yet
		{0, 0, 2 << 20, "\r[                              ]   0% of 2.0 MiB imported "},
		{time.Millisecond, 1 << 20, 2 << 20, ""}, // too soon
		{barEvery, 1 << 20, 2 << 20, "\r[===============               ]  50% of 2.0 MiB imported "},
		{barEvery, 3 << 20, 2 << 20, "\r[==============================] 100% of 2.0 MiB imported "},
		{barEvery, 7, 7, "\r[==============================] 100% of 7 octets imported "},
	} {
		now = now.Add(c.after)
		out.Reset()
		b.set(c.done, c.total)
		if out.String() != c.want {
			t.Errorf("%d of %d: %q, want %q", c.done, c.total, out.String(), c.want)
		}
	}
	out.Reset()
	b.clear()
	if out.String() != "\r\x1b[K" {
		t.Errorf("cleared by %q", out.String())
	}
	for n, want := range map[int64]string{0: "0 octets", 999: "999 octets", 1000: "1.0 KiB", 150 << 10: "150 KiB", 3 << 30: "3.0 GiB"} {
		if got := roughly(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	var none *bar
	none.set(1, 2)
	none.clear()
	if (&environment{stdout: &out}).bar("x") != nil {
		t.Error("there is a bar where no terminal is")
	}
}

// TestProgress checks a store with mail in it: how far that is, is asked by the
// name that the client gave it, over the socket and in the same process.
func TestProgress(t *testing.T) {
	t.Parallel()
	for _, served := range []bool{true, false} {
		dir := newSite(t, "")
		mustRun(t, dir, "", "domain", "add", "company.test")
		mustRun(t, dir, "", "account", "add", "ann")
		mustRun(t, dir, "From x\nSubject: x\n\n"+strings.Repeat("text\n", 1000), "message", "import", "ann", "INBOX", "-")
		if served {
			startServer(t, dir)
		}
		cfg, err := loadConfig(filepath.Join(dir, "tripost.toml"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := connect(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		b := &bar{w: io.Discard, what: "checked", now: time.Now}
		var info admin.CheckInfo
		if err := c.askLong(t.Context(), "store/check", admin.None{}, &info, b); err != nil || info.Messages != 1 {
			t.Errorf("%+v, %v", info, err)
		}
		var p admin.ProgressInfo
		if err := c.call(t.Context(), "server/progress", admin.ProgressRequest{Name: "nothing"}, &p); err != nil || p.Total != 0 {
			t.Errorf("%+v, %v", p, err)
		}
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestStoreTellsProgress holds the engine to telling how far it is.
func TestStoreTellsProgress(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "")
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "", "account", "add", "ann")
	mustRun(t, dir, strings.Repeat("From x\nSubject: x\n\ntext\n\n", 10), "message", "import", "ann", "INBOX", "-")
	cfg, err := loadConfig(filepath.Join(dir, "tripost.toml"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := openRooms(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	var told []admin.ProgressInfo
	ctx := engine.WithProgress(t.Context(), func(done, total int64) { told = append(told, admin.ProgressInfo{Done: done, Total: total}) })
	if _, err := r.api.CheckStore(ctx, admin.None{}); err != nil {
		t.Fatal(err)
	}
	ascending := slices.IsSortedFunc(told, func(a, b admin.ProgressInfo) int { return cmp.Compare(a.Done, b.Done) })
	if last := len(told) - 1; last < 9 || !ascending || told[last].Done <= told[0].Done || told[last].Total != told[last].Done {
		text, _ := json.Marshal(told)
		t.Errorf("told %s", text)
	}
}
