package imap

import (
	"context"
	"errors"

	"tripost/accounts"
	"tripost/syslog"
)

// A session rests on its account's being open and on its password. Both are looked
// at again when the account's records change: who locks an account, or changes a
// password that has become known, wants the sessions gone too.

// watchStanding begins to look for changes of the account that has signed in.
func (s *session) watchStanding(ctx context.Context) {
	s.unwatchStanding = s.srv.cfg.Directory.WatchStanding(s.user.Account, func() {
		s.doubted.Store(true)
		s.c.Wake()
	})
	standing, err := s.srv.cfg.Directory.Standing(ctx, s.user.Account, accounts.IMAP)
	s.standing = standing
	if err != nil {
		s.doubted.Store(true) // which ends the session as soon as it has been answered
	}
}

// confirmStanding ends a session whose account is not what it was at the sign-in.
// That the directory cannot be read is no reason.
func (s *session) confirmStanding(ctx context.Context) error {
	if !s.doubted.Swap(false) {
		return nil
	}
	now, err := s.srv.cfg.Directory.Standing(ctx, s.user.Account, accounts.IMAP)
	switch {
	case errors.Is(err, accounts.ErrNoAccount):
		return &endError{"", "The account has been removed"}
	case errors.Is(err, accounts.ErrLocked):
		return &endError{"", "The account has been locked"}
	case errors.Is(err, accounts.ErrService):
		return &endError{"", "IMAP has been switched off for the account"}
	case err != nil:
		s.log.Logf(syslog.Problem, "look at the account of %s again: %v", s.user.Name, err)
		return nil
	case now != s.standing:
		return &endError{"", "The password has been changed"}
	}
	return nil
}
