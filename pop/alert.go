package pop

import (
	"context"
	"errors"
	"fmt"

	"tripost/accounts"
	"tripost/syslog"
)

// Alerts hands out the texts that a user must see at sign-in: the alerts, as
// this package sees them.
type Alerts interface {
	// Take returns the text of the next alert for an account and counts it as
	// shown; ok is false when there is none. Where it could not be shown after
	// all, giveBack makes it due again.
	Take(ctx context.Context, a accounts.Account) (text string, giveBack func(), ok bool, err error)
}

// errAlert ends a sign-in whose answer was an alert.
var errAlert = errors.New("an alert was shown instead of the maildrop")

// showAlert answers a sign-in with the next alert of the account, if there is
// one: POP has no other way to make a mail program show a text. The password was
// right, so the reply is no [AUTH], and the next attempt shows the next alert or
// opens the maildrop. Alerts are those of the account that signed in, whatever
// mailbox its login name selects.
//
// It returns errAlert when it has answered. A failing alert store is no reason
// to keep users from their mail.
func (s *session) showAlert(ctx context.Context, a accounts.Account) error {
	if s.Alerts == nil {
		return nil
	}
	text, giveBack, ok, err := s.Alerts.Take(ctx, a)
	if err != nil {
		s.log.Logf(syslog.Problem, "look for alerts for %s: %v", a.Address(), err)
		return nil
	}
	if !ok {
		return nil
	}
	s.no(codeTemporary, sayAlert, oneLine(text))
	if err := s.conn.Flush(); err != nil {
		giveBack()
		return connectionError{fmt.Errorf("send an alert: %w", err)}
	}
	return errAlert
}
