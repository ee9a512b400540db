package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// APOP and CRAM-MD5: the client shows that it knows the password by an MD5 over
// it and something fresh. MD5 is broken for other uses, and whoever listens can
// try guesses at leisure, so this is for old clients on the accounts that the
// administrator has chosen. The password counts as the client's octets: SASLprep
// is not applied.

const mechAPOP = "APOP"

// OffersAPOP reports whether some account could sign in by APOP or CRAM-MD5, and
// so whether a POP greeting needs a timestamp. It is quick enough for each
// connection. false if the directory cannot be read.
func (a *Authenticator) OffersAPOP(ctx context.Context) bool {
	offers, err := a.directory.offersLegacy(ctx)
	return offers && err == nil
}

// APOP signs in by the digest of RFC 1939 section 7: the MD5 of stamp, the
// greeting's timestamp with its angle brackets, and the password, in hexadecimal
// digits. stamp must never repeat. An account without legacy_auth, an unknown
// name and a wrong digest are answered alike. The errors are those of
// [Authenticator.Password], and ErrMechanism without a stamp.
func (a *Authenticator) APOP(ctx context.Context, at Attempt, stamp, login, digest string) (*SignedIn, error) {
	e := a.begin(at, mechAPOP, login)
	if stamp == "" {
		return e.finish(ctx, nil, ErrMechanism)
	}
	in, err := e.legacy(ctx, digest, func(password string) []byte { return digestAPOP(stamp, password) })
	return e.finish(ctx, in, err)
}

func digestAPOP(stamp, password string) []byte {
	sum := md5.Sum([]byte(stamp + password))
	return sum[:]
}

func digestCRAM(challenge, password string) []byte {
	h := hmac.New(md5.New, []byte(password))
	h.Write([]byte(challenge))
	return h.Sum(nil)
}

// cramChallenge is the first step of CRAM-MD5, whose challenge the server sends
// unasked. RFC 2195 section 2.
func (c *conversation) cramChallenge(response []byte) ([]byte, *SignedIn, error) {
	if response != nil {
		return nil, nil, ErrMalformed
	}
	a := c.exchange.auth
	challenge := fmt.Sprintf("<%s.%d@%s>", rand.Text(), a.now().Unix(), a.hostname)
	c.step = func(response []byte) ([]byte, *SignedIn, error) {
		return c.cramDigest(challenge, string(response))
	}
	return []byte(challenge), nil, nil
}

func (c *conversation) cramDigest(challenge, response string) ([]byte, *SignedIn, error) {
	i := strings.LastIndexByte(response, ' ')
	if i <= 0 {
		return nil, nil, ErrMalformed
	}
	e := c.exchange
	e.login = response[:i]
	in, err := e.legacy(c.ctx, response[i+1:], func(password string) []byte { return digestCRAM(challenge, password) })
	return nil, in, err
}

// legacy signs in by a digest of the password.
func (e *exchange) legacy(ctx context.Context, digest string, of func(password string) []byte) (*SignedIn, error) {
	shown, err := hex.DecodeString(digest)
	if err != nil || len(shown) != md5.Size {
		return nil, ErrMalformed
	}
	if err := e.identify(ctx); err != nil {
		return nil, err
	}
	if err := e.wait(ctx); err != nil {
		return nil, err
	}
	password, err := e.secret(ctx)
	if err != nil {
		return nil, err
	}
	fits := subtle.ConstantTimeCompare(of(password), shown) == 1
	if !fits || password == "" {
		return nil, e.wrong("")
	}
	return e.admit(ctx)
}

// secret returns the password of who signs in, "" when there is none. For a
// name that has none a password is unsealed that fits nobody.
func (e *exchange) secret(ctx context.Context) (string, error) {
	d := e.auth.directory
	if d.seal == nil {
		return "", nil
	}
	var password string
	err := d.View(ctx, func(n *Names) (err error) {
		password, err = n.secretOf(d.seal, e.record.account.ID)
		return err
	})
	switch {
	case errors.Is(err, errSealed):
		e.note("APOP and CRAM-MD5 cannot work", err)
	case err != nil:
		return "", fmt.Errorf("%w: reading the sealed password: %w", ErrUnavailable, err)
	}
	if password == "" {
		_, _ = unseal(d.seal, 0, e.auth.spare) // takes as long
		if e.known {
			e.detail = "no password is set for APOP and CRAM-MD5"
		}
	}
	return password, nil
}
