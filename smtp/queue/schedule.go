package queue

import (
	"bytes"
	"sync/atomic"
	"time"
)

// work is one message for one destination.
type work struct {
	id   uint64
	dest string
}

// lane is what the sender knows of one destination.
type lane struct {
	name    string
	ready   []uint64     // due messages, in order
	more    bool         // there may be further ones in the store
	after   uint64       // of these, up to here they were looked at
	whole   bool         // this look began with the first one
	queued  bool         // it stands in schedule.turn
	running int          // jobs
	live    atomic.Int32 // connections that stand

	// How many connections the peer bears: one more for each cost jobs without
	// trouble, half as many after trouble, which makes the next one dearer.
	allowed, credit, cost int
}

// job is what one connection is made for.
type job struct {
	lane  *lane
	ids   []uint64
	conn  *idleConn // one that stands open, or nil
	warm  bool      // the connection was used before
	hurry bool      // hosts are asked that did not answer lately

	// What came of it.
	aside     []uint64 // of ids: they stay in flight until the next start
	left      []uint64 // of ids: they were not come to
	delivered bool
	trouble   bool // the peer broke off, or bears no further connection
}

// schedule is what the sender knows of what is due, in bounded memory. Only
// Sender.Run uses it.
type schedule struct {
	limit   int // pieces of work in memory
	perHost int // connections to one destination
	batch   int // messages of a job

	lanes  map[string]*lane
	known  map[work]*entry // ready or in flight
	turn   []*lane         // that may have something to begin
	cursor []byte          // everything due before this key was looked at; nil: nothing
}

// entry is work that is ready or in flight.
type entry struct {
	due int64 // as it was found, in milliseconds
	// again is set when it was found with another time, or somebody wants it
	// tried now: an attempt was recorded that is still in flight for the
	// schedule, and it is due once more.
	again bool
}

const (
	firstConnections = 4
	maxCost          = 64
)

func newSchedule(o *SenderOptions) *schedule {
	return &schedule{
		limit: o.Ready, perHost: o.PerHost, batch: o.Batch,
		lanes: make(map[string]*lane), known: make(map[work]*entry),
	}
}

// perLane is how much of one destination is kept ready: others need room too.
func (c *schedule) perLane() int { return max(2*c.batch, c.limit/16) }

// add takes note of due work. It returns false when there is no room.
func (c *schedule) add(w work, due time.Time) bool {
	if e := c.known[w]; e != nil {
		e.again = e.again || e.due != due.UnixMilli()
		return true
	}
	p := c.lanes[w.dest]
	full := len(c.known) >= c.limit
	if p == nil {
		if full || len(c.lanes) >= c.limit {
			return false
		}
		p = &lane{name: w.dest, allowed: min(firstConnections, c.perHost), cost: 1}
		c.lanes[w.dest] = p
	}
	if full || len(p.ready) >= c.perLane() {
		p.more = true // it will be found again
	} else {
		c.known[w] = &entry{due: due.UnixMilli()}
		p.ready = append(p.ready, w.id)
	}
	c.line(p)
	return true
}

// line puts a lane in the row of those that may have something to begin.
func (c *schedule) line(p *lane) {
	if !p.queued && p.busyable() {
		p.queued = true
		c.turn = append(c.turn, p)
	}
}

// busyable tells that a job can begin. The first connection is made alone: what
// becomes of it says whether there is any use in others.
func (p *lane) busyable() bool {
	first := p.running > 0 && p.live.Load() == 0
	return p.running < p.allowed && !first && (len(p.ready) > 0 || p.more)
}

// next returns the lane whose turn it is, or nil.
func (c *schedule) next() *lane {
	for len(c.turn) > 0 {
		p := c.turn[0]
		c.turn = c.turn[1:]
		p.queued = false
		if p.busyable() {
			return p
		}
	}
	return nil
}

// job takes what is ready at a lane; nil: nothing.
func (c *schedule) job(p *lane) *job {
	n := min(len(p.ready), c.batch)
	if n == 0 {
		c.forget(p)
		return nil
	}
	j := &job{lane: p, ids: p.ready[:n:n]}
	p.ready = p.ready[n:]
	p.running++
	c.line(p)
	return j
}

// release takes a finished job off the books.
func (c *schedule) release(j *job) {
	p := j.lane
	p.running--
	keep := make(map[uint64]bool, len(j.aside)+len(j.left))
	for _, id := range j.aside {
		keep[id] = true
	}
	for _, id := range j.left {
		keep[id] = true
	}
	for _, id := range j.ids {
		w := work{id, p.name}
		if e := c.known[w]; !keep[id] && e != nil {
			p.more = p.more || e.again
			delete(c.known, w)
		}
	}
	p.ready = append(j.left[:len(j.left):len(j.left)], p.ready...)
	p.adapt(j, c.perHost)
	c.line(p)
	c.forget(p)
}

// adapt learns how many connections the peer bears.
func (p *lane) adapt(j *job, most int) {
	switch {
	case j.trouble:
		p.allowed = max(min(p.allowed/2, int(p.live.Load())), 1)
		p.credit, p.cost = 0, min(p.cost*2, maxCost)
	case j.delivered:
		if p.credit++; p.credit >= p.cost {
			p.credit, p.allowed = 0, min(p.allowed+1, most)
		}
	}
}

// forget drops a lane of which nothing is left to know.
func (c *schedule) forget(p *lane) {
	if p.running == 0 && len(p.ready) == 0 && !p.more && !p.queued && p.live.Load() == 0 {
		delete(c.lanes, p.name)
	}
}

// hear takes notices of work. What is due later is found by its time, unless
// that was looked at already.
func (c *schedule) hear(list []notice, lost bool, now time.Time) {
	if lost {
		c.cursor = nil
	}
	for _, n := range list {
		if e := c.known[n.work]; e != nil && n.urgent {
			e.again = true // its time may be the very one at which it was found
		}
		if n.due.After(now) || !c.add(n.work, n.due) {
			c.back(n.due)
		}
	}
}

// back makes sure that what is due at a time is looked at once more.
func (c *schedule) back(due time.Time) {
	if key := dueKey(due, 0, ""); c.cursor != nil && bytes.Compare(key, c.cursor) < 0 {
		c.cursor = key
	}
}
