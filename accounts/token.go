package accounts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// TokenChecker decides about OAuth 2.0 bearer tokens. It may be called by
// several goroutines.
type TokenChecker interface {
	// Check returns the login name that the token signs in, an account's
	// address with or without a mailbox in front, as users type it. Any error
	// refuses the sign-in; one that is ErrUnavailable is temporary and does not
	// count against the client. The token is a secret and must not be in the
	// error, which goes into the log.
	Check(ctx context.Context, token string, at Attempt) (login string, err error)
}

// What the client is told of a refused token: RFC 7628 section 3.2.2, and what
// clients of XOAUTH2 look for.
const (
	bearerRefused  = `{"status":"invalid_token"}`
	xoauth2Refused = `{"status":"401","schemes":"Bearer"}`
)

// bearer is the first step of OAUTHBEARER. RFC 7628 section 3.1.
func (c *conversation) bearer(response []byte) ([]byte, *SignedIn, error) {
	if response == nil {
		c.step = c.bearer
		return []byte{}, nil, nil
	}
	login, token, ok := parseBearer(response)
	if !ok {
		return nil, nil, ErrMalformed
	}
	return c.token(login, token, bearerRefused)
}

// xoauth2 is the first step of XOAUTH2.
func (c *conversation) xoauth2(response []byte) ([]byte, *SignedIn, error) {
	if response == nil {
		c.step = c.xoauth2
		return []byte{}, nil, nil
	}
	login, token, ok := parseXOAuth2(response)
	if !ok {
		return nil, nil, ErrMalformed
	}
	return c.token(login, token, xoauth2Refused)
}

// token signs in by a token. One that is refused is answered by a challenge that
// says so. The client has to respond to it, with anything (RFC 7628 section
// 3.2.3), before the exchange fails.
func (c *conversation) token(login, token, refused string) ([]byte, *SignedIn, error) {
	e := c.exchange
	in, err := e.byToken(c.ctx, login, token)
	if !errors.Is(err, ErrCredentials) {
		return nil, in, err
	}
	e.logRefusal(err) // now: the client may leave without a response
	c.step = func([]byte) ([]byte, *SignedIn, error) { return nil, nil, err }
	return []byte(refused), nil, nil
}

// byToken signs in whom the token stands for. login is as whom the client wants
// to sign in, "" leaves it to the token.
func (e *exchange) byToken(ctx context.Context, login, token string) (*SignedIn, error) {
	e.inClear = true
	e.login = login
	if login != "" {
		if err := e.identify(ctx); err != nil {
			return nil, err
		}
	}
	if err := e.wait(ctx); err != nil {
		return nil, err
	}
	holder, err := e.auth.tokens.Check(ctx, token, e.at)
	switch {
	case errors.Is(err, ErrUnavailable), err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("%w: checking a token: %w", ErrUnavailable, err)
	case err != nil:
		e.detail = "token refused: " + clip(err.Error())
	case holder == "":
		e.detail = "token refused: it is nobody's"
	default:
		e.detail = ""
		err = e.heldBy(ctx, holder)
	}
	switch {
	case err != nil && e.detail == "":
		return nil, err
	case e.detail != "":
		return nil, e.wrong(token)
	}
	return e.admit(ctx)
}

// heldBy compares who wants to sign in with the holder of the token, and leaves
// a detail if it is somebody else.
func (e *exchange) heldBy(ctx context.Context, holder string) error {
	if e.login == "" {
		e.login = holder
		return e.identify(ctx)
	}
	other := exchange{auth: e.auth, at: e.at, login: holder}
	if err := other.identify(ctx); err != nil {
		return err
	}
	switch {
	case !e.known:
		e.detail = "unknown account"
	case !other.known || other.record.account.ID != e.record.account.ID:
		e.detail = "the token is that of '" + clip(holder) + "'"
	}
	return nil
}

// parseBearer reads the client's response: a GS2 header (RFC 5801 section 4)
// without channel binding, then key=value pairs, each ended by a Control-A, and
// one more. Pairs other than auth tell the client's idea of host and port.
func parseBearer(b []byte) (login, token string, ok bool) {
	header, rest, ok := bytes.Cut(b, []byte{1})
	if !ok {
		return "", "", false
	}
	part := strings.Split(string(header), ",")
	if len(part) != 3 || part[0] != "n" && part[0] != "y" || part[2] != "" {
		return "", "", false
	}
	if part[1] != "" {
		name, has := strings.CutPrefix(part[1], "a=")
		if login, ok = decodeSASLName(name); !has || !ok {
			return "", "", false
		}
	}
	token, ok = authPair(rest)
	return login, token, ok
}

// parseXOAuth2 reads "user=LOGIN^Aauth=Bearer TOKEN^A^A".
func parseXOAuth2(b []byte) (login, token string, ok bool) {
	first, rest, _ := bytes.Cut(b, []byte{1})
	login, ok = strings.CutPrefix(string(first), "user=")
	if !ok || login == "" {
		return "", "", false
	}
	token, ok = authPair(rest)
	return login, token, ok
}

// authPair finds the token among pairs that a last Control-A ends.
func authPair(b []byte) (token string, ok bool) {
	pairs, whole := strings.CutSuffix(string(b), "\x01\x01")
	if !whole {
		return "", false
	}
	for pair := range strings.SplitSeq(pairs, "\x01") {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return "", false
		}
		if !strings.EqualFold(key, "auth") {
			continue
		}
		scheme, credential, _ := strings.Cut(value, " ")
		credential = strings.TrimLeft(credential, " ")
		if ok || !strings.EqualFold(scheme, "Bearer") || !isToken(credential) {
			return "", false
		}
		token, ok = credential, true
	}
	return token, ok
}

// isToken checks the form of a token: b64token of RFC 6750 section 2.1, and
// what else is visible ASCII, since not all who issue them keep to it.
func isToken(s string) bool {
	return s != "" && isPrintableASCII(s) && !strings.Contains(s, " ")
}

// decodeSASLName undoes the escapes =2C and =3D of a saslname, RFC 5801
// section 4.
func decodeSASLName(s string) (string, bool) {
	rest := strings.NewReplacer("=2C", "", "=3D", "").Replace(s)
	if s == "" || strings.Contains(rest, "=") {
		return "", false
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s), true
}
