package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// machine says in a line what the figures were taken on.
func machine() string {
	model := fieldOf("/proc/cpuinfo", "model name")
	memory := 0
	_, _ = fmt.Sscan(fieldOf("/proc/meminfo", "MemTotal"), &memory) // 0 where it is not told
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores of %s, %d GiB, Linux %s", runtime.NumCPU(), model, (memory+1<<19)>>20, strings.TrimSpace(string(kernel)))
}

// loadBefore returns the machine's load averages over 1 and 5 minutes.
func loadBefore() string {
	text, err := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(text))
	if err != nil || len(f) < 2 {
		return "unknown"
	}
	return f[0] + " and " + f[1]
}

// fieldOf returns the first value of a name in a file of names and values.
func fieldOf(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// versions returns what was measured: ours, and the others that are installed.
func versions(ctx context.Context, binary string) []string {
	var list []string
	for _, one := range []struct{ name, program, argument string }{
		{"", binary, "version"},
		{"Dovecot ", "dovecot", "--version"},
		{"Postfix ", "postconf", "-hd mail_version"},
		{"Cyrus ", "/usr/lib/cyrus/bin/master", "-V"},
	} {
		out, err := exec.CommandContext(ctx, one.program, strings.Fields(one.argument)...).Output()
		if first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); err == nil && first != "" {
			if filepath.Base(one.program) == "dovecot" {
				first, _, _ = strings.Cut(first, " ")
			}
			list = append(list, one.name+first)
		}
	}
	return list
}
