package local

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// committer turns waiting Updates into commit groups. Who has its turn alone runs
// their functions, changes the working overlay and writes the journal: its
// goroutine, or the caller of an Update that has no company.
type committer struct {
	turn   sync.Mutex
	chores chan struct{} // asks the goroutine to look after what is due
	led    bool          // the turn is a caller's

	e       *Engine
	o       *Options
	journal journal
	tx      tx

	// The overlay being filled, shared with readers up to the last commit.
	tree      tree
	arena     arena
	since     int64 // octets of journal since the last freeze
	published *node
	taken     int64 // by the arena when the group began

	// The group being built.
	members []*request
	group   []byte // octets for the journal
	bodies  uint32
	ops     []op
	octets  int // of keys and values in ops
	changes []liveChange
	large   []largeFile // whose last reference went
	kept    []*draft

	lastMembers int
	lastCommit  time.Duration
}

// op is one change of a key: enough to write it down and to undo it.
type op struct{ now, before *item }

// run serves until stop, by which time no Update is running. A function that
// ended its goroutine left a group behind, and the turn.
func (c *committer) run(left bool) {
	debug.SetPanicOnFault(true) // of a damaged index: the Update's error, as other panics
	if left {
		c.fill()
		c.commit()
		c.doChores()
		c.turn.Unlock()
	}
	for {
		select {
		case r := <-c.e.requests:
			c.turn.Lock()
			c.serve(r)
			c.doChores()
			c.turn.Unlock()
		case <-c.chores:
			c.turn.Lock()
			c.doChores()
			c.turn.Unlock()
		case fn := <-c.e.control:
			c.turn.Lock()
			fn()
			c.turn.Unlock()
		case <-c.e.stop:
			close(c.e.committerDone)
			return
		}
	}
}

// goexit goes on in another goroutine after the function of r ended this one,
// as a failing test does.
func (c *committer) goexit(r *request) {
	c.tx.undo()
	r.err = errGoexit
	if !c.led {
		go c.run(true)
	}
}

// lead commits r on the caller's goroutine, if nobody else is there: handing it to
// another one and back would wake two threads for a commit that may take no longer
// than that. Where Updates come together, the committer's goroutine goes from
// one group to the next at once, and no function runs on another caller's
// goroutine. It reports false when r is not done.
func (c *committer) lead(r *request) bool {
	if c.e.queued.Load() > 0 || !c.turn.TryLock() {
		return false
	}
	if c.lastMembers > 1 || c.choresDue() {
		c.turn.Unlock()
		return false
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // as in run
	c.led = true
	defer func() {
		if len(c.members) > 0 { // the function ended this goroutine
			c.commit()
		}
		c.led = false
		if c.choresDue() {
			signal(c.chores)
		}
		c.turn.Unlock()
	}()
	c.serve(r)
	<-r.done
	return true
}

// choresDue reports whether there is something to do behind a group for which
// nobody should wait.
func (c *committer) choresDue() bool { return c.freezeDue() || c.journal.aheadDue() }

func (c *committer) doChores() {
	if c.journal.aheadDue() {
		c.journal.writeAhead()
	}
	c.freezeWhenDue()
}

// serve builds a group that begins with r, and commits it. A caller has it for itself.
func (c *committer) serve(r *request) {
	if err := c.ready(); err != nil {
		if r.state.CompareAndSwap(requestWaiting, requestTaken) {
			r.err = err
			r.done <- struct{}{}
		}
		return
	}
	c.taken = c.arena.taken
	c.execute(r)
	if !c.led {
		c.fill()
	}
	c.commit()
}

// ready makes sure that a group could be written, and fixes the state below the
// working overlay for it.
func (c *committer) ready() error {
	if err := c.e.readOnly(); err != nil {
		return err
	}
	if err := c.journal.room(); err != nil {
		return c.e.failJournal(err)
	}
	return c.tx.open()
}

// fill takes what waits into the group. If the last group had company, so will
// this one: it waits for about as many again, at most a quarter of the time
// that a commit takes.
func (c *committer) fill() {
	var deadline time.Time
	var timer *time.Timer
	for len(c.members) < c.o.GroupUpdates && len(c.group)+c.octets < c.o.GroupBytes {
		select {
		case r := <-c.e.requests:
			c.execute(r)
			continue
		default:
		}
		if c.lastMembers < 2 || len(c.members) >= c.lastMembers {
			break
		}
		now := time.Now()
		if deadline.IsZero() {
			deadline = now.Add(c.lastCommit / 4)
		}
		left := deadline.Sub(now)
		if left <= 0 {
			break
		}
		if left <= spinBelow {
			runtime.Gosched()
			continue
		}
		if timer == nil {
			timer = time.NewTimer(left)
			defer timer.Stop()
		}
		select {
		case r := <-c.e.requests:
			c.execute(r)
		case <-timer.C:
			return
		}
	}
}

// spinBelow is the wait for which a timer is too coarse.
const spinBelow = 50 * time.Microsecond

// execute runs one Update on the working overlay.
func (c *committer) execute(r *request) {
	if !r.state.CompareAndSwap(requestWaiting, requestTaken) {
		return // withdrawn
	}
	c.members = append(c.members, r)
	c.tx.begin(r)
	r.err = r.call(&c.tx)
	if err := c.tx.finish(); r.err == nil {
		r.err = err
	}
	if r.err != nil || len(r.unsynced) > 0 {
		c.tx.undo()
	}
}

// commit makes the group durable, then visible, and then answers.
func (c *committer) commit() {
	c.tx.close()
	c.lastMembers = len(c.members)
	if len(c.ops) == 0 {
		// Nothing to write, and nothing read that is not durable.
		c.rollback()
		c.answer()
		return
	}
	start := time.Now()
	err := c.write()
	c.lastCommit = time.Since(start)
	if err != nil {
		c.refuse(err)
		return
	}
	c.publish()
	c.e.commits.Add(1)
	c.e.watchers.wake(c.ops) // first, so that no answer is ahead of the news
	c.answer()
	c.reset()
}

// write appends the group and its commit record to the journal.
func (c *committer) write() error {
	bodiesEnd := len(c.group)
	c.group = append(c.group, make([]byte, recordHeaderSize)...)
	for i := range c.ops {
		c.group = appendChange(c.group, c.ops[i].now)
	}
	data := c.group[bodiesEnd+recordHeaderSize:]
	header := recordHeader{
		kind:   kindCommit,
		id:     c.journal.end.seq + 1,
		length: uint32(len(data)),
		bodies: c.bodies,
		sum:    checksum(data),
	}
	header.append(c.group[:bodiesEnd], c.journal.active.seed)
	return c.journal.append(c.group)
}

// publish shows the group to readers.
func (c *committer) publish() {
	c.published = c.tree.snapshot()
	c.since += int64(len(c.group))
	c.e.publish(c.published, c.journal.end)
	c.e.segments.account(c.changes, c.journal.end.seq)
	c.e.dropLarge(c.large, c.journal.end.seq)
	for _, d := range c.kept {
		d.commit()
	}
}

// rollback takes the overlay back to the last commit. Undoing an Update leaves
// items that say nothing, and each keeps a piece of the arena: without a commit,
// which counts them and so freezes the overlay some day, they must go.
func (c *committer) rollback() {
	c.tree.restore(c.published)
	c.arena.taken = c.taken
}

// refuse fails the whole group: none of it was, or will be, visible. An error of
// a member's own may come from what the members before it did, which now never
// was: it is told as a remark, and not for the caller to act on.
func (c *committer) refuse(cause error) {
	for _, d := range c.kept {
		d.doubt()
	}
	c.rollback()
	err := c.e.failJournal(cause)
	for _, r := range c.members {
		switch {
		case len(r.unsynced) > 0: // comes again, and hears of it then
		case r.err == nil:
			r.err = err
		default:
			r.err = fmt.Errorf("%w (the update itself: %v)", err, r.err)
		}
	}
	c.answer()
	c.reset()
}

// answer tells every member its outcome. An Update is counted before its caller
// hears of it, who may read the count next.
func (c *committer) answer() {
	for i, r := range c.members {
		if r.err == nil && len(r.unsynced) == 0 {
			c.e.updates.Add(1)
		}
		r.done <- struct{}{}
		c.members[i] = nil
	}
	c.members = c.members[:0]
}

// reset empties the group, and lets go of memory that only an unusual one
// needed.
func (c *committer) reset() {
	c.group = c.group[:0]
	if cap(c.group) > 4*c.o.GroupBytes {
		c.group = nil
	}
	clear(c.ops)
	c.ops = c.ops[:0]
	if cap(c.ops) > 16*c.o.GroupUpdates {
		c.ops = nil
	}
	clear(c.kept)
	c.kept = c.kept[:0]
	c.changes = c.changes[:0]
	c.large = c.large[:0]
	c.bodies, c.octets = 0, 0
}
