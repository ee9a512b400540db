package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"tripost/admin"
)

// bar shows on a terminal how far a long work is. A nil one shows nothing. It is
// safe for concurrent use.
type bar struct {
	w    io.Writer
	what string // "checked"
	now  func() time.Time

	mu      sync.Mutex
	drawn   time.Time // zero: not yet
	cleared bool
}

const (
	barWidth = 30
	barEvery = 100 * time.Millisecond
)

// bar returns a bar where standard output is a terminal and somebody is to read
// what is printed there, else nil.
func (e *environment) bar(what string) *bar {
	f, ok := e.stdout.(*os.File)
	if !ok || e.json || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &bar{w: e.stderr, what: what, now: time.Now}
}

// set draws the bar anew, not more often than one can see. A total of 0 is not
// known.
func (b *bar) set(done, total int64) {
	if b == nil || total <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cleared || b.now().Sub(b.drawn) < barEvery {
		return
	}
	b.drawn = b.now()
	done = min(max(done, 0), total)
	full := int(float64(barWidth) * float64(done) / float64(total))
	fmt.Fprintf(b.w, "\r[%s%s] %3.0f%% of %s %s ", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full),
		100*float64(done)/float64(total), roughly(total), b.what)
}

// roughly writes octets in three digits or so.
func roughly(n int64) string {
	f, unit := float64(n), 0
	units := [...]string{"octets", "KiB", "MiB", "GiB", "TiB"}
	for f >= 1000 && unit < len(units)-1 {
		f, unit = f/1024, unit+1
	}
	if unit == 0 || f >= 100 {
		return fmt.Sprintf("%.0f %s", f, units[unit])
	}
	return fmt.Sprintf("%.1f %s", f, units[unit])
}

// clear takes the bar off the terminal for good.
func (b *bar) clear() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.drawn.IsZero() {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
	b.cleared = true
}

// counted counts what is read of a file, on a bar.
type counted struct {
	io.Reader
	bar         *bar
	done, total int64
}

// Read reads from the file.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.done += int64(n)
	c.bar.set(c.done, c.total)
	return n, err
}

// measured makes a reader that shows how much of a file is read.
func (e *environment) measured(in io.Reader, what string) (io.Reader, *bar) {
	f, ok := in.(*os.File)
	b := e.bar(what)
	if !ok || b == nil {
		return in, nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return in, nil
	}
	return &counted{Reader: in, bar: b, total: info.Size()}, b
}

// askLong is call for an operation that may take long: it shows how far it is.
func (c *client) askLong(ctx context.Context, operation string, request, response any, b *bar) error {
	if b == nil {
		return c.call(ctx, operation, request, response)
	}
	name := rand.Text()
	done := make(chan error, 1)
	go func() { done <- c.callAs(ctx, name, operation, request, response) }()
	tick := time.NewTicker(barEvery)
	defer tick.Stop()
	defer b.clear()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			var p admin.ProgressInfo
			if c.call(ctx, "server/progress", admin.ProgressRequest{Name: name}, &p) == nil {
				b.set(p.Done, p.Total)
			}
		}
	}
}
