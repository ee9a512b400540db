package imap

import (
	"context"
	"errors"

	"tripost/wire"
)

// idle tells of changes as they happen, until the client says DONE. RFC 2177.
func (s *session) idle(ctx context.Context, cmd *command) (completion, error) {
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	if s.view != nil {
		stop := s.view.Watch(s.c.Wake)
		defer stop()
	}
	cmd.buf, cmd.args = nil, parser{} // the session may idle for long
	s.c.SetReadTimeout(s.srv.cfg.Timeouts.Idle)
	s.proceed("idling")
	for {
		if err := s.tellChanges(ctx, false); err != nil {
			return completion{}, err
		}
		switch err := s.c.WaitInput(ctx, nil); {
		case errors.Is(err, wire.ErrWoken):
			s.stale = true // whatever Changed says: it may hear of the commit a moment later
		case err != nil:
			return completion{}, broken(err)
		default:
			return s.endIdle(cmd)
		}
	}
}

// endIdle reads the line that ends IDLE.
func (s *session) endIdle(cmd *command) (completion, error) {
	line, err := s.readReply(cmd, s.lineLimit())
	if err == nil && !equalFold(line, "DONE") {
		err = s.refuseLine(cmd, line, refuse(bad("Expected DONE")))
	}
	return ok("Done"), err
}
