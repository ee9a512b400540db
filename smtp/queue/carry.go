package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"tripost/smtp/send"
	"tripost/syslog"
)

// carry takes the messages of a job to their destination, over one connection
// where it lasts. What it did not come to stays due. It begins no attempt after
// run has ended, and breaks off the one in flight when ctx ends.
func (s *Sender) carry(run, ctx context.Context, j *job) {
	var conn *send.Conn
	var failure error // why there is no connection, for all messages of the job
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for _, id := range j.ids {
		if run.Err() != nil || conn != nil && conn.Broken() {
			return
		}
		m, d, err := s.queue.load(ctx, id, j.dest)
		if err != nil {
			s.skip(id, err) // gone, or cannot be read: not again before the next start
			j.aside = append(j.aside, id)
			continue
		}
		if d.held {
			continue
		}
		if conn == nil && failure == nil {
			conn, failure = s.connect(ctx, d)
		}
		if ctx.Err() != nil && failure != nil {
			return // ended while connecting: not the destination's fault
		}
		if !s.record(ctx, s.attempt(ctx, conn, m, d, failure)) {
			return
		}
	}
}

// record settles an attempt. While the store takes no changes it tries again and
// again: the peer may have the message, and must not get it once more because
// nobody remembers. It gives up when ctx ends, and returns false.
func (s *Sender) record(ctx context.Context, a *attempt) bool {
	for {
		err := s.queue.settle(context.WithoutCancel(ctx), a)
		if err == nil || errors.Is(err, ErrNoItem) {
			return true
		}
		s.skip(a.id, err)
		pause := time.NewTimer(s.pause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return false
		}
	}
}

// skip tells why a message was passed over, unless it was removed.
func (s *Sender) skip(id uint64, err error) {
	if err != nil && !errors.Is(err, ErrNoItem) {
		s.queue.log.queue.Named(formatID(id)).Logf(syslog.Failure, "attempt: %v", err)
	}
}

// connect opens a connection to the first host of a destination that takes it.
func (s *Sender) connect(ctx context.Context, d *destination) (*send.Conn, error) {
	route, login := s.route(d)
	targets, err := s.finder.Targets(ctx, route)
	if err != nil {
		return nil, err
	}
	var last error
	for _, t := range targets {
		conn, err := s.client.Connect(ctx, t, login)
		if err == nil {
			return conn, nil
		}
		last = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// route is where a destination is sent: through the smart host when there is
// one, unless the router named the host itself.
func (s *Sender) route(d *destination) (send.Route, *send.Login) {
	h := s.o.Smarthost
	if h.Host == "" || d.direct {
		return send.Route{Host: d.host, Port: d.port, Direct: d.direct}, nil
	}
	port := h.Port
	if port == 0 {
		port = 25
	}
	var login *send.Login
	if h.User != "" {
		login = &send.Login{User: h.User, Password: h.Password}
	}
	return send.Route{Host: h.Host, Port: port, Direct: true}, login
}

// attempt sends one message and makes the result of each recipient. failure is
// why there is no connection.
func (s *Sender) attempt(ctx context.Context, conn *send.Conn, m *message, d *destination, failure error) *attempt {
	a := &attempt{id: m.id, name: d.name()}
	if failure == nil {
		a.via = conn.Target().String()
		a.results, failure = s.hand(ctx, conn, m, d)
	}
	if failure != nil {
		a.results = nil
		for _, r := range d.recipients {
			a.results = append(a.results, ourResult(r, failure))
		}
	}
	a.when = s.queue.o.Now()
	return a
}

// hand gives one message to the peer.
func (s *Sender) hand(ctx context.Context, conn *send.Conn, m *message, d *destination) ([]result, error) {
	body, err := s.queue.store.OpenBody(ctx, m.body)
	if err != nil {
		return nil, fmt.Errorf("open the message: %w", err)
	}
	defer body.Close()
	out := send.Message{
		From:     m.from,
		Size:     m.size,
		Body8Bit: m.bits8,
		UTF8:     m.utf8,
		Body:     io.NewSectionReader(body, m.offset, m.size),

		Return:     m.returns.String(),
		EnvelopeID: m.envelope,
	}
	for _, r := range d.recipients {
		out.Recipients = append(out.Recipients, r.address)
		out.Options = append(out.Options, send.RecipientOptions{Notify: r.notify.String(), Original: r.orcpt})
	}
	var all []result
	for i, got := range conn.Send(out) {
		if got.Err != nil {
			all = append(all, ourResult(d.recipients[i], got.Err))
		} else {
			res := peerResult(d.recipients[i], got.Reply)
			res.relayed = !conn.Reports()
			all = append(all, res)
		}
	}
	return all, nil
}

// peerResult is what a reply of the peer means.
func peerResult(r recipient, reply send.Reply) result {
	res := result{recipient: r, state: deferred, enhanced: reply.Enhanced, reply: reply.String(), remote: true}
	switch reply.Code / 100 {
	case 2:
		res.state = delivered
	case 5:
		res.state = failed
	}
	if res.enhanced == "" {
		res.enhanced = strconv.Itoa(reply.Code/100) + ".0.0"
	}
	return res
}

// ourResult is what a failure of the way means. It is temporary unless it is
// known not to be.
func ourResult(r recipient, err error) result {
	res := result{recipient: r, state: deferred, enhanced: "4.4.1", reply: clean(err.Error(), 512)}
	for _, known := range permanent {
		if errors.Is(err, known.err) {
			res.state, res.enhanced = failed, known.enhanced
		}
	}
	return res
}

// permanent lists what will not go away by waiting, with codes of RFC 3463 and
// RFC 7505.
var permanent = []struct {
	err      error
	enhanced string
}{
	{send.ErrNullMX, "5.1.10"},
	{send.ErrNoDomain, "5.1.2"},
	{send.ErrSelf, "5.4.6"},
	{send.ErrTooLong, "5.3.4"},
	{send.ErrNonASCII, "5.6.7"},
	{send.ErrUTF8, "5.6.9"},
}
