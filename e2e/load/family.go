package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// familyCPU returns the CPU time of a process and its children, those that have
// ended included.
func familyCPU(pid int) (time.Duration, error) {
	list, err := family(pid)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, one := range list {
		last := 13 // user and system time
		if one.pid == pid {
			last = 15 // and those of its children that have ended
		}
		for _, v := range one.stat[11:last] {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	return time.Duration(ticks) * tick, nil
}

// process is one that runs, with what /proc/PID/stat says after its name.
type process struct {
	pid  int
	stat []string
}

// family returns a process and its children.
func family(master int) (list []process, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		head, rest, _ := strings.Cut(string(text), ") ")
		number, _, _ := strings.Cut(head, " ")
		p := process{stat: strings.Fields(rest)}
		if p.pid, err = strconv.Atoi(number); err != nil {
			return nil, err
		}
		if len(p.stat) >= 15 && (p.pid == master || p.stat[1] == strconv.Itoa(master)) {
			list = append(list, p)
		}
	}
	return list, nil
}
