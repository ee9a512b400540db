package smtp

import (
	"context"
	"errors"
	"slices"

	"tripost/router"
	"tripost/smtp/queue"
	"tripost/smtp/screen"
)

// rcptTo adds a recipient. The reply says on what ground the address is taken.
//
// RFC 5321 section 4.1.1.3, RCPT; section 4.5.3.1.10 for too many; RFC 3461
// (NOTIFY, ORCPT).
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
	var options queue.RecipientOptions
	for _, p := range params {
		if r := s.rcptParam(&options, p); r.code != 0 {
			return s.refuse(r.code, r.enhanced, r.text)
		}
	}
	if !s.mail.utf8 && !(printableASCII(path) && printableASCII(options.Original)) {
		return s.refuse(errNonASCII.code(), errNonASCII.enhanced(addressee), errNonASCII.Error())
	}
	if s.full(path) {
		return s.refuse(452, "4.5.3", "too many recipients, send the rest in another message")
	}
	return s.admit(path, options)
}

// rcptParam takes a parameter of RCPT: RFC 3461 sections 4.1 and 4.2.
func (s *session) rcptParam(o *queue.RecipientOptions, p param) reply {
	ok := true
	switch p.key {
	case "NOTIFY":
		o.Notify = parseNotify(p.value)
		ok = o.Notify != 0
	case "ORCPT":
		o.Original, ok = parseORCPT(p.value)
	default:
		return unknownParam(p.key)
	}
	switch {
	case !s.knownParam(p.key):
		return unknownParam(p.key)
	case !ok:
		return reply{501, "5.5.4", "malformed value of " + p.key}
	}
	return reply{}
}

// full tells whether the message has as many recipients as it may have, or those
// of a stranger fill the memory that one is given.
func (s *session) full(path string) bool {
	l := &s.server.config.Limits
	known := s.user != nil || s.client
	return len(s.mail.recipients) >= l.Recipients || !known && s.mail.octets+len(path) > l.Envelope
}

// admit asks the queue whether the recipient can be taken.
func (s *session) admit(path string, options queue.RecipientOptions) error {
	ctx := context.WithoutCancel(s.ctx)
	res, why, err := s.server.config.Queue.Check(ctx, path, s.source())
	if err != nil && res.Trap && s.stranger() {
		return s.takeBait(path)
	}
	if err != nil {
		r := replyTo(err)
		s.countRefused(r)
		var refused *queue.RecipientError
		if !errors.As(err, &refused) {
			s.events.failed("check recipient <"+path+">", err)
		}
		s.events.recipientRefused(s.mail.from, path, r)
		return s.refuse(r.code, r.enhanced, r.text)
	}
	if r := s.screenRecipient(path); r.code != 0 {
		s.events.screened(s.mail.from, path, r)
		return s.refuse(r.code, r.enhanced, r.text)
	}
	if !s.mail.share(&res) {
		return s.refuse(452, "4.5.3", "too many shared accounts for one message, send the rest in another")
	}
	s.mail.recipients = append(s.mail.recipients, path)
	s.mail.octets += len(path)
	s.mail.option(options)
	return s.ok(250, "2.1.5", "<"+path+"> "+why)
}

// takeBait takes an address that nobody has but who collects addresses to send
// unwanted mail to: the message is refused when it has come, for everybody.
func (s *session) takeBait(path string) error {
	s.mail.trap = path
	if sc := s.server.config.Screen; sc != nil {
		sc.Trapped(context.WithoutCancel(s.ctx), s.remote)
	}
	s.events.trapped(s.mail.from, path)
	return s.ok(250, "2.1.5", "<"+path+"> accepted")
}

// countRefused counts a recipient that was refused for good.
func (s *session) countRefused(r reply) {
	if sc := s.server.config.Screen; sc != nil && s.stranger() && r.code >= 500 {
		sc.Count(screen.RefusedRecipient, s.remote)
	}
}

// option keeps the options of the recipient that was added last; there are none
// as long as none was given.
func (t *transaction) option(o queue.RecipientOptions) {
	if o == (queue.RecipientOptions{}) {
		return
	}
	for len(t.options) < len(t.recipients)-1 {
		t.options = append(t.options, queue.RecipientOptions{})
	}
	t.options = append(t.options, o)
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
