package accounts

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/xdg-go/scram"
)

// conversation is a SASL exchange. It implements the Server interface of
// go-sasl.
type conversation struct {
	ctx      context.Context // of the session: the interface has no room for it
	exchange *exchange
	longest  int // octets of a response
	done     func(*SignedIn)
	step     step // the next one, nil at the end
	scram    *scram.ServerConversation
}

// step takes the next response. It ends the exchange with in or err, or returns
// the next challenge and leaves the step after it in the conversation. A
// response is nil where the client sent none with its command.
type step func(response []byte) (challenge []byte, in *SignedIn, err error)

// Next implements the Server interface of go-sasl.
func (c *conversation) Next(response []byte) (challenge []byte, done bool, err error) {
	step := c.step
	if step == nil {
		return nil, false, ErrMalformed
	}
	c.step = nil
	var in *SignedIn
	if len(response) > c.longest {
		err = ErrMalformed
	} else {
		challenge, in, err = step(response)
	}
	if err != nil || in != nil {
		c.step = nil
		in, err = c.exchange.finish(c.ctx, in, err)
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
