package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// manyConnections may be there with memoryBound octets of memory at most, and
	// each one more with connectionBound, on as many processors: each of them
	// hashes a password of 19 MiB at once.
	manyConnections = 1000
	memoryBound     = 256 << 20
	connectionBound = 100 << 10
	processors      = 2

	// answerFactor is how much longer than on a quiet server the median answer to a
	// user may take during an attack, where times are judged: in the long form
	// without the race detector. A quiet answer counts as quietLeast at least.
	answerFactor = 50
	quietLeast   = 5 * time.Millisecond
)

var peakForm = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peak returns the most resident memory that the server had since forgetPeak, in
// octets, 0 where the system does not tell.
func (h *hostile) peak() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.server.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := peakForm.FindSubmatch(text)
	if f == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(f[1]), 10, 64)
	return n << 10
}

// bound is what the server may take with the connections that there were.
func (h *hostile) bound() int64 {
	return memoryBound + connectionBound*int64(max(0, h.connections-manyConnections))
}

// forgetPeak makes the system count the peak from now on. One that cannot tells
// that of all attacks so far, which the bound holds for as well.
func (h *hostile) forgetPeak() {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", h.server.cmd.Process.Pid), []byte("5"), 0); err != nil {
		h.Logf("the peak is that of all attacks so far: %v", err)
	}
}

// ask has the user who is there ask once, and returns how long the answer took.
func (h *hostile) ask() (time.Duration, error) {
	before := time.Now()
	_, err := h.user.do("STATUS INBOX (MESSAGES)")
	return time.Since(before), err
}

// askMeanwhile does something while the user asks again and again, once at
// least, and returns how long the answers took.
func (h *hostile) askMeanwhile(do func()) (answers []time.Duration) {
	h.Helper()
	done, asked := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			d, err := h.ask()
			answers = append(answers, d)
			if err != nil {
				asked <- err
				return
			}
			select {
			case <-done:
				asked <- nil
				return
			case <-tick.C:
			}
		}
	}()
	finish := sync.OnceFunc(func() { close(done) })
	defer finish()
	do()
	finish()
	if err := <-asked; err != nil {
		h.Fatalf("the user who was there: %v", err)
	}
	return answers
}

// quiet returns the median answer before any attack.
func (h *hostile) quiet() time.Duration {
	h.Helper()
	var answers []time.Duration
	for range 100 {
		d, err := h.ask()
		if err != nil {
			h.Fatal(err)
		}
		answers = append(answers, d)
	}
	return median(answers)
}

// inTime judges the answers during an attack, in the long form.
func (h *hostile) inTime(attack string, got, quiet time.Duration) {
	h.Helper()
	if os.Getenv(longHostile) == "" || len(buildFlags) > 0 {
		return
	}
	if most := answerFactor * max(quiet, quietLeast); got > most {
		h.Errorf("%s: the median answer took %v, more than %v", attack, got, most)
	}
}

func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}
