package smtp

import (
	"context"
	"errors"

	"tripost/smtp/queue"
	"tripost/wire"
)

// data takes the message and submits it. Whatever becomes of it, the data is
// read to its end, so that none of it is taken for a command.
//
// RFC 5321 section 4.1.1.4, DATA.
func (s *session) data(arg string) error {
	if arg != "" {
		if err := s.refuse(501, "5.5.4", "DATA takes no argument"); err != nil {
			return err
		}
		return s.guardAhead("DATA")
	}
	mail := s.mail
	s.mail = nil
	s.write(354, "", `Enter mail, end with "." on a line by itself`)

	s.conn.SetReadTimeout(s.server.config.Timeouts.Data)
	defer s.conn.SetReadTimeout(s.server.config.Timeouts.Command)
	body := s.conn.Data(s.server.config.Limits.MessageSize)
	receipt, err := s.server.config.Queue.Submit(context.WithoutCancel(s.ctx), s.envelope(mail), body)
	if err == nil {
		s.events.received(receipt.ID, s.protocol())
		return s.ok(250, "2.0.0", receipt.ID+" message accepted for delivery")
	}
	switch fault := body.Drain(); {
	case fault == nil:
	case faultOfData(fault):
		err = fault // the client can mend that, whatever else went wrong
	default:
		return fault // the connection failed: nobody is there to reply to
	}
	r := replyTo(err)
	s.events.messageRefused(mail.from, r, err)
	return s.refuse(r.code, r.enhanced, r.text)
}

// envelope is what the queue gets with the body.
func (s *session) envelope(mail *transaction) queue.Envelope {
	return queue.Envelope{
		From:       mail.from,
		Recipients: mail.recipients,
		Source:     s.source(),
		Submission: s.user != nil || s.client,
		Size:       mail.size,
		Body8Bit:   mail.body8Bit,
	}
}

// faultOfData tells the errors of mail data, after which the session goes on.
func faultOfData(err error) bool {
	return errors.Is(err, wire.ErrBareCR) || errors.Is(err, wire.ErrBareLF) ||
		errors.Is(err, wire.ErrNUL) || errors.Is(err, wire.ErrDataTooLong)
}
