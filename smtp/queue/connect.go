package queue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tripost/smtp/send"
)

// errNotOverTLS is for a message that has to go over TLS alone, and no host of
// its destination can take it so (RFC 8689 section 4.2.1).
var errNotOverTLS = errors.New("the message must not be sent without the protection it asks for")

// errNoTime is for a destination whose hosts have kept us waiting for too long.
var errNoTime = errors.New("no host of the domain was ready for mail in time")

// way is how a destination is reached.
type way struct {
	route send.Route
	login *send.Login
	least send.Level
	named bool // the administrator named the host: policies of the domain do not count
}

// way decides between the router, which may name a host, the routes of the
// configuration and the smart host.
func (s *Sender) way(d *destination) way {
	w := way{route: send.Route{Host: d.host, Port: d.port, Direct: d.direct}, named: d.direct}
	r := s.routeFor(d)
	if r == nil && s.o.Smarthost.Host != "" && !d.direct {
		h := s.o.Smarthost
		r = &Route{Host: h.Host, Port: h.Port, User: h.User, Password: h.Password}
		if r.Port == 0 {
			r.Port = 25
		}
	}
	if r == nil {
		return w
	}
	if r.Host != "" && !d.direct {
		w.route, w.named = send.Route{Host: r.Host, Port: r.Port, Direct: true}, true
	}
	w.least = r.Level
	if r.User != "" {
		w.login = &send.Login{User: r.User, Password: r.Password}
	}
	return w
}

// routeFor returns the route of the configuration for a destination: its own, or
// that of the nearest parent.
func (s *Sender) routeFor(d *destination) *Route {
	var best *Route
	for i := range s.o.Routes {
		r := &s.o.Routes[i]
		name := strings.ToLower(r.Domain)
		if name == d.host || d.direct && name == net.JoinHostPort(d.host, strconv.Itoa(d.port)) {
			return r
		}
		parent, wild := strings.CutPrefix(name, "*")
		if wild && !d.direct && strings.HasSuffix(d.host, parent) && (best == nil || len(name) > len(best.Domain)) {
			best = r
		}
	}
	return best
}

// connect opens a connection to the first host of a destination that takes it
// and that a message with such a need may go to. With urgent also hosts are
// tried that did not answer lately. While other connections to the destination
// stand, a failure says nothing about the host. It all may take the time of
// SenderOptions.Search; who was tried when it was over comes last the next time.
func (s *Sender) connect(ctx context.Context, d *destination, n need, urgent, others bool) (*send.Conn, error) {
	search, cancel := context.WithTimeout(ctx, s.o.Search)
	defer cancel()
	conn, tried, err := s.search(search, d, n, urgent, others)
	if conn != nil {
		conn.Watch(ctx)
		return conn, nil
	}
	if search.Err() == nil || ctx.Err() != nil {
		return nil, err
	}
	if !others {
		s.hosts.keptWaiting(tried, s.queue.o.Now(), err)
	}
	return nil, fmt.Errorf("%w (%s): %v", errNoTime, s.o.Search, err) // not the last word, whatever it is: others may not have been asked
}

// search tries the hosts of a destination in turn. It returns those that it has
// asked.
func (s *Sender) search(ctx context.Context, d *destination, n need, urgent, others bool) (_ *send.Conn, tried []netip.AddrPort, _ error) {
	w := s.way(d)
	targets, err := s.finder.Targets(ctx, w.route)
	if err != nil {
		return nil, nil, err
	}
	s.hosts.patientFirst(targets, s.queue.o.Now())
	dem := demander{dns: s.o.DNS, policies: s.o.Policies, need: n, least: w.least}
	if w.named {
		dem.policies = nil
	}
	var failure error
	limit := uint32(math.MaxUint32) // preferences from here on are behind this server
	for _, t := range targets {
		if uint32(t.Pref) >= limit {
			continue
		}
		conn, err := s.tryHost(ctx, t, &dem, w.login, urgent, others)
		if err == nil {
			return conn, nil, nil
		}
		if errors.Is(err, send.ErrSelf) {
			limit = uint32(t.Pref)
		}
		if t.Err == nil && !errors.Is(err, errAsleep) {
			tried = append(tried, t.Addr)
		}
		if failure == nil || !lasting(err) {
			failure = err // one that may go away counts more
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, tried, failure
}

func (s *Sender) tryHost(ctx context.Context, t send.Target, dem *demander, login *send.Login, urgent, others bool) (*send.Conn, error) {
	if t.Err != nil {
		return nil, t.Err
	}
	if !urgent {
		if err := s.hosts.check(t.Addr, s.queue.o.Now()); err != nil {
			return nil, fmt.Errorf("%s: %w", t, err)
		}
	}
	d, err := dem.demand(ctx, t)
	if err != nil {
		return nil, s.strict(dem.need, err)
	}
	conn, err := s.client.Connect(ctx, t, d, login)
	switch {
	case err == nil:
		s.hosts.answered(t.Addr)
		return conn, nil
	case ctx.Err() == nil && !others && hostDown(err):
		s.hosts.failed(t.Addr, s.queue.o.Now(), err)
	}
	return nil, s.strict(dem.need, err)
}

// strict marks the failures after which a message that needs TLS goes back.
func (s *Sender) strict(n need, err error) error {
	if n == onlyByTLS && (errors.Is(err, send.ErrNoTLS) || errors.Is(err, send.ErrNoRequireTLS) || errors.Is(err, errUncertain)) {
		return fmt.Errorf("%w: %w", errNotOverTLS, err)
	}
	return err
}

// lasting tells a failure that will not go away by waiting.
func lasting(err error) bool {
	for _, known := range permanent {
		if errors.Is(err, known.err) {
			return true
		}
	}
	return false
}

// hostDown tells failures to get a host's attention from those that are about
// the way in which we speak to it.
func hostDown(err error) bool {
	var refused *send.ReplyError
	if errors.As(err, &refused) && refused.Command != "greeting" {
		return false
	}
	for _, other := range []error{send.ErrNoTLS, send.ErrNoRequireTLS, send.ErrUnverified, send.ErrInsecure, send.ErrSelf} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

// idleConn is a connection that waits for further messages.
type idleConn struct {
	*send.Conn
	lane  *lane
	until time.Time // by the real clock
}

// takeIdle returns a connection that waits at a lane, or nil.
func (s *Sender) takeIdle(p *lane) *idleConn {
	for i, c := range s.idle {
		if c.lane == p {
			s.idle = append(s.idle[:i:i], s.idle[i+1:]...)
			return c
		}
	}
	return nil
}

// closeIdle says goodbye over the oldest connections that wait.
func (s *Sender) closeIdle(n int) {
	for _, c := range s.idle[:n] {
		c.lane.live.Add(-1)
		s.schedule.forget(c.lane)
		s.workers.Go(c.Close)
	}
	s.idle = s.idle[n:]
}

func (s *Sender) closeOverdue() {
	now := time.Now()
	n := 0
	for n < len(s.idle) && !now.Before(s.idle[n].until) {
		n++
	}
	s.closeIdle(n)
}
