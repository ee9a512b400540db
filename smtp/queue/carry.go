package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	mail "tripost/message"
	"tripost/smtp/convert"
	"tripost/smtp/send"
	"tripost/syslog"
)

// carrier takes the messages of one job to their destination.
type carrier struct {
	s   *Sender
	run context.Context // when it ends no attempt is begun
	ctx context.Context // when it ends the one in flight is broken off
	j   *job

	conn     *idleConn // for messages without needs of their own; nil: none yet
	failures [3]error  // why there is no connection, by need
}

// carry takes the messages of a job to their destination, over one connection
// where it lasts. What it did not come to stays due. It begins no attempt after
// run has ended, and breaks off the one in flight when ctx ends.
func (s *Sender) carry(run, ctx context.Context, j *job) {
	c := &carrier{s: s, run: run, ctx: ctx, j: j, conn: j.conn}
	j.conn = nil
	defer c.drop()
	if j.warm && !c.conn.Alive() {
		c.drop()
	}
	for i, id := range j.ids {
		if run.Err() != nil || !c.message(id) {
			j.left = j.ids[i:]
			return
		}
		if c.conn != nil && c.conn.Broken() {
			c.drop()
			j.left, j.trouble = j.ids[i+1:], true
			return
		}
		if c.conn != nil && c.conn.Exhausted() {
			c.drop() // the next message gets another
		}
	}
	c.sweep()
	j.conn, c.conn = c.conn, nil
}

// message makes one attempt. It returns false when the message was not come to,
// nor will be the next ones.
func (c *carrier) message(id uint64) bool {
	m, d, err := c.s.queue.load(c.ctx, id, c.j.lane.name)
	if err != nil {
		c.s.skip(id, err) // gone, or cannot be read: not again before the next start
		if !errors.Is(err, ErrNoItem) {
			c.j.aside = append(c.j.aside, id)
		}
		return true
	}
	if d.held || d.next.After(c.s.queue.o.Now()) {
		return true
	}
	conn, failure := c.connection(m, d)
	if failure != nil && (c.ctx.Err() != nil || c.crowded(failure)) {
		return false // not the destination's fault
	}
	a := c.s.attempt(c.ctx, conn, m, d, failure)
	if conn != nil && conn != c.conn {
		c.close(conn)
	}
	c.j.delivered = c.j.delivered || a.reached()
	if !c.s.record(c.ctx, a) {
		return false
	}
	if !a.goesOn() {
		return true
	}
	if conn == c.conn {
		c.drop()
	}
	return c.run.Err() == nil && c.message(id)
}

// crowded tells that the peer bears no further connection: others stand.
func (c *carrier) crowded(failure error) bool {
	if c.j.lane.live.Load() == 0 || lasting(failure) || !hostDown(failure) {
		return false
	}
	c.j.trouble = true
	return true
}

// connection returns one over which a message may go: the one at hand, or one of
// its own where it needs more, or less, than others.
func (c *carrier) connection(m *message, d *destination) (*idleConn, error) {
	n := m.need()
	if c.conn != nil && !c.conn.Admits()(d.recipients[0].address) {
		c.drop()
	}
	if c.conn != nil && (n != onlyByTLS || c.conn.Level() >= send.Verified && c.conn.RequiresTLS() && c.conn.Target().Certain) {
		return c.conn, nil
	}
	if c.failures[n] != nil && (c.j.hurry || !d.hurry) {
		return nil, c.failures[n]
	}
	c.j.hurry = c.j.hurry || d.hurry
	p := c.j.lane
	made, err := c.s.connect(c.ctx, d, n, c.j.hurry, p.live.Load() > 0)
	if err != nil {
		c.failures[n] = err
		return nil, err
	}
	p.live.Add(1)
	c.s.opened <- p
	conn := &idleConn{Conn: made, lane: p}
	if n == usual {
		c.conn = conn
	}
	return conn, nil
}

// drop closes the connection at hand.
func (c *carrier) drop() {
	if c.conn != nil {
		c.close(c.conn)
		c.conn = nil
	}
}

func (c *carrier) close(conn *idleConn) {
	conn.lane.live.Add(-1)
	conn.Close()
}

// sweep gives the failure to reach any host of the destination to all else that
// is due for it, so that each message has its own next time and its sender is
// told in time.
func (c *carrier) sweep() {
	failure := c.failures[usual]
	if failure == nil || lasting(failure) || !hostDown(failure) || c.j.lane.live.Load() > 0 {
		return
	}
	var after uint64
	for {
		ids, last, err := c.s.queue.dueAt(c.ctx, c.j.lane.name, after, func(uint64, time.Time) bool { return true }, pageSize)
		if err != nil {
			c.s.queue.log.queue.Logf(syslog.Failure, "read the queue: %v", err)
			return
		}
		for _, id := range ids {
			if c.run.Err() != nil || !c.postpone(id, failure) {
				return
			}
		}
		if last == 0 {
			return
		}
		after = last
	}
}

// postpone records a failure that came before the message's turn.
func (c *carrier) postpone(id uint64, failure error) bool {
	m, d, err := c.s.queue.load(c.ctx, id, c.j.lane.name)
	if err != nil || d.held || d.hurry || d.next.After(c.s.queue.o.Now()) || m.need() != usual {
		return true
	}
	return c.s.record(c.ctx, c.s.attempt(c.ctx, nil, m, d, failure))
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

// attempt sends one message and makes the result of each recipient. failure is
// why there is no connection.
func (s *Sender) attempt(ctx context.Context, conn *idleConn, m *message, d *destination, failure error) *attempt {
	a := &attempt{id: m.id, name: d.name()}
	if failure == nil {
		a.via, a.secured = conn.Target().String(), conn.Secured()
		a.results, failure = s.hand(ctx, conn.Conn, m, d)
		a.cut = failure == nil && !conn.Broken() && len(a.results) < len(d.recipients)
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

// reached tells that some recipient's host took or refused the message: it is in
// order.
func (a *attempt) reached() bool {
	for i := range a.results {
		if r := &a.results[i]; r.remote && r.state != deferred {
			return true
		}
	}
	return false
}

// hand gives one message to the peer.
func (s *Sender) hand(ctx context.Context, conn *send.Conn, m *message, d *destination) ([]result, error) {
	body, err := s.queue.store.OpenBody(ctx, m.body)
	if err != nil {
		return nil, fmt.Errorf("open the message: %w", err)
	}
	defer body.Close()
	out := send.Message{
		From:       m.from,
		Size:       m.size,
		Body8Bit:   m.bits8,
		Binary:     m.binary,
		UTF8:       m.utf8,
		RequireTLS: m.requireTLS,

		Return:     m.returns.String(),
		EnvelopeID: m.envelope,
	}
	var text io.ReaderAt = io.NewSectionReader(body, m.offset, m.size)
	if !conn.Takes8Bit() && (m.bits8 || m.binary) || !conn.TakesBinary() && m.binary {
		sp := &spool{dir: s.queue.o.SpoolDirectory}
		defer sp.close()
		if err := convert.SevenBit(sp, text, m.size, mail.Limits{}); err != nil {
			return nil, fmt.Errorf("convert the message: %w", err)
		}
		text, out.Size, out.Body8Bit, out.Binary = sp, sp.size, false, false
	}
	fields, err := s.sign(ctx, m, text, out.Size)
	if err != nil {
		return nil, err
	}
	out.Size += int64(len(fields))
	return transact(conn, d.recipients, func(some []recipient) send.Message {
		one := out
		one.Body = io.MultiReader(bytes.NewReader(fields), io.NewSectionReader(text, 0, out.Size-int64(len(fields))))
		for _, r := range some {
			one.Recipients = append(one.Recipients, r.address)
			one.Options = append(one.Options, send.RecipientOptions{Notify: r.notify.String(), Original: r.orcpt})
		}
		return one
	}), nil
}

// sign has what goes out from us signed, in the form in which it goes.
func (s *Sender) sign(ctx context.Context, m *message, body io.ReaderAt, size int64) ([]byte, error) {
	if s.o.Signer == nil || !m.ours {
		return nil, nil
	}
	fields, err := s.o.Signer.Sign(ctx, &Outgoing{ID: formatID(m.id), From: m.from, Account: m.account, Body: body, Size: size})
	if err != nil {
		return nil, fmt.Errorf("sign the message: %w", err)
	}
	return fields, nil
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
	{send.ErrLines, "5.6.0"},
	{errNotOverTLS, "5.7.30"},
	{convert.ErrStructure, "5.6.3"},
}
