package imap

import (
	"context"
	"strings"

	"tripost/accounts"
	"tripost/store"
	"tripost/syslog"
)

// Alerts hands out the texts that a user must see: the alerts, as this package
// sees them.
type Alerts interface {
	// Take returns the text of the oldest alert that an account has not been
	// shown, and counts it as shown; ok is false when there is none. Where it
	// could not be shown after all, giveBack makes it due again.
	Take(ctx context.Context, a accounts.Account) (text string, giveBack func(), ok bool, err error)
	// Watch calls wake, which does not block, when there may be alerts for an
	// account that were not there before, until stop is called.
	Watch(id store.AccountID, wake func()) (stop func())
}

// watchAlerts begins to look for alerts of the account that has signed in, whatever
// mailboxes it opens. Those that are due already are told with the response to the
// sign-in.
func (s *session) watchAlerts() {
	if s.srv.cfg.Alerts == nil {
		return
	}
	s.alerted.Store(true)
	s.unwatchAlerts = s.srv.cfg.Alerts.Watch(s.user.Account, func() {
		s.alerted.Store(true)
		s.c.Wake() // in IDLE they are told at once; else session.wait goes on waiting
	})
}

// tellAlerts writes the alerts that are due, the oldest first, each as an untagged
// OK [ALERT], which the client must show its user (RFC 3501 section 7.1). One that
// cannot be written is given back, and the session ends.
//
// A failing alert store is no reason to keep users from their mail.
func (s *session) tellAlerts(ctx context.Context) error {
	if !s.alerted.Load() {
		return nil
	}
	account, err := s.srv.cfg.Directory.AccountByID(ctx, s.user.Account)
	if err != nil {
		s.alerted.Store(false) // once in the log is enough
		s.log.Logf(syslog.Problem, "look for alerts for %s: %v", s.user.Name, err)
		return nil
	}
	for s.alerted.Swap(false) {
		if err := s.takeAlerts(ctx, account); err != nil {
			return err
		}
	}
	return nil
}

// takeAlerts writes what is due now.
func (s *session) takeAlerts(ctx context.Context, account accounts.Account) error {
	for {
		text, giveBack, ok, err := s.srv.cfg.Alerts.Take(ctx, account)
		switch {
		case err != nil:
			s.log.Logf(syslog.Problem, "look for alerts for %s: %v", s.user.Name, err)
			return nil
		case !ok:
			return nil
		}
		s.untagged("OK", "ALERT", oneLine(text))
		if err := s.c.Flush(); err != nil {
			giveBack()
			return broken(err)
		}
	}
}

// oneLine makes a text that may hold anything fit for a response.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}
