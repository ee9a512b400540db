package oauth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tripost/accounts"
)

// Options say whom to ask about a token, and what it has to say.
type Options struct {
	// Introspection is the URL where the issuer answers what a token is worth
	// (RFC 7662); the client id and secret are sent with the question. Empty:
	// tokens are JWTs, checked with the issuer's Keys.
	Introspection string
	ClientID      string
	ClientSecret  string

	// Keys is the URL or the path of the issuer's JWK Set (RFC 7517).
	Keys string

	// Issuer and Audience are what a token's iss must be and what its aud must
	// hold. A JWT needs both. Of an introspected token the audience is compared
	// if one is given here, the issuer if it is told too.
	Issuer, Audience string
	// Scope is one that the token must have; empty: any.
	Scope string
	// Claim names the member that holds the account's address; default "email".
	// It must be one that users cannot choose for themselves.
	Claim string

	Authorities *x509.CertPool   // that vouch for the issuer's server; nil: the system's
	Timeout     time.Duration    // of one question; default 5 s
	Remember    time.Duration    // how long an introspected token is known; 0: not at all
	Now         func() time.Time // default time.Now
}

const (
	defaultTimeout = 5 * time.Second
	defaultClaim   = "email"

	// leeway is how far the issuer's clock and ours may be apart.
	leeway = time.Minute

	// maxQuestions is how many questions are asked at once; more wait.
	maxQuestions = 32
)

// Checker checks tokens.
type Checker struct {
	Options
	client     *http.Client
	keys       *keySet     // nil: introspection
	remembered *remembered // of introspection
}

// New returns a checker. It asks nobody yet.
func New(o Options) (*Checker, error) {
	if o.Claim == "" {
		o.Claim = defaultClaim
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Checker{Options: o, client: newClient(o), remembered: newRemembered(o.Now)}
	switch {
	case (o.Introspection == "") == (o.Keys == ""):
		return nil, errors.New("a URL for introspection or the issuer's keys are needed, and not both")
	case o.Introspection != "":
		return c, checkURL(o.Introspection)
	case o.Issuer == "" || o.Audience == "":
		return nil, errors.New("issuer and audience of the tokens are needed with keys")
	}
	source, err := c.keySource(o.Keys)
	c.keys = newKeySet(source, o.Now)
	return c, err
}

// newClient returns a client that is bounded in all it does and goes where it
// was told to alone: a redirection would take the client secret along.
func newClient(o Options) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost = maxQuestions
	transport.MaxIdleConnsPerHost = maxQuestions
	transport.MaxResponseHeaderBytes = 64 << 10
	transport.TLSClientConfig.RootCAs = o.Authorities
	return &http.Client{
		Transport:     transport,
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checkURL refuses a URL over which tokens or keys would travel in clear.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("%q is not a URL", s)
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q is not https, which only an address of this machine need not be", s)
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

// Check implements [accounts.TokenChecker].
func (c *Checker) Check(ctx context.Context, token string, _ accounts.Attempt) (login string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if c.keys != nil {
		return c.checkJWT(ctx, token)
	}
	return c.introspect(ctx, token)
}

// unavailable marks an error as one of the server side that passes.
func unavailable(doing string, err error) error {
	return fmt.Errorf("%w: %s: %w", accounts.ErrUnavailable, doing, err)
}
