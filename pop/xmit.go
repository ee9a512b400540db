package pop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"tripost/wire"
)

// xtnd sends a message: XTND XMIT. The client transmits it as RETR would, with
// a dot to end it, and gets one answer for the whole: taken for all recipients
// that the header names, or for none. What does not end where CRLF.CRLF stands,
// or could be read to end elsewhere, is refused after its true end, so that no
// octet of a message is taken for a command.
//
// XTND is of RFC 1082; XMIT has no RFC.
func (s *session) xtnd(ctx context.Context, arg string) error {
	switch {
	case !strings.EqualFold(arg, "XMIT"):
		return s.no(codeNone, sayOnlyXMIT)
	case s.Submit == nil:
		return s.no(codeNone, saySendingOff)
	}
	s.ok(saySend)
	data := s.conn.Data(s.Limits.Message)
	id, m, err := s.submit(ctx, data)
	dataErr := data.Drain()
	switch {
	case dataErr != nil && !isDataRefusal(dataErr):
		return fmt.Errorf("read the message to send: %w", dataErr)
	case dataErr != nil:
		err = dataErr
	}
	if err != nil {
		s.logRefused(err)
		return s.say(replyToSubmit(err))
	}
	s.count.submitted++
	s.logReceived(id, m)
	return s.ok(sayAccepted, id)
}

// submit reads a message and hands it over. It is not cut short when the server
// is being stopped: the client would not know whether the message was taken.
func (s *session) submit(ctx context.Context, data io.Reader) (id string, _ *Submission, _ error) {
	ctx = context.WithoutCancel(ctx)
	header, rest, err := readHeader(data, s.Limits.Header)
	if err != nil {
		return "", nil, err
	}
	c := composer{
		account:    s.in.Account,
		own:        func(local, domain string) (bool, error) { return s.ownAddress(ctx, local, domain) },
		recipients: s.Limits.Recipients,
	}
	header, err = c.compose(header)
	if err != nil {
		return "", nil, err
	}
	m := &Submission{
		From:       s.in.Account.Address(),
		Recipients: c.list,
		Account:    s.in.Account,
		Remote:     s.conn.Remote().Addr(),
		Local:      s.conn.Local().Addr(),
		TLS:        s.conn.TLS() != nil,
		UTF8:       c.utf8,
		Log:        s.log,
	}
	id, err = s.Submit.Submit(ctx, *m, io.MultiReader(bytes.NewReader(header), bytes.NewReader(rest), data))
	return id, m, err
}

// isDataRefusal tells errors in the octets of a message, after which the
// session goes on, from those of the connection.
func isDataRefusal(err error) bool {
	for _, e := range []error{wire.ErrBareCR, wire.ErrBareLF, wire.ErrNUL, wire.ErrDataTooLong} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// replyToSubmit turns a refused message into what the client is told.
func replyToSubmit(err error) *refusal {
	var (
		r *refusal
		e *SubmitError
	)
	switch {
	case errors.Is(err, wire.ErrBareCR), errors.Is(err, wire.ErrBareLF):
		return refuse(sayRefused, sayLinesEndCRLF)
	case errors.Is(err, wire.ErrNUL):
		return refuse(sayRefused, sayHoldsNUL)
	case errors.Is(err, wire.ErrDataTooLong):
		return refuse(sayRefused, sayTooLarge)
	case errors.Is(err, errHeaderTooLong):
		return refuse(sayRefused, sayHeaderTooLarge)
	case errors.As(err, &r):
		return refuse(sayRefused, r)
	case errors.As(err, &e) && e.Permanent:
		return refuse(sayRefused, oneLine(e.Text))
	case errors.As(err, &e):
		return refuseWith(codeTemporary, sayNotTaken, oneLine(e.Text))
	default:
		return refuseWith(codeTemporary, sayNotTakenLater)
	}
}

// oneLine makes a text that may hold anything fit for a reply.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}
