package accounts

import (
	"context"
	"fmt"
	"strings"

	"github.com/xdg-go/scram"
)

// scramFirst takes the client-first-message, RFC 5802 section 7.
func (c *conversation) scramFirst(response []byte) ([]byte, *SignedIn, error) {
	if response == nil {
		c.step = c.scramFirst
		return []byte{}, nil, nil
	}
	bind, err := c.scramBinding(string(response))
	if err != nil {
		return nil, nil, err
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
	if bind.IsSupported() {
		c.scram = server.NewConversationWithChannelBindingRequired(bind)
	}
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

// scramBinding reads the flag with which a client-first-message begins: "n", the
// client knows no channel binding; "y", it thinks that we know none;
// "p=TYPE", it uses one, as it must with SCRAM-SHA-256-PLUS and only then. The
// binding that it returns is one that is supported with the latter, else none.
//
// RFC 5802 section 6.
func (c *conversation) scramBinding(first string) (scram.ChannelBinding, error) {
	e := c.exchange
	flag, _, _ := strings.Cut(first, ",")
	kind, bound := strings.CutPrefix(flag, "p=")
	plus := e.mechanism == mechSCRAMPlus
	switch {
	case bound != plus:
		return scram.ChannelBinding{}, ErrMalformed
	case plus:
		b := e.at.binding(scram.ChannelBindingType(kind))
		if !b.IsSupported() {
			return b, fmt.Errorf("%w: channel binding %q is not there", ErrMalformed, clip(kind))
		}
		return b, nil
	case flag == "y" && e.at.offersBinding():
		// The list of mechanisms was another one when it reached the client.
		e.detail = "the client was not offered SCRAM-SHA-256-PLUS: somebody in between?"
		return scram.ChannelBinding{}, ErrCredentials
	}
	return scram.ChannelBinding{}, nil
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
	if verifier == scram.ErrChannelBindingsDontMatch {
		e.detail = "channel bindings do not match: somebody in between?"
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
