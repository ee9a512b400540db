package queue

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
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

// Route is where mail for a domain is sent, whatever its MX says.
type Route struct {
	// Domain is the mail domain, or "*.parent" for all below a parent. It is also
	// compared with hosts that the router names, "host" or "host:port", to which
	// then the credentials and the level count.
	Domain   string
	Host     string // a host name or an IP address; empty: where it would go anyway
	Port     int    // 0: the sender's
	User     string // empty: no sign-in
	Password string
	Level    send.Level // what the connection must be at least
}

// Signer makes header fields that vouch for a message, such as DKIM-Signature.
type Signer interface {
	// Sign returns fields, each with its CRLF, that go before the message. An
	// error is temporary: the message waits.
	Sign(ctx context.Context, m *Outgoing) ([]byte, error)
}

// Outgoing is a message of ours as it is about to be sent.
type Outgoing struct {
	ID      string      // queue id
	From    string      // reverse-path
	Account string      // address of the account that submitted it; empty: a client address, or ourselves
	Body    io.ReaderAt // in its last form, with CRLF
	Size    int64       // of Body, in octets
}

// SenderOptions say how a [Sender] works. Zero values take the defaults.
type SenderOptions struct {
	Port      int // of other hosts; default 25
	Smarthost Smarthost
	Routes    []Route
	DNS       send.DNS                  // default: the system's
	Policies  Policies                  // nil: MTA-STS is not asked for
	Signer    Signer                    // nil: nothing is signed
	Self      func(netip.AddrPort) bool // addresses at which this server listens, to which nothing is sent
	Workers   int                       // connections at once; default 100
	PerHost   int                       // most connections at once to one destination; default 20
	Batch     int                       // messages handed to one connection at a time; default 50
	Ready     int                       // messages known in memory as due; default 50,000
	Idle      time.Duration             // how long a connection is kept for further messages; default 2 s
	Search    time.Duration             // how long it may take to find a host of a destination that is ready for mail; default 10 minutes
	Grace     time.Duration             // how long attempts in flight may take when Run is ended; default 10 s
	Timeouts  send.Timeouts
	RootCAs   *x509.CertPool // for certificates that are verified; default: the system's
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o *SenderOptions) defaults() {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&o.Port, 25)
	set(&o.Workers, 100)
	set(&o.PerHost, 20)
	set(&o.Batch, 50)
	set(&o.Ready, 50_000)
	if o.DNS == nil {
		o.DNS = resolve.New(resolve.Options{})
	}
	if o.Idle <= 0 {
		o.Idle = 2 * time.Second
	}
	if o.Search <= 0 {
		o.Search = 10 * time.Minute
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
	hosts  *hosts

	pause time.Duration // errorPause; tests have less time

	// What follows belongs to Run.
	schedule *schedule
	recalled time.Time // when it last looked for what waits too long
	running  int
	idle     []*idleConn // oldest first
	done     chan *job
	opened   chan *lane // to which a connection stands now
	workers  sync.WaitGroup
}

// NewSender returns the sender of a queue.
func NewSender(q *Queue, o SenderOptions) *Sender {
	o.defaults()
	q.notices.listen()
	return &Sender{
		queue:  q,
		o:      o,
		finder: &send.Finder{DNS: o.DNS, Port: o.Port, Self: o.Self, Hostname: q.o.Hostname},
		client: &send.Client{
			Hostname: q.o.Hostname,
			Port:     o.Port,
			Timeouts: o.Timeouts,
			Log:      q.o.Log.Tag("SMTP"),
			RootCAs:  o.RootCAs,
			Dial:     o.Dial,
		},
		hosts:    newHosts(q.o.Retry),
		pause:    errorPause,
		schedule: newSchedule(&o),
		done:     make(chan *job),
		opened:   make(chan *lane),
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
	wake := s.queue.notices.wake
	unwatch := s.queue.store.Watch(store.SpaceQueue, keyCount, func() { s.queue.notices.nudge() })
	defer unwatch()
	lease, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	if err := s.queue.index(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("index of the queue: %w", err)
	}

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

// lookShare bounds the time spent on looking for work: each look is followed by a
// rest so many times as long. Workers have enough to do meanwhile, for a job is
// more than one message.
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
		case p := <-s.opened:
			s.schedule.line(p)
			changed()
		}
	}
}

// finish waits for the workers; when they take too long it ends their
// connections.
func (s *Sender) finish(end func()) {
	s.closeIdle(len(s.idle))
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
			s.closeIdle(len(s.idle))
			return
		case j := <-s.done:
			s.release(j)
		case <-s.opened:
		case <-grace.C:
			end()
		}
	}
}

// release takes a finished job off the books and keeps its connection.
func (s *Sender) release(j *job) {
	s.running--
	s.schedule.release(j)
	if j.conn != nil {
		j.conn.until = time.Now().Add(s.o.Idle)
		s.idle = append(s.idle, j.conn)
	}
}

// dispatch starts workers for what is due and returns how long there is nothing
// more to do. lease is the context of the workers.
func (s *Sender) dispatch(ctx, lease context.Context) (time.Duration, error) {
	s.closeOverdue()
	if err := s.queue.store.Engine().Status().ReadOnly; err != nil {
		return s.pause, nil // what cannot be recorded is not begun
	}
	if time.Since(s.recalled) >= recallEvery {
		if err := s.queue.recall(ctx); err != nil {
			return 0, err
		}
		s.recalled = time.Now()
	}
	list, lost := s.queue.notices.hear()
	s.schedule.hear(list, lost, s.queue.o.Now())
	next, err := s.scan(ctx)
	if err != nil {
		s.schedule.cursor = nil // notices may be lost
		return 0, err
	}
	for s.running < s.o.Workers {
		p := s.schedule.next()
		if p == nil {
			break
		}
		if p.more && len(p.ready) < s.o.Batch {
			if err := s.refill(ctx, p); err != nil {
				s.schedule.line(p)
				return 0, err
			}
		}
		if j := s.schedule.job(p); j != nil {
			s.start(ctx, lease, j)
		}
	}
	return s.sleep(next), nil
}

// sleep is how long there is nothing to do.
func (s *Sender) sleep(next time.Time) time.Duration {
	d := maxSleep
	if !next.IsZero() {
		d = min(d, max(next.Sub(s.queue.o.Now()), 0))
	}
	if len(s.idle) > 0 {
		d = min(d, max(time.Until(s.idle[0].until), 0))
	}
	return d
}

func (s *Sender) start(ctx, lease context.Context, j *job) {
	j.conn = s.takeIdle(j.lane)
	j.warm = j.conn != nil
	if j.conn == nil && s.running+len(s.idle) >= s.o.Workers {
		s.closeIdle(1)
	}
	s.running++
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
		j.aside, j.left, j.conn = j.ids, nil, nil
		s.queue.log.queue.Logf(syslog.Crash, "panic while sending %v to %q: %v\n%s", j.ids, j.lane.name, p, debug.Stack())
	}
}
