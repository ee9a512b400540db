package imap

import (
	"context"
	"errors"
	"time"

	"tripost/wire"
)

// idling is an IDLE under way.
type idling struct {
	tag   string
	row   *row
	until time.Time // when the client must have said something
	stop  func()    // ends the watch of the selected mailbox; nil: there is none
}

// idle begins to tell of changes as they happen, until the client says DONE.
// RFC 2177.
//
// The command comes back without a completion: session.wait waits for changes and
// for DONE, and session.serve deals with either.
func (s *session) idle(_ context.Context, cmd *command) (completion, error) {
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	s.idling = &idling{tag: cmd.tag, row: cmd.row, until: time.Now().Add(s.srv.cfg.Timeouts.Idle)}
	if s.view != nil {
		s.idling.stop = s.view.Watch(s.c.Wake)
	}
	s.proceed("idling")
	return completion{}, nil
}

// waitIdling waits in IDLE as long as the client may be silent, and lets it hear of
// the server from time to time: connections on which nothing moves are cut by what
// lies between the two, and neither side would know.
func (s *session) waitIdling(ctx context.Context) error {
	for {
		left := time.Until(s.idling.until)
		if left <= 0 {
			return wire.ErrIdle
		}
		s.c.SetReadTimeout(min(left, s.srv.cfg.Timeouts.StillHere))
		err := s.c.WaitInput(ctx, nil)
		if !errors.Is(err, wire.ErrIdle) || time.Until(s.idling.until) <= 0 {
			return err
		}
		s.untagged("OK", "", "Still here")
		if err := s.c.Flush(); err != nil {
			return broken(err)
		}
	}
}

// endIdle reads the line that ends IDLE and answers the command.
func (s *session) endIdle(ctx context.Context) error {
	cmd := newCommand()
	defer cmd.release()
	cmd.tag, cmd.row = s.idling.tag, s.idling.row
	s.stopIdling()
	line, err := s.readReply(cmd, s.lineLimit())
	if err == nil && !equalFold(line, "DONE") {
		err = s.refuseLine(cmd, line, refuse(bad("Expected DONE")))
	}
	return s.answer(ctx, cmd, ok("Done"), err)
}

// stopIdling ends an IDLE, if there is one.
func (s *session) stopIdling() {
	if s.idling != nil && s.idling.stop != nil {
		s.idling.stop()
	}
	s.idling = nil
}
