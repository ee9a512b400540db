package accounts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// The SASL mechanisms, by their registered names.
const (
	mechPlain = "PLAIN"         // RFC 4616
	mechLogin = "LOGIN"         // draft-murchison-sasl-login: older mail programs know no other
	mechSCRAM = "SCRAM-SHA-256" // RFC 5802, RFC 7677
)

// maxResponse bounds the octets of one client response, decoded.
const maxResponse = 4096

// Mechanisms lists the SASL mechanisms that would work on this connection now,
// the best first.
func (a *Authenticator) Mechanisms(at Attempt) []string {
	if a.Allowed(at) {
		return []string{mechSCRAM, mechPlain, mechLogin}
	}
	return []string{mechSCRAM}
}

// SASL starts an exchange. The caller hands each decoded client response to
// Next, nil where the client sent none yet, and sends the challenges; an
// exchange that the client cancels is simply dropped. After Next has returned
// an error or done, the exchange is over. done is called with the result just
// before the Next that ends a successful exchange returns.
//
// ErrMechanism: we do not have the mechanism. ErrInsecure: not on this
// connection. Next returns the errors that [Authenticator.Password] returns,
// and ErrMalformed.
func (a *Authenticator) SASL(ctx context.Context, at Attempt, mechanism string, done func(*SignedIn)) (sasl.Server, error) {
	c := conversation{ctx: ctx, exchange: a.begin(at, strings.ToUpper(mechanism), ""), done: done}
	switch c.exchange.mechanism {
	case mechPlain:
		c.step = c.plain
	case mechLogin:
		c.step = c.loginName
	case mechSCRAM:
		c.step = c.scramFirst
		return &c, nil
	default:
		return nil, fmt.Errorf("%w: %q", ErrMechanism, clip(mechanism))
	}
	if !a.Allowed(at) {
		return nil, ErrInsecure
	}
	return &c, nil
}

// conversation is a SASL exchange: step takes the next response, and puts its
// successor into step; nil is the end. It implements [sasl.Server].
type conversation struct {
	ctx      context.Context // of the session: the interface has no room for it
	exchange *exchange
	done     func(*SignedIn)
	step     func(response []byte) (challenge []byte, in *SignedIn, err error)
	scram    *scram.ServerConversation
}

// Next implements [sasl.Server].
func (c *conversation) Next(response []byte) (challenge []byte, done bool, err error) {
	step := c.step
	if step == nil {
		return nil, false, ErrMalformed
	}
	c.step = nil
	var in *SignedIn
	if len(response) > maxResponse {
		err = ErrMalformed
	} else {
		challenge, in, err = step(response)
	}
	if err != nil || in != nil {
		c.step = nil
		in, err = c.exchange.finish(in, err)
	}
	if err != nil {
		return nil, false, err
	}
	if in != nil {
		c.done(in)
	}
	return challenge, in != nil, nil
}

// plain is the one step of PLAIN, RFC 4616 section 2.
func (c *conversation) plain(response []byte) ([]byte, *SignedIn, error) {
	if response == nil {
		c.step = c.plain
		return []byte{}, nil, nil
	}
	part := bytes.Split(response, []byte{0})
	if len(part) != 3 || len(part[1]) == 0 || len(part[2]) == 0 {
		return nil, nil, ErrMalformed
	}
	e := c.exchange
	e.login = string(part[1])
	in, err := e.password(c.ctx, string(part[2]))
	if err == nil {
		err = e.actsAs(c.ctx, string(part[0]))
	}
	return nil, in, err
}

// loginName is the first step of LOGIN. The prompts are the ones that clients
// look for.
func (c *conversation) loginName(response []byte) ([]byte, *SignedIn, error) {
	if response == nil {
		c.step = c.loginName
		return []byte("Username:"), nil, nil
	}
	c.exchange.login = string(response)
	c.step = c.loginPassword
	return []byte("Password:"), nil, nil
}

func (c *conversation) loginPassword(response []byte) ([]byte, *SignedIn, error) {
	in, err := c.exchange.password(c.ctx, string(response))
	return nil, in, err
}

// scramFirst takes the client-first-message, RFC 5802 section 7.
func (c *conversation) scramFirst(response []byte) ([]byte, *SignedIn, error) {
	if response == nil {
		c.step = c.scramFirst
		return []byte{}, nil, nil
	}
	var failed error
	server, err := scram.SHA256.NewServer(func(name string) (scram.StoredCredentials, error) {
		c.exchange.login = name
		keys, err := c.exchange.scramKeys(c.ctx)
		failed = err
		return keys.stored(), err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	c.scram = server.NewConversation()
	challenge, err := c.scram.Step(string(response))
	switch {
	case failed != nil:
		return nil, nil, failed
	case err != nil:
		return nil, nil, ErrMalformed
	}
	c.step = c.scramProof
	return []byte(challenge), nil, nil
}

// scramKeys returns the keys of who signs in, and keys that fit nothing when
// there is nobody of that name, or no password.
func (e *exchange) scramKeys(ctx context.Context) (scramKeys, error) {
	if err := e.identify(ctx); err != nil {
		return scramKeys{}, err
	}
	if e.known && e.record.credentials.hash != "" {
		return e.record.credentials.scram, nil
	}
	a := e.auth
	secret := a.spare
	err := a.directory.View(ctx, func(n *Names) error {
		kept, err := n.secret()
		if kept != nil {
			secret = kept
		}
		return err
	})
	if err != nil {
		return scramKeys{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return noKeys(secret, e.name, a.directory.params.ScramRounds), nil
}

// scramProof takes the client-final-message. The protocols send nothing along
// with success, so the server's own proof is one more challenge.
func (c *conversation) scramProof(response []byte) ([]byte, *SignedIn, error) {
	e := c.exchange
	if err := e.wait(c.ctx); err != nil {
		return nil, nil, err
	}
	verifier, err := c.scram.Step(string(response))
	if err != nil && !strings.HasPrefix(verifier, "e=") {
		return nil, nil, ErrMalformed
	}
	if err != nil || !c.scram.Valid() || !e.known {
		return nil, nil, e.wrong("")
	}
	in, err := e.admit(c.ctx)
	if err == nil {
		err = e.actsAs(c.ctx, c.scram.AuthzID())
	}
	if err != nil {
		return nil, nil, err
	}
	c.step = func(response []byte) ([]byte, *SignedIn, error) {
		if len(response) > 0 {
			return nil, nil, ErrMalformed
		}
		return nil, in, nil
	}
	return []byte(verifier), nil, nil
}

// actsAs refuses an authorization identity that is not the account that signed
// in: nobody acts for another one here.
func (e *exchange) actsAs(ctx context.Context, authzid string) error {
	if authzid == "" || authzid == e.login {
		return nil
	}
	e.detail = "may not act for '" + clip(authzid) + "'"
	login, err := ParseLogin(authzid)
	if err != nil || login.Mailbox != "" {
		return ErrCredentials
	}
	route, err := e.auth.router.RouteLogin(ctx, login.Account, e.at.Local)
	switch {
	case err != nil && !errors.Is(err, ErrNoAccount):
		return fmt.Errorf("%w: routing: %w", ErrUnavailable, err)
	case err != nil || route.Account.ID != e.record.account.ID:
		return ErrCredentials
	}
	return nil
}
