package imap

import (
	"context"
	"time"

	"tripost/store"
)

// unauthenticate takes the session back to where it was before sign-in. TLS and
// compression stay. RFC 8437.
func (s *session) unauthenticate(_ context.Context, cmd *command) (completion, error) {
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	s.signOff()
	return okCode("CAPABILITY "+s.capabilities(), "Signed off"), nil
}

// signOff forgets the user and all that the session had for that user.
func (s *session) signOff() {
	s.leave()
	s.unwatchAlerts, s.unwatchStanding = nil, nil
	s.alerted.Store(false)
	s.doubted.Store(false)
	s.user, s.only = store.Identity{}, ""
	s.hidden = ""
	s.features = 0
	s.comparator = defaultComparator
	s.lost = false
	s.state = notAuthenticated
	s.c.SetDeadline(time.Now().Add(s.srv.cfg.Timeouts.SignIn))
}
