package pop

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"

	"tripost/accounts"
	"tripost/syslog"
	"tripost/wire"
)

// maxSteps bounds a SASL exchange; no mechanism needs half as many.
const maxSteps = 10

var (
	errCancelled  = refuse(sayCancelled)
	errNotBase64  = refuse(sayNotBase64)
	errSASLLine   = refuse(sayResponseTooLong)
	errManySteps  = refuse(sayNoEnd)
	errEmptyFinal = refuse(sayEmptyDue)
)

// auth signs in by a SASL mechanism, or, without an argument, lists those that
// would work on this connection now.
//
// RFC 5034 section 4, AUTH; RFC 1734 for the form without an initial response.
func (s *session) auth(ctx context.Context, arg string) error {
	s.name = ""
	if arg == "" {
		return s.listMechanisms()
	}
	mechanism, initial, hasInitial := strings.Cut(arg, " ")
	var in *accounts.SignedIn
	server, err := s.Auth.SASL(ctx, s.attempt(), strings.ToUpper(mechanism), func(r *accounts.SignedIn) { in = r })
	if err != nil {
		return s.refuseSignIn(ctx, err)
	}
	response, err := initialResponse(initial, hasInitial)
	if err != nil {
		return s.refuseSignIn(ctx, err)
	}
	err = s.exchange(server, response)
	switch {
	case isConnectionError(err) && ctx.Err() != nil:
		return s.shutdown()
	case isConnectionError(err):
		return err
	}
	if err == nil && in == nil {
		err = accounts.ErrMalformed
	}
	return s.finishSignIn(ctx, in, err)
}

// listMechanisms is the answer to AUTH alone, as clients older than CAPA know
// it.
func (s *session) listMechanisms() error {
	s.ok(sayMechanisms)
	b := s.conn.Out()
	for _, m := range s.Auth.Mechanisms(s.attempt()) {
		b = append(b, m...)
		b = append(b, "\r\n"...)
	}
	s.conn.Done(append(b, ".\r\n"...))
	return nil
}

// initialResponse decodes the initial response: nil when there is none, empty
// for "=".
func initialResponse(arg string, has bool) ([]byte, error) {
	switch {
	case !has:
		return nil, nil
	case arg == "=":
		return []byte{}, nil
	}
	return decodeResponse([]byte(arg))
}

// exchange runs challenges and responses until the mechanism is done.
func (s *session) exchange(server sasl.Server, response []byte) error {
	for range maxSteps {
		challenge, done, err := server.Next(response)
		if err != nil {
			return err
		}
		if done && len(challenge) == 0 {
			return nil
		}
		response, err = s.ask(challenge)
		switch {
		case err != nil:
			return err
		case done && len(response) > 0: // what came with the success was only to be taken note of
			return errEmptyFinal
		case done:
			return nil
		}
	}
	return errManySteps
}

// connectionError is an error that leaves nobody to answer to.
type connectionError struct{ error }

func (e connectionError) Unwrap() error { return e.error }

func isConnectionError(err error) bool {
	var c connectionError
	return errors.As(err, &c)
}

// ask sends a challenge and reads the response to it.
func (s *session) ask(challenge []byte) ([]byte, error) {
	b := append(s.conn.Out(), "+ "...)
	b = base64.StdEncoding.AppendEncode(b, challenge)
	s.conn.Done(append(b, "\r\n"...))
	line, err := s.conn.ReadLine(s.Limits.AuthLine)
	s.log.Log(syslog.Protocol, "cmd: ***")
	switch {
	case errors.Is(err, wire.ErrLineTooLong):
		return nil, errSASLLine
	case err != nil:
		return nil, connectionError{fmt.Errorf("read a SASL response: %w", err)}
	case bytes.Equal(line, []byte("*")):
		return nil, errCancelled
	}
	return decodeResponse(line)
}

// decodeResponse decodes base64, never to nil, which would mean that there is
// no response.
func decodeResponse(b []byte) ([]byte, error) {
	out, err := base64.StdEncoding.Strict().AppendDecode([]byte{}, b)
	if err != nil || bytes.IndexByte(b, '\r') >= 0 {
		return nil, errNotBase64
	}
	return out, nil
}
