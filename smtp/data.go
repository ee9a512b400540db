package smtp

import (
	"context"
	"errors"
	"io"

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
	if s.mail.binary { // RFC 3030 section 3
		if err := s.refuse(503, "5.6.1", "a message of BINARYMIME comes by BDAT alone"); err != nil {
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
	clock := s.pace(nil)
	defer clock.end()
	out := s.submit(mail, pacedData{body, clock})
	if out.err == nil {
		return s.answer(mail, out)
	}
	clock.end() // what is dropped may take its time, and is not worth more rules
	switch fault := body.Drain(); {
	case fault == nil:
	case faultOfData(fault):
		out.err = fault // the client can mend that, whatever else went wrong
	default:
		return fault // the connection failed: nobody is there to reply to
	}
	return s.answer(mail, out)
}

// outcome is what became of a message.
type outcome struct {
	receipt queue.Receipt
	refused []*queue.RecipientError // by recipient, in LMTP
	err     error                   // about all recipients
}

// submit hands a message to the queue. In LMTP each recipient is decided on by
// itself.
func (s *session) submit(mail *transaction, body io.Reader) (out outcome) {
	ctx := context.WithoutCancel(s.ctx)
	if mail.trap != "" {
		out.err = &queue.Refusal{Code: 550, Enhanced: "5.7.1", Reason: "refused as unwanted"}
		return out
	}
	env := s.envelope(mail)
	if s.lmtp() {
		out.receipt, out.refused, out.err = s.server.config.Queue.SubmitEach(ctx, env, body)
	} else {
		out.receipt, out.err = s.server.config.Queue.Submit(ctx, env, body)
	}
	return out
}

// answer replies to the message: with one reply, or in LMTP with one for each
// recipient, in the order of their RCPT (RFC 2033 section 4.2).
func (s *session) answer(mail *transaction, out outcome) error {
	if out.err != nil {
		s.events.messageRefused(mail.from, replyTo(out.err), out.err)
	} else {
		s.events.received(out.receipt.ID, s.protocol(mail))
	}
	if !s.lmtp() {
		return s.answerOne(out.receipt, out.err)
	}
	for i := range mail.recipients {
		err := out.err
		if err == nil && out.refused[i] != nil {
			err = out.refused[i]
			s.events.recipientRefused(mail.from, mail.recipients[i], replyTo(err))
		}
		if err := s.answerOne(out.receipt, err); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) answerOne(receipt queue.Receipt, err error) error {
	if err == nil {
		return s.ok(250, "2.0.0", receipt.ID+" message accepted for delivery")
	}
	r := replyTo(err)
	if s.lmtp() { // the client waits for as many replies as it has recipients
		s.write(r.code, r.enhanced, r.text)
		return nil
	}
	return s.refuse(r.code, r.enhanced, r.text)
}

// envelope is what the queue gets with the body.
func (s *session) envelope(mail *transaction) queue.Envelope {
	source := s.source()
	source.Protocol = s.protocol(mail)
	return queue.Envelope{
		From:       mail.from,
		Recipients: mail.recipients,
		Source:     source,
		Submission: s.user != nil || s.client && !s.lmtp(),
		Size:       mail.size,
		Body8Bit:   mail.body8Bit,
		SMTPUTF8:   mail.utf8,
		Return:     mail.returns,
		EnvelopeID: mail.envelopeID,
		RequireTLS: mail.requireTLS,
		Options:    mail.options,
		Inspector:  s.inspector(mail),
	}
}

// faultOfData tells the errors of mail data, after which the session goes on.
func faultOfData(err error) bool {
	return errors.Is(err, wire.ErrBareCR) || errors.Is(err, wire.ErrBareLF) ||
		errors.Is(err, wire.ErrNUL) || errors.Is(err, wire.ErrDataTooLong)
}
