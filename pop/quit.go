package pop

import (
	"context"
	"errors"
	"fmt"

	"tripost/store"
	"tripost/syslog"
)

// quit ends the session. Signed in, it enters the UPDATE state and removes the
// messages that are marked, as far as the rights still go; those that others
// have removed already are no failure.
//
// RFC 1939 sections 4 and 6, QUIT.
func (s *session) quit(ctx context.Context, _ string) error {
	ctx = context.WithoutCancel(ctx) // once begun, a shutdown does not cut it short
	err := s.update(ctx)
	if err != nil {
		s.log.Logf(syslog.Problem, "QUIT: %v", err)
		s.no(temporaryCode(err), sayNotRemoved)
		return errQuit
	}
	if s.drop != nil {
		s.expire(ctx)
	}
	s.ok(sayGoodbye, s.Product)
	return errQuit
}

// update removes the marked messages.
func (s *session) update(ctx context.Context) error {
	if s.drop == nil || s.drop.marked == 0 {
		return nil
	}
	if _, err := s.present(ctx); err != nil {
		return err
	}
	removed, err := s.drop.view.Expunge(ctx, s.drop.markedUIDs(), true)
	s.count.deleted = removed.Count()
	s.hold(ctx, s.count.deleted)
	if err != nil {
		return fmt.Errorf("remove %d messages: %w", s.drop.marked, err)
	}
	return nil
}

// temporaryCode is the response code of a failed update: none when the rights
// or the mailbox have gone, else that it is worth another try.
func temporaryCode(err error) string {
	if errors.Is(err, store.ErrNoRight) || errors.Is(err, store.ErrNoMailbox) || errors.Is(err, refusedMoved) {
		return codeNone
	}
	return codeTemporary
}
