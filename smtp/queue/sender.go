package queue

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"tripost/smtp/resolve"
	"tripost/smtp/send"
	"tripost/store"
	"tripost/syslog"
)

// Smarthost is a host that takes everything for the outside.
type Smarthost struct {
	Host     string // a host name or an IP address; empty: none
	Port     int    // 0: 25; on 465 TLS comes first
	User     string // empty: no sign-in
	Password string
}

// SenderOptions say how a [Sender] works. Zero values take the defaults.
type SenderOptions struct {
	Port      int // of other hosts; default 25
	Smarthost Smarthost
	DNS       send.DNS                  // default: the system's
	Self      func(netip.AddrPort) bool // addresses at which this server listens, to which nothing is sent
	Workers   int                       // connections at once; default 50
	PerHost   int                       // connections at once to one destination; default 4
	Batch     int                       // messages over one connection; default 50
	Grace     time.Duration             // how long attempts in flight may take when Run is ended; default 10 s
	Timeouts  send.Timeouts
	RootCAs   *x509.CertPool // for the smart host's certificate; default: the system's
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o *SenderOptions) defaults() {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&o.Port, 25)
	set(&o.Workers, 50)
	set(&o.PerHost, 4)
	set(&o.Batch, 50)
	if o.DNS == nil {
		o.DNS = resolve.New(resolve.Options{})
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
}

// Sender carries away what is due. One goroutine runs it.
type Sender struct {
	queue  *Queue
	o      SenderOptions
	finder *send.Finder
	client *send.Client

	pause time.Duration // errorPause; tests have less time

	// What follows belongs to Run.
	inFlight map[work]bool
	busy     map[string]int // connections by destination
	running  int
	done     chan *job
	workers  sync.WaitGroup
}

// work is one message for one destination.
type work struct {
	id   uint64
	dest string
}

// job is what one connection is made for.
type job struct {
	dest  string
	ids   []uint64
	aside []uint64 // of ids: they stay in flight until the next start
}

// NewSender returns the sender of a queue.
func NewSender(q *Queue, o SenderOptions) *Sender {
	o.defaults()
	return &Sender{
		queue:  q,
		o:      o,
		finder: &send.Finder{DNS: o.DNS, Port: o.Port, Self: o.Self},
		client: &send.Client{
			Hostname: q.o.Hostname,
			Timeouts: o.Timeouts,
			Log:      q.o.Log.Tag("SMTP"),
			RootCAs:  o.RootCAs,
			Dial:     o.Dial,
		},
		pause:    errorPause,
		inFlight: make(map[work]bool),
		busy:     make(map[string]int),
		done:     make(chan *job),
	}
}

const (
	// maxSleep is how long the sender sleeps at most: a clock may be set.
	maxSleep = time.Minute
	// errorPause is the pause after the queue could not be read or written.
	errorPause = 5 * time.Second
)

// Run sends until ctx ends, then waits for the attempts in flight, for at most
// Grace, and returns nil.
func (s *Sender) Run(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	unwatch := s.queue.store.Watch(store.SpaceQueue, keyCount, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	defer unwatch()
	lease, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()

	timer := time.NewTimer(maxSleep)
	defer timer.Stop()
	for ctx.Err() == nil {
		begin := time.Now()
		pause, err := s.dispatch(ctx, lease)
		if err != nil && ctx.Err() == nil {
			s.queue.log.queue.Logf(syslog.Failure, "read the queue: %v", err)
			pause = s.pause
		}
		rest := lookShare * time.Since(begin)
		timer.Reset(max(pause, rest))
		s.wait(ctx, timer.C, wake, begin.Add(rest))
	}
	s.finish(end)
	return nil
}

// lookShare bounds the time spent on looking for work, which grows with the
// queue: each look is followed by a rest so many times as long. Workers have
// enough to do meanwhile, for a job is more than one message.
const lookShare = 4

// wait returns when it is time to look for work again: something has changed and
// the rest is over, or the timer says so.
func (s *Sender) wait(ctx context.Context, timer <-chan time.Time, wake <-chan struct{}, rested time.Time) {
	var rest <-chan time.Time // set when something has changed
	changed := func() {
		if rest == nil {
			rest = time.After(time.Until(rested))
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer:
			return
		case <-rest:
			return
		case <-wake:
			changed()
		case j := <-s.done:
			s.release(j)
			changed()
		}
	}
}

// finish waits for the workers; when they take too long it ends their
// connections.
func (s *Sender) finish(end func()) {
	all := make(chan struct{})
	go func() {
		s.workers.Wait()
		close(all)
	}()
	grace := time.NewTimer(s.o.Grace)
	defer grace.Stop()
	for {
		select {
		case <-all:
			return
		case j := <-s.done:
			s.release(j)
		case <-grace.C:
			end()
		}
	}
}

// release takes a finished job off the books.
func (s *Sender) release(j *job) {
	for _, id := range j.ids {
		if !slices.Contains(j.aside, id) {
			delete(s.inFlight, work{id, j.dest})
		}
	}
	if s.busy[j.dest]--; s.busy[j.dest] == 0 {
		delete(s.busy, j.dest)
	}
	s.running--
}

// dispatch starts workers for what is due and returns how long there is nothing
// more to do. lease is the context of the workers.
func (s *Sender) dispatch(ctx, lease context.Context) (time.Duration, error) {
	if err := s.queue.store.Engine().Status().ReadOnly; err != nil {
		return s.pause, nil // what cannot be recorded is not begun
	}
	jobs, next, err := s.due(ctx)
	if err != nil {
		return 0, err
	}
	for _, j := range jobs {
		s.start(ctx, lease, j)
	}
	if next.IsZero() {
		return maxSleep, nil
	}
	return min(max(next.Sub(s.queue.o.Now()), 0), maxSleep), nil
}

func (s *Sender) start(ctx, lease context.Context, j *job) {
	s.busy[j.dest]++
	s.running++
	for _, id := range j.ids {
		s.inFlight[work{id, j.dest}] = true
	}
	s.workers.Go(func() {
		defer func() { s.done <- j }()
		defer s.recovered(j)
		s.carry(ctx, lease, j)
	})
}

// recovered turns a panic of a worker into a log record. What it was about is set
// aside until the next start, for it would only happen again.
func (s *Sender) recovered(j *job) {
	if p := recover(); p != nil {
		j.aside = j.ids
		s.queue.log.queue.Logf(syslog.Crash, "panic while sending %v to %q: %v\n%s", j.ids, j.dest, p, debug.Stack())
	}
}

// due collects jobs from what is due, oldest first, within the limits, and
// returns when the next thing will be due that is not yet; zero: nothing.
func (s *Sender) due(ctx context.Context) (jobs []*job, next time.Time, err error) {
	now := s.queue.o.Now()
	err = s.queue.store.View(ctx, func(r *store.Snapshot) error {
		c := collector{s: s, open: make(map[string]*job)}
		for it, err := range r.Range(store.SpaceQueue, []byte{keyDue}, []byte{keyDue + 1}) {
			if err != nil {
				return err
			}
			at, id, dest, err := parseDue(it.Key)
			if err != nil {
				return err
			}
			if at.After(now) {
				next = at
				break
			}
			if !c.add(id, dest) {
				break
			}
		}
		jobs = c.jobs
		return nil
	})
	return jobs, next, err
}

// collector sorts due work into jobs.
type collector struct {
	s    *Sender
	jobs []*job
	open map[string]*job // jobs with room, by destination
	made map[string]int  // jobs made, by destination
}

// add takes one piece of work, unless its destination has as many connections as
// it may have. It returns false when there is no use in going on.
func (c *collector) add(id uint64, dest string) bool {
	if c.s.inFlight[work{id, dest}] {
		return true
	}
	j := c.open[dest]
	if j == nil || len(j.ids) >= c.s.o.Batch {
		if c.s.running+len(c.jobs) >= c.s.o.Workers {
			return len(c.open) > 0 && !c.full()
		}
		if c.s.busy[dest]+c.made[dest] >= c.s.o.PerHost {
			return true
		}
		j = &job{dest: dest}
		c.jobs = append(c.jobs, j)
		c.open[dest] = j
		if c.made == nil {
			c.made = make(map[string]int)
		}
		c.made[dest]++
	}
	j.ids = append(j.ids, id)
	return true
}

// full tells that no job has room.
func (c *collector) full() bool {
	for _, j := range c.open {
		if len(j.ids) < c.s.o.Batch {
			return false
		}
	}
	return true
}
