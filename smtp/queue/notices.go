package queue

import (
	"sync"
	"time"
)

// notice tells the sender of work by name, so that it need not look for what it
// could not have seen: what is due before the point up to which it has looked.
type notice struct {
	work
	due    time.Time
	urgent bool // somebody wants it to be tried now
}

// maxNotices bounds what waits to be heard; beyond it the sender looks at
// everything once.
const maxNotices = 10_000

// notices is what the queue has to tell its sender.
type notices struct {
	wake chan struct{} // has room for one

	mu   sync.Mutex // guards what follows
	on   bool       // there is a sender
	list []notice
	lost bool // there were too many
}

func (n *notices) tell(all ...notice) {
	if len(all) == 0 {
		return
	}
	n.mu.Lock()
	if n.on {
		room := max(maxNotices-len(n.list), 0)
		n.lost = n.lost || len(all) > room
		n.list = append(n.list, all[:min(len(all), room)]...)
	}
	n.mu.Unlock()
	n.nudge()
}

// nudge wakes the sender.
func (n *notices) nudge() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// listen begins to collect.
func (n *notices) listen() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.on = true
}

// hear takes what there is.
func (n *notices) hear() (list []notice, lost bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	list, lost = n.list, n.lost
	n.list, n.lost = nil, false
	return list, lost
}

// entered tells of a message that is recorded now.
func (q *Queue) entered(p *parcel) {
	q.submitted.Add(1)
	q.log.enqueued(p)
	q.notices.tell(p.settled(nil)...)
}

// settled marks a parcel as recorded, with all that was recorded together with
// it, and adds what the sender must hear of that.
func (p *parcel) settled(all []notice) []notice {
	p.recorded = true
	if p.message != nil {
		for _, d := range p.plan.dests {
			all = append(all, notice{work: work{p.id, d.name()}, due: p.message.created})
		}
	}
	for _, r := range p.reports {
		all = r.settled(all)
	}
	for _, f := range p.rules.forwards {
		all = f.settled(all)
	}
	for _, g := range p.groups {
		all = g.settled(all)
	}
	for _, r := range p.rules.replies {
		if r.sent {
			all = r.settled(all)
		}
	}
	return all
}
