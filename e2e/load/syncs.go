package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// syncCalls are the system calls that are counted.
const syncCalls = "trace=fsync,fdatasync,syncfs,sync,sync_file_range,msync"

// syncsPerMessage counts system calls from outside, with strace, so that the
// store's own count is not taken at its word, and those of the other servers
// beside it.
func syncsPerMessage(ctx context.Context, t *target) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		fmt.Println("syncs: strace is not installed: left out")
		return nil
	}
	if err := t.addAccounts(ctx, receivers); err != nil {
		return err
	}
	others, stop, err := receiversBeside(ctx, "syncs")
	if err != nil {
		return err
	}
	defer stop()
	for _, s := range []shape{{4096, 1, 1}, {4096, 1, 20}, {4096, 1, 100}, {4096, 50, 1}} {
		ours, err := t.syncsAt(ctx, strace, s)
		if err != nil {
			return err
		}
		list := []value{{Server: "tripost", Amount: ours}}
		for i, r := range others {
			n, err := r.syncsAt(ctx, strace, filepath.Join(t.dir, "strace"), s, t.length)
			if err := missed(s.String(), i+1, r.name, err); err != nil {
				return err
			}
			if err == nil {
				list = append(list, value{Server: r.name, Amount: n})
			}
		}
		t.report.addLess(s.String(), "", list...)
	}
	return nil
}

// syncsAt runs the server under strace, which then stops it at nothing but the
// calls that are counted: attached later it would stop at every one. Those of
// starting and stopping are among them.
func (t *target) syncsAt(ctx context.Context, strace string, s shape) (float64, error) {
	file := filepath.Join(t.dir, "strace")
	t.under = []string{strace, "--seccomp-bpf", "-f", "-c", "-e", syncCalls, "-o", file}
	if err := t.restart(ctx); err != nil {
		return 0, err
	}
	n, _, err := t.deliver(ctx, s, t.length)
	if err != nil {
		return 0, err
	}
	t.under = nil
	if err := t.restart(ctx); err != nil { // strace writes its table at the end
		return 0, err
	}
	return syncsSeen(file, "tripost", s, n)
}

// syncsAt attaches strace to the processes of a server while mail comes, until all
// of it can be read.
func (r *receiver) syncsAt(ctx context.Context, strace, file string, s shape, length time.Duration) (float64, error) {
	masters, err := r.masters()
	if err != nil {
		return 0, err
	}
	args := []string{"-f", "-c", "-e", syncCalls, "-o", file}
	var pids []int
	for _, master := range masters {
		list, err := family(master)
		if err != nil {
			return 0, err
		}
		for _, p := range list {
			pids = append(pids, p.pid)
			args = append(args, "-p", strconv.Itoa(p.pid))
		}
	}
	cmd := exec.Command(strace, args...)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	got := received{}
	if err = attached(ctx, pids, cmd.Process.Pid); err == nil {
		got, err = r.receive(ctx, s, length)
	}
	_ = cmd.Process.Signal(syscall.SIGINT) // it lets go of them, and writes its table
	_ = cmd.Wait()                         // its status is that of the signal
	if err != nil {
		return 0, err
	}
	return syncsSeen(file, r.name, s, got.messages)
}

// attached waits until a tracer has all processes that have not ended meanwhile.
func attached(ctx context.Context, pids []int, tracer int) error {
	deadline := time.Now().Add(20 * time.Second)
	for _, pid := range pids {
		for {
			by := fieldOf(fmt.Sprintf("/proc/%d/status", pid), "TracerPid")
			if by == strconv.Itoa(tracer) || by == "unknown" {
				break
			}
			if ctx.Err() != nil || time.Now().After(deadline) {
				return errors.New("strace does not attach")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

// syncsSeen returns the calls that strace saw for each of some messages.
func syncsSeen(file, server string, s shape, messages int) (float64, error) {
	syncs, err := straceCalls(file)
	if err != nil {
		return 0, err
	}
	each := float64(syncs) / float64(max(messages, 1))
	fmt.Printf("syncs: %-39s %-26s %6d messages, %6d syncs seen by strace: %.3f a message\n", s, server, messages, syncs, each)
	return each, nil
}

// straceCalls adds up the calls column of strace -c.
func straceCalls(file string) (total int, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) >= 5 && (strings.HasSuffix(f[len(f)-1], "sync") || f[len(f)-1] == "syncfs" || f[len(f)-1] == "sync_file_range") {
			n, err := strconv.Atoi(f[3])
			if err != nil {
				return 0, err
			}
			total += n
		}
	}
	return total, nil
}
