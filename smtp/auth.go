package smtp

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/emersion/go-sasl"

	"tripost/accounts"
	"tripost/wire"
)

// attempt is this connection as the authenticator sees it. Signing in asks for
// no service: what an account may send where is decided for each recipient.
func (s *session) attempt() accounts.Attempt {
	state := s.conn.TLS()
	return accounts.Attempt{
		Remote:   s.remote,
		Local:    s.conn.Local().Addr(),
		TLS:      state != nil,
		TLSState: state,

		ServerCertificate: s.conn.ServerCertificate(),
		Log:               s.events.log,
	}
}

// mechanisms lists what the client may sign in with now.
func (s *session) mechanisms() []string {
	if s.server.config.Auth == nil || s.user != nil {
		return nil
	}
	return s.server.config.Auth.Mechanisms(s.attempt())
}

// auth signs a user in.
//
// RFC 4954 section 4, AUTH.
func (s *session) auth(arg string) error {
	mechanism, initial, _ := strings.Cut(arg, " ")
	if r := s.authRefusal(mechanism); r.code != 0 {
		return s.refuseSignIn(r)
	}
	var in *accounts.SignedIn
	exchange, err := s.server.config.Auth.SASL(s.ctx, s.attempt(), mechanism, func(who *accounts.SignedIn) { in = who })
	if err != nil {
		return s.signInFailed(err)
	}
	if err := s.converse(exchange, initial); err != nil {
		return s.signInFailed(err)
	}
	if in == nil {
		return s.signInFailed(accounts.ErrUnavailable)
	}
	s.user = in
	s.conn.SetDeadline(time.Time{})
	return s.ok(235, "2.7.0", "signed in as "+in.Account.Address())
}

// authRefusal tells why no exchange can begin now; the zero reply: it can.
func (s *session) authRefusal(mechanism string) reply {
	switch {
	case s.user != nil:
		return reply{503, "5.5.1", "signed in already"}
	case s.mail != nil:
		return reply{503, "5.5.1", "not during a mail transaction"}
	case mechanism == "":
		return reply{501, "5.5.4", "AUTH needs a mechanism"}
	case s.server.config.Auth == nil:
		return reply{502, "5.5.1", "nobody can sign in here"}
	}
	return reply{}
}

// refuseSignIn replies, and ends the session when the client has sent its
// responses already.
func (s *session) refuseSignIn(r reply) error {
	if err := s.refuse(r.code, r.enhanced, r.text); err != nil {
		return err
	}
	return s.guardAhead("AUTH")
}

// Errors of an exchange that are the client's.
var (
	errCancelled = errors.New("sign-in cancelled")
	errBase64    = errors.New("not base64")
	errTooLong   = errors.New("response too long")
)

// signInFailed replies to a failed exchange, or passes on the error of a
// connection. The authenticator has logged the reason.
func (s *session) signInFailed(err error) error {
	var broken *brokenError
	switch {
	case errors.As(err, &broken):
		return broken.err
	case errors.Is(err, errCancelled):
		return s.refuseSignIn(reply{501, "5.7.0", "sign-in cancelled"})
	case errors.Is(err, errBase64):
		return s.refuseSignIn(reply{501, "5.5.2", "response is not base64"})
	case errors.Is(err, errLineEnd):
		return s.refuseSignIn(reply{501, "5.5.2", errLineEnd.Error()})
	case errors.Is(err, errTooLong):
		return s.refuseSignIn(reply{500, "5.5.6", "response too long"})
	}
	return s.refuseSignIn(replyToSignIn(err))
}

// brokenError is a failure of the connection within an exchange.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// converse carries an exchange to its end.
func (s *session) converse(exchange sasl.Server, initial string) error {
	var response []byte // nil: none was sent
	if initial != "" {
		var err error
		if response, err = decodeResponse(initial); err != nil {
			return err
		}
	}
	for {
		challenge, done, err := exchange.Next(response)
		if err != nil {
			return err
		}
		if done {
			return nil
		}
		s.write(334, "", base64.StdEncoding.EncodeToString(challenge))
		if response, err = s.readResponse(); err != nil {
			return err
		}
	}
}

// readResponse reads a line of the exchange, which never gets into a log.
func (s *session) readResponse() ([]byte, error) {
	s.conn.Secret(true)
	line, err := s.conn.ReadLine(s.server.config.Limits.AuthLine)
	s.conn.Secret(false)
	switch {
	case errors.Is(err, wire.ErrLineTooLong):
		return nil, errTooLong
	case err != nil:
		return nil, &brokenError{err}
	}
	s.events.response()
	if s.conn.BareLF() {
		return nil, errLineEnd
	}
	return decodeResponse(string(line))
}

// decodeResponse decodes a response; "=" stands for an empty one where an
// initial response would be missing otherwise, and "*" cancels.
func decodeResponse(line string) ([]byte, error) {
	switch line {
	case "*":
		return nil, errCancelled
	case "=":
		return []byte{}, nil
	}
	b, err := base64.StdEncoding.AppendDecode([]byte{}, []byte(line))
	if err != nil {
		return nil, errBase64
	}
	return b, nil
}
