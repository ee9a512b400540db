package syslog

import (
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestANewFileAtMidnight(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := at(27, 23, 59)
	l := open(t, Options{Directory: dir, Level: Raw, Now: c.now})
	g := l.Tag("SYSTEM")
	g.Log(Major, "before")
	c.pass(time.Minute)
	g.Log(Major, "after")
	c.pass(-time.Minute) // a clock set back
	g.Log(Major, "before again")
	l.Close()
	if got := content(t, dir, "2026-01-27.log"); got != "23:59:07.349 2 SYSTEM before\n23:59:07.349 2 SYSTEM before again\n" {
		t.Errorf("got %q", got)
	}
	if got := content(t, dir, "2026-01-28.log"); got != "00:00:07.349 2 SYSTEM after\n" {
		t.Errorf("got %q", got)
	}
}

func TestANewFileWhenTheOldIsFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := at(27, 9, 5)
	o := Options{Directory: dir, Level: Raw, MaxSize: 100, Now: c.now}
	l := open(t, o)
	write := func() {
		l.Tag("SYSTEM").Log(Failure, strings.Repeat("x", 60)) // written before Log returns
	}
	write()
	write() // passes the limit: an extra file
	write() // within the same minute: no further one
	c.pass(time.Minute)
	write()
	l.Close()
	want := []string{"2026-01-27.log", "2026-01-27_09-05.log", "2026-01-27_09-06.log"}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Fatalf("got %v", got)
	}
	// A new start goes on in the newest file.
	o.MaxSize = 1 << 20
	l = open(t, o)
	write()
	l.Close()
	if got := names(t, dir); !slices.Equal(got, want) || strings.Count(content(t, dir, want[2]), "\n") != 2 {
		t.Errorf("got %v", got)
	}
}

func TestOldFilesAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"2026-01-01.log", "2026-01-19_23-59.log", "2026-01-20.log", "2026-01-26.log",
		"2026-01-01.log.gz", "2026-13-01.log", "2026-01-01_25-00.log", "notes.log",
	} {
		os.WriteFile(filepath.Join(dir, name), nil, 0o600)
	}
	c := at(27, 12, 0)
	l := open(t, Options{Directory: dir, Keep: 7 * 24 * time.Hour, Level: Raw, Now: c.now})
	strangers := []string{"2026-01-01.log.gz", "2026-01-01_25-00.log", "2026-13-01.log", "notes.log"}
	check := func(want ...string) {
		t.Helper()
		want = append(want, strangers...)
		slices.Sort(want)
		if got := names(t, dir); !slices.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	}
	check("2026-01-20.log", "2026-01-26.log", "2026-01-27.log")
	c.pass(24 * time.Hour)
	l.Tag("SYSTEM").Log(Failure, "a new day")
	check("2026-01-26.log", "2026-01-27.log", "2026-01-28.log")
}

func TestReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, Options{Directory: dir, Level: Raw, Now: at(27, 9, 5).now})
	g := l.Tag("SYSTEM")
	g.Log(Major, "old")
	path := filepath.Join(dir, "2026-01-27.log")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	g.Log(Major, "still old")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	g.Log(Major, "new")
	l.Close()
	if got := content(t, dir, "2026-01-27.log.1"); strings.Count(got, "old\n") != 2 {
		t.Errorf("old file %q", got)
	}
	if got := content(t, dir, "2026-01-27.log"); got != "09:05:07.349 2 SYSTEM new\n" {
		t.Errorf("new file %q", got)
	}
}

// A process that was killed may leave half a line.
func TestTornLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "2026-01-27.log"), []byte("09:05:07.349 2 SYS"), 0o600)
	l := open(t, Options{Directory: dir, Level: Raw, Now: at(27, 9, 5).now})
	l.Tag("SYSTEM").Log(Major, "here again")
	l.Close()
	if got := content(t, dir, "2026-01-27.log"); got != "09:05:07.349 2 SYS\n09:05:07.349 2 SYSTEM here again\n" {
		t.Errorf("got %q", got)
	}
}

// A full disk loses records, which are counted, and nothing else.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "2026-01-27.log")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	l := open(t, Options{Directory: dir, Level: Raw, Now: at(27, 9, 5).now})
	g := l.Tag("SYSTEM")
	for range 3 {
		g.Log(Failure, "lost")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	g.Log(Failure, "there is room again")
	l.Close()
	want := "09:05:07.349 1 SYSTEM 3 log records lost: the disk did not take them\n09:05:07.349 1 SYSTEM there is room again\n"
	if got := content(t, dir, "2026-01-27.log"); got != want {
		t.Errorf("got %q", got)
	}
}

// A disk that does not answer holds nobody up for long, and fills no memory.
func TestStuckDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "2026-01-27.log")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	const buffer = 64 << 10
	l := open(t, Options{Directory: dir, Level: Raw, Buffer: buffer, Now: at(27, 9, 5).now})
	g := l.Tag("POP").Session(netip.AddrPort{})
	text := strings.Repeat("x", 1000)
	const sent = 1000 // far more than pipe and buffer hold
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range sent {
			g.Log(Problem, text)
		}
		g.Log(Crash, text)
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("sessions wait for the disk")
	}
	l.queue.mu.Lock()
	waiting, lost := l.queue.filling.octets, l.queue.lost
	l.queue.mu.Unlock()
	if waiting > buffer || lost == 0 {
		t.Errorf("%d octets wait, %d records lost", waiting, lost)
	}
	f, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read := make(chan string)
	go func() {
		b, _ := io.ReadAll(f)
		read <- string(b)
	}()
	eventually(t, "the disk answers", func() bool {
		l.queue.mu.Lock()
		defer l.queue.mu.Unlock()
		return l.queue.lost == 0 && l.queue.filling.empty()
	})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := <-read
	if n := strings.Count(got, text+"\n"); n+lost != sent+1 || !strings.Contains(got, " log records lost: ") {
		t.Errorf("%d written, %d lost, %d sent", n, lost, sent)
	}
}
