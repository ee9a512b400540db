package accounts

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
)

// The SASL mechanisms, by their registered names.
const (
	mechSCRAMPlus = "SCRAM-SHA-256-PLUS" // RFC 5802, RFC 7677
	mechSCRAM     = "SCRAM-SHA-256"
	mechExternal  = "EXTERNAL"    // RFC 4422 appendix A
	mechBearer    = "OAUTHBEARER" // RFC 7628
	mechXOAuth2   = "XOAUTH2"     // what OAUTHBEARER was made from, and clients still know better
	mechCRAM      = "CRAM-MD5"    // RFC 2195
	mechPlain     = "PLAIN"       // RFC 4616
	mechLogin     = "LOGIN"       // draft-murchison-sasl-login: older mail programs know no other
)

// Bounds of one client response, decoded, in octets.
const (
	maxResponse = 4096
	maxToken    = 16 << 10 // a response that holds a token
)

// mechanism is one way to sign in by SASL.
type mechanism struct {
	name    string
	inClear bool // the exchange shows what others could sign in with
	longest int  // octets of a response
	// has reports whether the mechanism is there on this connection; nil: always.
	has  condition
	step func(c *conversation) step // the first one
}

// condition is something that a connection, or the directory, must have.
type condition func(ctx context.Context, a *Authenticator, at Attempt) bool

// mechanisms returns all that there are, the best first.
func mechanisms() []mechanism {
	return []mechanism{
		{mechSCRAMPlus, false, maxResponse, hasBinding, func(c *conversation) step { return c.scramFirst }},
		{mechSCRAM, false, maxResponse, nil, func(c *conversation) step { return c.scramFirst }},
		{mechExternal, false, maxResponse, hasCertificate, func(c *conversation) step { return c.external }},
		{mechBearer, true, maxToken, hasTokens, func(c *conversation) step { return c.bearer }},
		{mechXOAuth2, true, maxToken, hasTokens, func(c *conversation) step { return c.xoauth2 }},
		{mechCRAM, false, maxResponse, hasLegacy, func(c *conversation) step { return c.cramChallenge }},
		{mechPlain, true, maxResponse, nil, func(c *conversation) step { return c.plain }},
		{mechLogin, true, maxResponse, nil, func(c *conversation) step { return c.loginName }},
	}
}

func hasBinding(_ context.Context, _ *Authenticator, at Attempt) bool { return at.offersBinding() }

func hasCertificate(_ context.Context, _ *Authenticator, at Attempt) bool {
	return at.TLSState != nil && len(at.TLSState.PeerCertificates) > 0
}

// knowsCertificate reports whether the client's certificate is an account's. A
// client with another one had better not be told of EXTERNAL, which it would
// prefer to what works; it may still try it, and leaves the certificate's
// fingerprint in the log.
func (a *Authenticator) knowsCertificate(ctx context.Context, at Attempt) bool {
	_, err := a.directory.byCertificate(ctx, Fingerprint(at.TLSState.PeerCertificates[0]))
	return err == nil
}

func hasTokens(_ context.Context, a *Authenticator, _ Attempt) bool { return a.tokens != nil }

// hasLegacy is false also when the directory cannot be read: then nothing else
// would work either.
func hasLegacy(ctx context.Context, a *Authenticator, _ Attempt) bool { return a.OffersAPOP(ctx) }

// listTime bounds what [Authenticator.Mechanisms] waits for the directory.
const listTime = 5 * time.Second

// Mechanisms lists the SASL mechanisms that would work on this connection now,
// the best first.
func (a *Authenticator) Mechanisms(at Attempt) []string {
	ctx, cancel := context.WithTimeout(context.Background(), listTime)
	defer cancel()
	var names []string
	for _, m := range a.mechanisms {
		if m.worksOn(ctx, a, at) != nil || m.name == mechExternal && !a.knowsCertificate(ctx, at) {
			continue
		}
		names = append(names, m.name)
	}
	return names
}

// worksOn returns why the mechanism would not work on this connection: ErrMechanism, ErrInsecure.
func (m mechanism) worksOn(ctx context.Context, a *Authenticator, at Attempt) error {
	if m.has != nil && !m.has(ctx, a, at) {
		return fmt.Errorf("%w: %s", ErrMechanism, m.name)
	}
	if m.inClear && !a.Allowed(at) {
		return ErrInsecure
	}
	return nil
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
	name := strings.ToUpper(mechanism)
	for _, m := range a.mechanisms {
		if m.name != name {
			continue
		}
		if err := m.worksOn(ctx, a, at); err != nil {
			return nil, err
		}
		c := &conversation{ctx: ctx, exchange: a.begin(at, name, ""), longest: m.longest, done: done}
		c.step = m.step(c)
		return c, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrMechanism, clip(mechanism))
}
