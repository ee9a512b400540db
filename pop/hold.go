package pop

import (
	"context"
	"fmt"
	"time"

	"tripost/store"
	"tripost/syslog"
)

// Hold says when a session has deleted so much that the owner of the mailbox is
// told: one office computer that is set to delete what it downloads empties the
// mailbox that all share. The zero value is never.
type Hold struct {
	Messages int           // the mailbox had more than so many
	Percent  int           // and more than so many of a hundred were removed; 0: never
	Keep     time.Duration // how long removed messages can be restored, for the text
}

// Notices takes texts for the owner of a mailbox: the alerts, as this package
// sees them.
type Notices interface {
	Post(ctx context.Context, owner store.AccountID, text string) error
}

// hold tells the owner of a mailbox when a session has removed most of it. The
// messages have left the maildrop, as the client wanted, and can be restored in
// the order in which they lay. That the owner cannot be told is a matter for the log.
func (s *session) hold(ctx context.Context, removed int) {
	if removed == 0 || s.Notices == nil {
		return
	}
	h, box, total := s.Hold, s.drop.view.Mailbox(), s.drop.view.Len()
	if s.HoldOf != nil {
		h = s.HoldOf(ctx, box.Account)
	}
	if h.Percent <= 0 || total <= h.Messages || removed*100 <= total*h.Percent {
		return
	}
	text := fmt.Sprintf("%d of %d messages were removed from %s by a POP session of %s from %v at %s.",
		removed, total, box.Name, s.in.Account.Address(), s.conn.Remote().Addr(), time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	if h.Keep > 0 {
		text += fmt.Sprintf(" The administrator can restore them until %s.", time.Now().Add(h.Keep).UTC().Format("2006-01-02"))
	}
	s.log.Logf(syslog.Major, "HOLD: %s", text)
	if err := s.Notices.Post(ctx, box.Account, text); err != nil {
		s.log.Logf(syslog.Problem, "HOLD: tell the owner of %q: %v", box.Name, err)
	}
}
