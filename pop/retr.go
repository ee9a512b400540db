package pop

import (
	"context"
	"fmt"

	"tripost/message"
	"tripost/store"
	"tripost/store/engine"
)

// retr sends a message as it is stored, streamed from the store, and marks it
// Seen once the whole of it has gone out.
//
// RFC 1939 section 5, RETR.
func (s *session) retr(ctx context.Context, arg string) error {
	n, m, body, err := s.openMessage(ctx, arg)
	if err != nil {
		return s.refuse("RETR", err)
	}
	defer body.Close()
	s.ok("%d octets", m.Size)
	if err := s.conn.DotCopy(body, s.needsDots(ctx, m.Body)); err != nil {
		return fmt.Errorf("send message %d: %w", n, err)
	}
	s.count.retrieved++
	s.count.octets += m.Size
	s.drop.last = max(s.drop.last, n)
	if m.Flags&store.FlagSeen == 0 || s.drop.view.Changed() {
		s.seen.add(m.UID, s.conn.Wake)
	}
	return nil
}

// openMessage finds the message that a message-number names and opens it, if it
// is still there and may still be read.
func (s *session) openMessage(ctx context.Context, arg string) (n int, m store.Message, body engine.Body, err error) {
	d := s.drop
	if err = d.load(ctx); err != nil {
		return 0, m, nil, err
	}
	if n, err = d.number(arg); err != nil {
		return 0, m, nil, err
	}
	m = d.message(n)
	rights, err := s.present(ctx)
	if err != nil {
		return n, m, nil, err
	}
	if rights&store.RightRead == 0 {
		return n, m, nil, refusedRead
	}
	body, err = d.view.OpenBody(ctx, d.seq(n))
	if err != nil {
		return n, m, nil, fmt.Errorf("open message %d: %w", n, err)
	}
	if body.Size() != m.Size {
		body.Close()
		return n, m, nil, fmt.Errorf("message %d has %d octets instead of %d: %w", n, body.Size(), m.Size, engine.ErrDamaged)
	}
	return n, m, body, nil
}

// needsDots reports whether some line of the message begins with a dot. If that
// cannot be found out, each line is looked at when it is sent.
func (s *session) needsDots(ctx context.Context, b store.Body) bool {
	dots := true
	_, err := s.Store.Records(ctx, []store.Body{b}, func(_ int, r message.Record) bool {
		dots = !r.Valid() || r.Dots()
		return true
	})
	return err != nil || dots
}
