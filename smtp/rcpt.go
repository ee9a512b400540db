package smtp

import (
	"context"
	"errors"
	"slices"

	"tripost/router"
	"tripost/smtp/queue"
)

// rcptTo adds a recipient. The reply says on what ground the address is taken.
//
// RFC 5321 section 4.1.1.3, RCPT; section 4.5.3.1.10 for too many.
func (s *session) rcptTo(arg string) error {
	rest, ok := cutKeyword(arg, "TO:")
	if !ok {
		return s.refuse(501, "5.5.2", "use RCPT TO:<address>")
	}
	path, rest, err := parseForwardPath(rest)
	if err != nil {
		return s.refuse(err.code(), err.enhanced(addressee), err.Error())
	}
	params, perr := parseParams(rest)
	if perr != nil {
		return s.refuse(501, "5.5.4", perr.Error())
	}
	if len(params) > 0 {
		return s.refuse(555, "5.5.4", "parameter "+params[0].key+" is not known here")
	}
	if s.full(path) {
		return s.refuse(452, "4.5.3", "too many recipients, send the rest in another message")
	}
	return s.admit(path)
}

// full tells whether the message has as many recipients as it may have, or those
// of a stranger fill the memory that one is given.
func (s *session) full(path string) bool {
	l := &s.server.config.Limits
	known := s.user != nil || s.client
	return len(s.mail.recipients) >= l.Recipients || !known && s.mail.octets+len(path) > l.Envelope
}

// admit asks the queue whether the recipient can be taken.
func (s *session) admit(path string) error {
	ctx := context.WithoutCancel(s.ctx)
	res, why, err := s.server.config.Queue.Check(ctx, path, s.source())
	if err != nil {
		r := replyTo(err)
		var refused *queue.RecipientError
		if !errors.As(err, &refused) {
			s.events.failed("check recipient <"+path+">", err)
		}
		s.events.recipientRefused(s.mail.from, path, r)
		return s.refuse(r.code, r.enhanced, r.text)
	}
	if !s.mail.share(&res) {
		return s.refuse(452, "4.5.3", "too many shared accounts for one message, send the rest in another")
	}
	s.mail.recipients = append(s.mail.recipients, path)
	s.mail.octets += len(path)
	return s.ok(250, "2.1.5", "<"+path+"> "+why)
}

// share counts the shared accounts among the recipients, of which the queue
// takes so many in one message.
func (t *transaction) share(res *router.Result) bool {
	if res.Individual == "" || slices.Contains(t.shared, res.Account.ID) {
		return true
	}
	if len(t.shared) >= queue.MaxShared {
		return false
	}
	t.shared = append(t.shared, res.Account.ID)
	return true
}
