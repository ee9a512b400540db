package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tripost/syslog"
)

// Server accepts the connections of one module on any number of listeners,
// gives each a Conn and a session logger, and keeps the limits. Its fields must
// not change once Serve was called.
type Server struct {
	Name       string                             // of the module, for errors
	Channels   int                                // most connections at once, over all listeners; 0 refuses all
	PerAddress int                                // most of one remote address (IPv6: its /64); 0: no limit
	Exempt     func(netip.Addr) bool              // addresses free of PerAddress; nil: none
	Proxies    []netip.Prefix                     // from here a PROXY protocol header must come first, and is believed
	Conn       func() Config                      // asked for each connection, so that a changed configuration counts
	Busy       func(reason string) string         // the whole line for a plain-text client over a limit; nil: none
	Session    func(ctx context.Context, c *Conn) // serves one connection; its end closes the connection
	Log        *syslog.Logger                     // of the module
	Grace      time.Duration                      // how long sessions may take when ctx has ended; 0: 10 seconds

	limits limits
	busy   busyLog

	soonWaiting atomic.Int32 // see Conn.soon

	taken, refused atomic.Uint64 // connections
}

const (
	defaultGrace = 10 * time.Second
	busyWrite    = 100 * time.Millisecond // a line fits into the buffer of a new socket
)

// Totals returns how many connections were taken and how many were refused
// because of a limit, since the server began.
func (s *Server) Totals() (taken, refused uint64) { return s.taken.Load(), s.refused.Load() }

// Count returns the number of connections at the moment.
func (s *Server) Count() int { return s.limits.count() }

// Serve accepts on ln until ctx ends, then closes it and ends its sessions:
// their context ends, and waits for a new command return its error, so that
// they can say goodbye. After Grace their connections are closed under them.
// Serve returns when all have ended, with nil if that was within another Grace.
//
// Accept errors such as a lack of file descriptors are logged and tried again.
// Serve may be called once for each of several listeners.
func (s *Server) Serve(ctx context.Context, ln net.Listener, implicitTLS bool) error {
	l := &listener{server: s, ctx: ctx, implicitTLS: implicitTLS, conns: make(map[net.Conn]*Conn)}
	unwatch := context.AfterFunc(ctx, func() { ln.Close() })
	defer unwatch()
	err := l.accept(ln)
	ln.Close()
	if ctx.Err() == nil {
		return fmt.Errorf("%s: accept on %s: %w", s.Name, ln.Addr(), err)
	}
	return l.finish()
}

// listener is one call of Serve.
type listener struct {
	server      *Server
	ctx         context.Context
	implicitTLS bool

	sessions sync.WaitGroup
	mu       sync.Mutex         // guards conns
	conns    map[net.Conn]*Conn // by socket; nil until the Conn is made
}

const (
	firstPause = 5 * time.Millisecond
	maxPause   = time.Second
)

// accept accepts until the listener is closed.
func (l *listener) accept(ln net.Listener) error {
	pause := firstPause
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = firstPause
			l.admit(nc)
			continue
		case l.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return err
		}
		l.server.Log.Logf(syslog.Failure, "accept on %s: %v; trying again in %v", ln.Addr(), err, pause)
		select {
		case <-time.After(pause):
		case <-l.ctx.Done():
		}
		pause = min(2*pause, maxPause)
	}
}

// admit starts a session, or refuses the connection when there are too many.
func (l *listener) admit(nc net.Conn) {
	s := l.server
	if !s.limits.enter(s.Channels) {
		s.refused.Add(1)
		s.refuse(nc, addrPort(nc.RemoteAddr()), l.implicitTLS, "too many connections")
		return
	}
	l.mu.Lock()
	l.conns[nc] = nil
	l.mu.Unlock()
	l.sessions.Go(func() {
		defer s.limits.leave()
		l.serve(nc)
	})
}

// serve runs one connection from its first octet to its end.
func (l *listener) serve(nc net.Conn) {
	defer func() {
		nc.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, nc)
	}()
	s := l.server
	config := s.Conn()
	from := proxied{remote: addrPort(nc.RemoteAddr()), local: addrPort(nc.LocalAddr())}
	if s.isProxy(from.remote.Addr()) {
		var err error
		if from, err = readProxyHeader(nc, from, config.handshakeTimeout()); err != nil {
			s.Log.Logf(syslog.Problem, "[%s] is a proxy, but: %v", from.remote.Addr(), err)
			return
		}
	}
	if host := from.remote.Addr(); s.counts(host) {
		if !s.limits.enterAddress(hostOf(host), s.PerAddress) {
			s.refused.Add(1)
			s.refuse(nc, from.remote, l.implicitTLS, "too many connections from your address")
			return
		}
		defer s.limits.leaveAddress(hostOf(host))
	}
	s.taken.Add(1)
	l.converse(nc, config, from)
}

// counts reports whether connections of an address are limited.
func (s *Server) counts(a netip.Addr) bool {
	return a.IsValid() && s.PerAddress > 0 && (s.Exempt == nil || !s.Exempt(a))
}

// converse makes the Conn and runs the session on it.
func (l *listener) converse(nc net.Conn, config Config, from proxied) {
	log := l.server.Log.Session(from.remote)
	config.Log = log
	c := NewConn(nc, config)
	if c.remote = from.remote; from.local != c.Local() {
		local := from.local
		c.local = &local
	}
	c.serverDone, c.soonWaiting = l.ctx.Done(), &l.server.soonWaiting
	defer func() {
		if p := recover(); p != nil {
			log.Logf(syslog.Crash, "panic in the session: %v\n%s", p, debug.Stack())
			c.Abort()
		}
	}()
	logIncoming(log, from)
	l.register(nc, c)
	if l.implicitTLS {
		if err := c.handshake(l.ctx); err != nil {
			log.Log(syslog.Problem, err.Error())
			return
		}
	}
	l.server.Session(l.ctx, c)
	if err := c.Close(); err != nil && log.On(syslog.Protocol) {
		log.Logf(syslog.Protocol, "close the connection: %v", err)
	}
}

// register makes the Conn known to finish, or interrupts it when that has been.
func (l *listener) register(nc net.Conn, c *Conn) {
	l.mu.Lock()
	l.conns[nc] = c
	l.mu.Unlock()
	if err := l.ctx.Err(); err != nil {
		c.Interrupt(err)
	}
}

// finish ends the sessions when the context has ended.
func (l *listener) finish() error {
	l.each(func(nc net.Conn, c *Conn) {
		if c == nil { // it has not said yet where it comes from
			nc.Close()
			return
		}
		c.Interrupt(l.ctx.Err())
	})
	grace := l.server.Grace
	if grace <= 0 {
		grace = defaultGrace
	}
	if l.ended(grace) {
		return nil
	}
	n := l.each(func(nc net.Conn, _ *Conn) { nc.Close() })
	l.server.Log.Logf(syslog.Problem, "%d sessions did not end in time, connections closed", n)
	if l.ended(grace) {
		return nil
	}
	return fmt.Errorf("%s: %d sessions do not end", l.server.Name, l.each(func(net.Conn, *Conn) {}))
}

// ended waits for the sessions and reports whether they ended in time.
func (l *listener) ended(within time.Duration) bool {
	all := make(chan struct{})
	go func() {
		l.sessions.Wait()
		close(all)
	}()
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-all:
		return true
	case <-t.C:
		return false
	}
}

// each calls fn for every connection and returns how many there are.
func (l *listener) each(fn func(net.Conn, *Conn)) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for nc, c := range l.conns {
		fn(nc, c)
	}
	return len(l.conns)
}
