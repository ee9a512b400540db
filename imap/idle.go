package imap

import (
	"context"
)

// idling is an IDLE under way.
type idling struct {
	tag  string
	row  *row
	stop func() // ends the watch of the selected mailbox; nil: there is none
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
	s.idling = &idling{tag: cmd.tag, row: cmd.row}
	if s.view != nil {
		s.idling.stop = s.view.Watch(s.c.Wake)
	}
	s.proceed("idling")
	return completion{}, nil
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
