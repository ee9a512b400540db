package syslog

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// twoDays are log files in both forms, with lines that are no records.
var twoDays = map[string]string{
	"2026-01-26.log": "23:59:59.000 4 POP-000001([192.0.2.7]:51022) a1\n" +
		"garbage\n\n",
	"2026-01-27.log": "00:00:01.000 2 POP-000001([192.0.2.7]:51022) b1\r\n" +
		"00:00:02.000 3 IMAP-000001 b2\n" +
		"00:00:03.000 9 IMAP-000001 no such level\n" +
		"25:00:00.000 3 IMAP-000001 no such time\n" +
		"torn in the mid",
	"2026-01-27_12-00.log": `{"time":"2026-01-27T12:00:01.000Z","level":2,"tag":"QUEUE","name":"1134","text":"c1"}` + "\n" +
		"{damaged\n" +
		"12:00:02.000 1 QUEUE([1134]) c2\n" +
		"12:00:03.000 2 SYSTEM c3",
	"other.txt": "00:00:01.000 2 SYSTEM not a log file\n",
}

func writeFiles(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, twoDays)
	for _, tc := range []struct {
		name   string
		filter Filter
		want   string
	}{
		{"all", Filter{Level: Raw}, "a1 b1 b2 c1 c2 c3"},
		{"level", Filter{Level: Major}, "b1 c1 c2 c3"},
		{"serious", Filter{Level: Failure}, "c2"},
		{"tag", Filter{Level: Raw, Tag: "pop"}, "a1 b1"},
		{"session", Filter{Level: Raw, Session: "imap-000001"}, "b2"},
		{"name in both forms", Filter{Level: Raw, Session: "1134"}, "c1 c2"},
		{"nothing", Filter{Level: Raw, Session: "POP-000002"}, ""},
		{"since", Filter{Level: Raw, Since: time.Date(2026, 1, 27, 0, 0, 2, 0, time.Local)}, "b2 c1 c2 c3"},
		{"since later", Filter{Level: Raw, Since: time.Date(2026, 1, 28, 0, 0, 0, 1, time.Local)}, ""},
	} {
		var got []string
		err := Read(t.Context(), dir, tc.filter, false, func(line string) error {
			line = strings.TrimSuffix(line, `"}`)
			got = append(got, line[len(line)-2:])
			return nil
		})
		if err != nil || strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %q, %v; want %q", tc.name, got, err, tc.want)
		}
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, twoDays)
	enough := errors.New("enough")
	n := 0
	err := Read(t.Context(), dir, Filter{Level: Raw}, false, func(string) error {
		n++
		return enough
	})
	if err != enough || n != 1 {
		t.Errorf("%d records, %v", n, err)
	}
	keep := func(string) error { return nil }
	if err := Read(t.Context(), filepath.Join(dir, "missing"), Filter{}, true, keep); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Read(ended, dir, Filter{}, false, keep); err != context.Canceled {
		t.Errorf("context: %v", err)
	}
	if err := Read(ended, dir, Filter{}, true, keep); err != nil {
		t.Errorf("context while following: %v", err)
	}
}

// What no record can be is passed over, whatever its size.
func TestReadLongLine(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"2026-01-27.log": "00:00:01.000 2 SYSTEM first\n00:00:01.000 2 SYSTEM " + strings.Repeat("x", 2*maxRecord) + "\n00:00:02.000 2 SYSTEM last\n",
	})
	var got []string
	err := Read(t.Context(), dir, Filter{Level: Raw}, false, func(line string) error {
		got = append(got, line)
		return nil
	})
	if err != nil || len(got) != 2 || !strings.HasSuffix(got[1], "last") {
		t.Errorf("%d records, %v", len(got), err)
	}
}

// Following goes on over midnight and over a file that was moved away.
func TestFollow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := at(27, 23, 59)
	l := open(t, Options{Directory: dir, Level: Raw, Now: c.now})
	g := l.Tag("POP").Session(netip.AddrPort{})
	ctx, cancel := context.WithCancel(t.Context())
	lines := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		done <- Read(ctx, dir, Filter{Level: Raw, Session: g.ID()}, true, func(line string) error {
			lines <- line
			return nil
		})
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-lines:
			if !strings.HasSuffix(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("%q does not come", want)
		}
	}
	g.Log(Major, "one")
	expect("one")
	l.Tag("SYSTEM").Log(Major, "not of this session")
	g.Log(Major, "two")
	expect("two")
	c.pass(time.Minute)
	g.Log(Major, "three")
	expect("three")
	path := filepath.Join(dir, "2026-01-28.log")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	g.Log(Major, "four")
	expect("four")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A line that is being written is given whole or not at all.
func TestFollowHalfLines(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"2026-01-27.log": "00:00:01.000 2 SYSTEM fi"})
	r := &reader{dir: dir, filter: Filter{Level: Raw}}
	var got []string
	r.fn = func(line string) error {
		got = append(got, line)
		return nil
	}
	defer r.close()
	f, err := os.OpenFile(filepath.Join(dir, "2026-01-27.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var want []string
	for _, step := range []struct{ more, line string }{
		{"", ""}, {"rst", ""}, {"\n00:00", "00:00:01.000 2 SYSTEM first"}, {":02.000 2 SYSTEM second\n", "00:00:02.000 2 SYSTEM second"},
	} {
		if _, err := f.WriteString(step.more); err != nil {
			t.Fatal(err)
		}
		if err := r.readThrough(t.Context()); err != nil {
			t.Fatal(err)
		}
		if step.line != "" {
			want = append(want, step.line)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("after %q: %q", step.more, got)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add("09:05:07.349 4 POP-000001([192.0.2.7]:51022) cmd: USER jsmith")
	f.Add("09:05:07.349 2 QUEUE([1134]) deleted")
	f.Add(`{"time":"2026-01-27T12:00:01.000Z","level":2,"tag":"QUEUE","name":"1134"}`)
	f.Add("00:00:00.000 0 -(")
	f.Fuzz(func(t *testing.T, line string) {
		e, ok := parseRecord(line, time.Time{})
		if ok && !strings.HasPrefix(line, "{") && (e.level < Crash || e.level > Raw || strings.ContainsAny(e.tag, " ")) {
			t.Fatalf("%q: %+v", line, e)
		}
	})
}
