package syslog

import (
	"sync"
	"time"
)

// keepBuffer is how much memory a batch keeps for the next one.
const keepBuffer = 256 << 10

// part is the records of one day within a batch.
type part struct {
	day time.Time // some time of that day
	b   []byte
}

// batch is what the writer takes from the queue at once.
type batch struct {
	parts   []part // nearly always one
	octets  int
	records int
	sync    bool          // holds a record of level Crash
	taken   chan struct{} // closed when the writer takes the batch; made by who waits for room
	written chan struct{} // closed when it was written or given up; made by who waits for that
}

func (b *batch) empty() bool { return b.records == 0 }

// queue holds the records that wait for the disk. It is bounded in octets.
type queue struct {
	now   func() time.Time
	most  int
	json  bool
	ready chan struct{} // signalled when the batch is no longer empty
	wait  time.Duration // for room, or for a serious record

	mu      sync.Mutex // guards what follows
	filling *batch
	year    int // day of the part that is being filled
	yearDay int
	lost    int  // records dropped since the last report
	stalled bool // somebody waited in vain: until the writer takes a batch nobody waits again
	closed  bool
}

func newQueue(now func() time.Time, most int, json bool) *queue {
	return &queue{now: now, most: most, json: json, ready: make(chan struct{}, 1), filling: new(batch), wait: maxWait}
}

// put stamps a record with the time and queues it. Records are in the order of
// their times. A serious one is waited for, within the limit.
func (q *queue) put(record []byte, level Level) {
	q.mu.Lock()
	if !q.roomFor(len(record)) {
		q.lost++
		q.mu.Unlock()
		return
	}
	q.add(record, level == Crash)
	var written chan struct{}
	if level <= Failure && !q.stalled {
		written = made(&q.filling.written)
	}
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
	if written != nil && !q.waitFor(written) {
		q.mu.Lock()
		q.stalled = true
		q.mu.Unlock()
	}
}

// roomFor reports whether n octets fit, after waiting once if need be. The
// caller holds q.mu, which is let go meanwhile.
func (q *queue) roomFor(n int) bool {
	if q.closed || q.filling.octets+n <= q.most {
		return !q.closed
	}
	if q.stalled {
		return false
	}
	full := q.filling
	taken := made(&full.taken)
	q.mu.Unlock()
	inTime := q.waitFor(taken)
	q.mu.Lock()
	if !inTime && q.filling == full {
		q.stalled = true
	}
	return !q.closed && q.filling.octets+n <= q.most
}

// made returns the channel at p, making it if it is not there.
func made(p *chan struct{}) chan struct{} {
	if *p == nil {
		*p = make(chan struct{})
	}
	return *p
}

// waitFor waits for c to be closed and reports whether it was in time.
func (q *queue) waitFor(c <-chan struct{}) bool {
	t := time.NewTimer(q.wait)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
		return false
	}
}

// add appends a record to the batch. The caller holds q.mu.
func (q *queue) add(record []byte, sync bool) {
	b, now := q.filling, q.now()
	if y, d := now.Year(), now.YearDay(); len(b.parts) == 0 || y != q.year || d != q.yearDay {
		q.year, q.yearDay = y, d
		b.parts = addPart(b.parts, now)
	}
	p := &b.parts[len(b.parts)-1]
	was := len(p.b)
	p.b = appendStamp(p.b, now, q.json)
	p.b = append(p.b, record...)
	b.octets += len(p.b) - was
	b.records++
	b.sync = b.sync || sync
}

// addPart begins a part, with the memory of an earlier one if there is any.
func addPart(parts []part, day time.Time) []part {
	if len(parts) < cap(parts) {
		parts = parts[:len(parts)+1]
	} else {
		parts = append(parts, part{})
	}
	p := &parts[len(parts)-1]
	p.day, p.b = day, p.b[:0]
	return parts
}

// take hands the batch over and goes on filling spare. It also returns how many
// records have been lost since the last call.
func (q *queue) take(spare *batch) (*batch, int) {
	spare.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	full, lost := q.filling, q.lost
	q.filling, q.lost, q.stalled = spare, 0, false
	if full.taken != nil {
		close(full.taken)
	}
	return full, lost
}

// lose counts records that could not be written.
func (q *queue) lose(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost += n
}

// close refuses records from now on.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// reset empties the batch for the next use and gives up memory that only a
// burst needed.
func (b *batch) reset() {
	parts := b.parts
	if len(parts) > 1 || b.octets > keepBuffer {
		parts = nil
	}
	*b = batch{parts: parts[:0]}
}
