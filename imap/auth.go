package imap

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/emersion/go-sasl"

	"tripost/accounts"
	"tripost/syslog"
)

// startTLS begins TLS after its OK. What the client sent in clear behind the
// command is dropped by wire. RFC 3501 section 6.2.1.
func (s *session) startTLS(_ context.Context, cmd *command) (completion, error) {
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	if s.c.TLS() != nil {
		return bad("TLS is on already"), nil
	}
	if !s.c.CanTLS() {
		return no("UNAVAILABLE", "TLS is not available"), nil
	}
	done := ok("Begin TLS negotiation now")
	done.then = func(ctx context.Context) error { return broken(s.c.StartTLS(ctx)) }
	return done, nil
}

// login signs in with a name and a password. RFC 3501 section 6.2.3.
func (s *session) login(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	name := string(p.listMailbox()) // '%' may stand for '@', and not every client quotes it
	p.space()
	password := string(p.listMailbox())
	if err := p.end(); err != nil {
		return completion{}, err
	}
	if !s.srv.cfg.Auth.Allowed(s.attempt()) {
		return s.signInFailed(accounts.ErrInsecure)
	}
	user, err := s.srv.cfg.Auth.Password(ctx, s.attempt(), "LOGIN", name, password)
	if err != nil {
		return s.signInFailed(err)
	}
	return s.signIn(ctx, user), nil
}

// authenticate signs in by a SASL exchange, the client's first response with the
// command (RFC 4959) or not. RFC 3501 section 6.2.2.
func (s *session) authenticate(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	mechanism := p.word()
	var initial []byte
	var given bool
	if p.accept(' ') {
		given = true
		if !p.accept('=') {
			initial = p.base64()
		}
	}
	if err := p.end(); err != nil {
		return completion{}, err
	}
	var user *accounts.SignedIn
	exchange, err := s.srv.cfg.Auth.SASL(ctx, s.attempt(), mechanism, func(u *accounts.SignedIn) { user = u })
	if err != nil {
		return s.signInFailed(err)
	}
	if given && initial == nil {
		initial = []byte{} // "=": an empty response, not none
	}
	if err := s.exchange(cmd, exchange, initial); err != nil {
		return s.signInFailed(err)
	}
	if user == nil {
		return s.signInFailed(accounts.ErrCredentials)
	}
	return s.signIn(ctx, user), nil
}

// maxSteps bounds the steps of a SASL exchange.
const maxSteps = 10

// exchange runs a SASL exchange to its end.
func (s *session) exchange(cmd *command, server sasl.Server, response []byte) error {
	for range maxSteps {
		challenge, done, err := server.Next(response)
		if err != nil {
			return err
		}
		if done && len(challenge) == 0 {
			return nil
		}
		if response, err = s.ask(cmd, challenge); err != nil {
			return err
		}
		if done { // the last challenge was the server's proof; the answer to it is empty
			return nil
		}
	}
	return accounts.ErrMalformed
}

// ask sends a challenge and reads the response to it.
func (s *session) ask(cmd *command, challenge []byte) ([]byte, error) {
	s.proceed(base64.StdEncoding.EncodeToString(challenge))
	line, err := s.readReply(cmd, s.srv.cfg.Limits.SASL)
	if err != nil {
		return nil, err
	}
	if string(line) == "*" {
		return nil, refuse(bad("Exchange cancelled"))
	}
	response := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Decode(response, line)
	if err != nil {
		return nil, s.refuseLine(cmd, line, refuse(bad("The response is not base64")))
	}
	return response[:n], nil
}

// base64 consumes the rest of the command as base64.
func (p *parser) base64() []byte {
	text := p.b[p.i:]
	p.i = len(p.b)
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(data, text)
	if err != nil {
		p.fail("The initial response is not base64")
		return nil
	}
	return data[:n]
}

// signIn takes the session to the authenticated state.
func (s *session) signIn(ctx context.Context, user *accounts.SignedIn) completion {
	s.user, s.only = user.Identity, user.Individual
	s.user.Actor.Client = s.client
	s.hidden = s.hiddenFrom(ctx, user)
	s.state = authenticated
	s.failures = 0
	s.watchAlerts()
	s.watchStanding(ctx)
	s.c.SetDeadline(time.Time{})
	return okCode("CAPABILITY "+s.capabilities(), user.Account.Address()+" signed in")
}

// hiddenFrom returns which capabilities the user's client is not told of. While that
// cannot be read, it is told of all.
func (s *session) hiddenFrom(ctx context.Context, user *accounts.SignedIn) accounts.Hidden {
	p, err := s.srv.cfg.Directory.Policy(ctx, user.Account.ID)
	if err != nil {
		s.log.Logf(syslog.Problem, "reading the policy of %s: %v", user.Account.Address(), err)
	}
	return p.IMAPHide.Or("")
}

// signInFailed answers a failed sign-in. Too many end the session.
func (s *session) signInFailed(err error) (completion, error) {
	var r *refusal
	if isConnError(err) || errors.As(err, &r) {
		return completion{}, err
	}
	if s.failures++; s.failures >= s.srv.cfg.Limits.Failures {
		return s.lastFailure(err), nil
	}
	return authResponse(err), nil
}

// lastFailure answers the sign-in with which the limit was reached.
func (s *session) lastFailure(err error) completion {
	done := authResponse(err)
	done.then = func(context.Context) error { return &endError{"", "Too many failed sign-ins"} }
	return done
}

// authResponse turns an error of a sign-in into its response. Which of name and
// password was wrong is not told.
func authResponse(err error) completion {
	switch {
	case errors.Is(err, accounts.ErrInsecure):
		return no("PRIVACYREQUIRED", "A password needs an encrypted connection: use STARTTLS first")
	case errors.Is(err, accounts.ErrMechanism):
		return no("CANNOT", "No such mechanism here")
	case errors.Is(err, accounts.ErrMalformed):
		return bad("Malformed SASL response")
	case errors.Is(err, accounts.ErrService):
		return no("AUTHORIZATIONFAILED", "IMAP is switched off for this account")
	case errors.Is(err, accounts.ErrUnavailable), errors.Is(err, context.Canceled):
		return no("UNAVAILABLE", "Sign-in is not possible at the moment")
	default:
		return no("AUTHENTICATIONFAILED", "Wrong name or password")
	}
}
