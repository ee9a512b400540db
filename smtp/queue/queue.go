package queue

import (
	"context"
	"sync/atomic"
	"time"

	"tripost/accounts"
	"tripost/router"
	"tripost/store"
	"tripost/syslog"
)

// Defaults of [Options].
const (
	defaultMaxSize     = 50 << 20
	defaultMaxHops     = 100 // RFC 5321 section 6.3
	defaultMaxItems    = 1_000_000
	defaultWarnAfter   = 4 * time.Hour
	defaultExpireAfter = 5 * 24 * time.Hour // RFC 5321 section 4.5.4.1
	defaultIndividual  = "X-Real-To"

	// maxExpanded bounds what one envelope can grow to by lists.
	maxExpanded = 10_000
	// maxNesting bounds lists in lists.
	maxNesting = 10
)

// Options of a [Queue]. Zero values take the defaults.
type Options struct {
	Hostname    string          // of this server, for Received and reports
	Product     string          // name and version: "tripost 0.1.0"
	MaxSize     int64           // octets of a message; default 50 MiB
	MaxHops     int             // Received fields a message may carry; default 100
	Individual  string          // name of the field that keeps the individual recipients of a unified account; default "X-Real-To"
	MaxItems    int             // messages that may wait; default 1,000,000
	Retry       []time.Duration // pauses between attempts, the last one repeats; default 5m 10m 30m 1h 2h 4h
	WarnAfter   time.Duration   // when the sender is told of a delay; default 4h; negative: never
	ExpireAfter time.Duration   // when a message is given up; default 5 days
	QuotaBounce time.Duration   // after how long without room an account's mail is refused for good; 0: never
	// SpoolDirectory is where large messages wait while an Inspector judges them;
	// empty: the system's directory for temporary files.
	SpoolDirectory string
	// OwnAddresses holds accounts to addresses that lead to them, in the
	// reverse-path and in From, and to those that Identities adds.
	OwnAddresses bool
	Identities   Identities // nil: none
	Flow         Flow       // what an account may send to other hosts
	Rules        Rules      // of accounts, for what is delivered to them; nil: none
	History      History    // of messages; nil: none
	// ForwardKeepsSender leaves the sender's reverse-path on what rules forward to
	// other hosts; else it is the account's.
	ForwardKeepsSender bool
	Now                func() time.Time
	Log                *syslog.Log // tags QUEUE, LOCAL and SMTP; nil: silent
}

func (o *Options) defaults() {
	if o.Hostname == "" {
		o.Hostname = "localhost"
	}
	if o.Product == "" {
		o.Product = "tripost"
	}
	if o.MaxSize <= 0 {
		o.MaxSize = defaultMaxSize
	}
	if o.MaxHops <= 0 {
		o.MaxHops = defaultMaxHops
	}
	if o.Individual == "" {
		o.Individual = defaultIndividual
	}
	if o.MaxItems <= 0 {
		o.MaxItems = defaultMaxItems
	}
	if len(o.Retry) == 0 {
		o.Retry = []time.Duration{5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour}
	}
	if o.WarnAfter == 0 {
		o.WarnAfter = defaultWarnAfter
	}
	if o.ExpireAfter <= 0 {
		o.ExpireAfter = defaultExpireAfter
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = syslog.Discard()
	}
}

// Router tells where an address leads. [router.Router] is one.
type Router interface {
	Route(ctx context.Context, addr string, p router.Purpose, explain bool) (router.Result, error)
}

// Queue takes messages in and keeps what waits to go out. It is safe for
// concurrent use and holds nothing but a block of unused ids and the
// count of what accounts have sent in memory.
type Queue struct {
	store  *store.Store
	router Router
	dir    *accounts.Directory
	o      Options
	ids    counter
	log    events
	flow   *meterOfFlow

	crowded crowded

	notices *notices

	submitted atomic.Uint64
}

// Submitted returns how many messages were taken since the process began.
func (q *Queue) Submitted() uint64 { return q.submitted.Load() }

// Len returns how many messages wait for other hosts.
func (q *Queue) Len(ctx context.Context) (n int, err error) {
	err = q.store.View(ctx, func(r *store.Snapshot) error {
		waiting, err := count(r)
		n = int(waiting)
		return err
	})
	return n, err
}

// New returns the queue of a store.
func New(st *store.Store, r Router, d *accounts.Directory, o Options) *Queue {
	o.defaults()
	return &Queue{
		store:  st,
		router: r,
		dir:    d,
		o:      o,
		log:    newEvents(o.Log),
		flow:   newMeterOfFlow(o.Flow, o.Now),

		crowded: crowded{after: o.QuotaBounce, now: o.Now},

		notices: &notices{wake: make(chan struct{}, 1)},
	}
}
