// Command load measures a tripost binary from outside: it starts it on a
// scratch directory and loopback ports, loads it with clients of its own, and
// prints what it saw. It ends by itself, and ends only the process it started.
//
// Client and server share the machine, so a rate is what both together reach;
// CPU figures are the server's alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// run is one measurement. It prints its own lines.
type run struct {
	name string
	what func(context.Context, *target) error
}

var runs = []run{
	{"memory", memoryAfterStart},
	{"smtp", deliveries},
	{"receive", receiving},
	{"syncs", syncsPerMessage},
	{"fetch", fetches},
	{"imap", imaps},
	{"open", openings},
	{"pop", pops},
	{"push", pushes},
	{"idle", idleConnections},
	{"send", sending},
	{"growth", grows},
}

func main() {
	binary := flag.String("binary", "bin/tripost", "the program to measure")
	only := flag.String("run", "", "names of runs, separated by commas: memory smtp receive syncs fetch imap open pop push idle send growth; empty: all but growth")
	match := flag.String("match", "", "of the figures of the pop, imap and receive runs, only those with this in their name; for imap several, with | between them")
	connections := flag.Int("connections", 1000, "idle connections of the idle run; both processes need as many files")
	seconds := flag.Int("seconds", 5, "length of each timed run")
	stages := flag.String("stages", "10000/10,100000/1000,1000000/10000", "sizes of the store in the growth run, messages/accounts")
	dir := flag.String("dir", "", "where to put the scratch directory; empty: the system's")
	page := flag.String("report", "", "a page (Markdown) to bring up to date with what the runs see, with a chart and the figures beside it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := asked{match: *match, connections: *connections, length: time.Duration(*seconds) * time.Second, stages: *stages}
	if err := reported(ctx, *binary, *dir, *only, *page, a); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// reported runs what was asked for, and writes what it saw.
func reported(ctx context.Context, binary, dir, only, page string, a asked) (err error) {
	if a.report, err = readReport(page); err != nil {
		return err
	}
	err = measure(ctx, binary, dir, only, a)
	if page == "" {
		return err
	}
	return errors.Join(err, a.report.write(page))
}

// asked is how a run is wanted.
type asked struct {
	match       string // part of the names of the figures to take
	connections int    // idle ones
	length      time.Duration
	stages      string // of the growth run
	report      *report
}

// measure runs what was asked for, each run on a server and store of its own. One
// that fails does not keep the others from running.
func measure(ctx context.Context, binary, dir, only string, a asked) error {
	what, failed := versions(ctx, binary), error(nil)
	for _, r := range runs {
		if only == "" && r.name == "growth" || only != "" && !strings.Contains(","+only+",", ","+r.name+",") {
			continue
		}
		t, err := start(ctx, binary, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		t.asked = a
		a.report.begin(r.name, time.Now(), a.length, what)
		err = r.what(ctx, t)
		if serr := t.stop(); err == nil {
			err = serr
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", r.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}
