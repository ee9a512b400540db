package pop

import (
	"context"
	"fmt"
	"time"

	"tripost/store"
	"tripost/syslog"
)

const (
	// seenDelay is how long a mark may wait for others to share its commit: far
	// less than a user can see, far more than a client needs for its next RETR.
	seenDelay = 20 * time.Millisecond

	// seenMost is how many marks wait at most.
	seenMost = 256
)

// seenMarks collects the messages that RETR has sent, so that a client that
// fetches one after the other costs a commit now and then, not one a message.
type seenMarks struct {
	set   store.UIDSet
	n     int
	since time.Time   // of the oldest
	timer *time.Timer // ends a wait for input when the oldest has waited long enough
}

// add notes a message whose last octet was handed to the connection. wake ends
// the session's wait for input.
func (m *seenMarks) add(u store.UID, wake func()) {
	m.set.Add(u, u)
	m.n++
	if m.n > 1 {
		return
	}
	m.since = time.Now()
	if m.timer == nil {
		m.timer = time.AfterFunc(seenDelay, wake)
	} else {
		m.timer.Reset(seenDelay)
	}
}

// due reports whether the marks should be recorded before the next command.
func (m *seenMarks) due() bool {
	return m.n >= seenMost || m.n > 0 && time.Since(m.since) >= seenDelay
}

// forget drops all marks.
func (m *seenMarks) forget() {
	m.stop()
	m.set, m.n = m.set[:0], 0
}

func (m *seenMarks) stop() {
	if m.timer != nil {
		m.timer.Stop()
	}
}

// settle sends what has been written and then records the marks: not before,
// because a message counts as read only when the client got the whole of it.
func (s *session) settle(ctx context.Context) error {
	if err := s.conn.Flush(); err != nil {
		s.seen.forget()
		return fmt.Errorf("send a reply: %w", err)
	}
	s.recordSeen(ctx)
	return nil
}

// recordSeen records the marks of messages that went out. It is done also when
// the session is being ended from outside. That it fails is no reason to end
// the session: the user has the messages.
func (s *session) recordSeen(ctx context.Context) {
	if s.seen.n == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	_, _, err := s.drop.view.SetFlags(ctx, s.seen.set, store.FlagsAdd, store.FlagSet{System: store.FlagSeen}, 0)
	if err != nil {
		s.log.Logf(syslog.Problem, "mark %d messages Seen: %v", s.seen.n, err)
	}
	s.seen.forget()
}
