package accounts

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/xdg-go/stringprep"
	"golang.org/x/crypto/argon2"
)

const (
	maxPassword  = 1024 // octets
	saltLength   = 16   // octets, of argon2id and of SCRAM
	hashLength   = 32   // octets of an argon2id hash
	maxHashKiB   = 1 << 20
	maxHashTime  = 64
	maxHashLanes = 64
)

// PasswordParams are the costs of checking a password. Zero fields take their
// defaults. Passwords set with other costs are renewed by the next sign-in that
// shows them.
type PasswordParams struct {
	Memory      uint32 // argon2id, KiB; default 19,456
	Time        uint32 // argon2id, passes over the memory; default 2
	Lanes       uint8  // argon2id; default 1
	ScramRounds int    // PBKDF2 rounds of SCRAM-SHA-256; default 15,000, at least 4,096 (RFC 7677 section 4)
}

func (p PasswordParams) withDefaults() PasswordParams {
	if p.Memory == 0 {
		p.Memory = 19 * 1024
	}
	if p.Time == 0 {
		p.Time = 2
	}
	if p.Lanes == 0 {
		p.Lanes = 1
	}
	if p.ScramRounds == 0 {
		p.ScramRounds = 15_000
	}
	p.ScramRounds = max(p.ScramRounds, 4096)
	return p
}

// credentials is what checks the password of one account. The zero value fits
// no password.
type credentials struct {
	hash  string // argon2id in PHC form
	scram scramKeys
}

// derive makes the credentials of a new password. It takes as long as a check.
func (d *Directory) derive(password string) (credentials, error) {
	if len(password) > maxPassword {
		return credentials{}, fmt.Errorf("%w: longer than %d octets", ErrBadPassword, maxPassword)
	}
	if strings.ContainsAny(password, "\x00\r\n") {
		return credentials{}, fmt.Errorf("%w: it has a line end or a zero octet", ErrBadPassword)
	}
	prepared := preparePassword(password)
	if prepared == "" {
		return credentials{}, fmt.Errorf("%w: nothing visible in it", ErrBadPassword)
	}
	salts, err := d.random(2 * saltLength)
	if err != nil {
		return credentials{}, err
	}
	keys, err := deriveScramKeys(prepared, salts[saltLength:], d.params.ScramRounds)
	if err != nil {
		return credentials{}, err
	}
	return credentials{hash: newHash(d.params, salts[:saltLength], prepared).String(), scram: keys}, nil
}

// SetPassword gives an account a new password; with "" it has none any more.
func (d *Directory) SetPassword(ctx context.Context, addr, password string) error {
	if err := d.setPassword(ctx, addr, password); err != nil {
		return fmt.Errorf("setting the password of %q: %w", clip(addr), err)
	}
	return nil
}

func (d *Directory) setPassword(ctx context.Context, addr, password string) error {
	if password == "" {
		return d.update(ctx, func(w *writer) error { return w.removePassword(addr) })
	}
	cred, err := d.derive(password)
	if err != nil {
		return err
	}
	nonce, err := d.random(sealNonce)
	if err != nil {
		return err
	}
	return d.update(ctx, func(w *writer) error {
		acct, err := w.account(addr)
		if err != nil {
			return err
		}
		w.put(idKey(keyPassword, acct.ID), encodeCredentials(cred))
		w.delete(idKey(keyLegacy, acct.ID))
		if acct.LegacyAuth && d.seal != nil {
			w.putSecret(d.seal, acct.ID, nonce, password)
		}
		return nil
	})
}

func (w *writer) removePassword(addr string) error {
	acct, err := w.account(addr)
	if err != nil {
		return err
	}
	w.delete(idKey(keyPassword, acct.ID))
	w.delete(idKey(keyLegacy, acct.ID))
	return nil
}

// preparePassword applies SASLprep (RFC 4013), so that a password typed on
// different keyboards is the same octets. A password that SASLprep has no
// answer for (an unassigned code point, octets that are no UTF-8) is taken as
// it is.
func preparePassword(password string) string {
	if isPrintableASCII(password) {
		return password
	}
	prepared, err := stringprep.SASLprep.Prepare(password)
	if err != nil {
		return password
	}
	return prepared
}

func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// argonHash is an argon2id hash with what it was made with (RFC 9106).
type argonHash struct {
	params PasswordParams
	salt   []byte
	sum    []byte
}

func newHash(p PasswordParams, salt []byte, prepared string) argonHash {
	h := argonHash{params: p, salt: salt}
	h.sum = h.of(prepared)
	return h
}

func (h argonHash) of(prepared string) []byte {
	return argon2.IDKey([]byte(prepared), h.salt, h.params.Time, h.params.Memory, h.params.Lanes, hashLength)
}

func (h argonHash) fits(prepared string) bool {
	return subtle.ConstantTimeCompare(h.of(prepared), h.sum) == 1
}

// String returns the hash in the PHC string format.
func (h argonHash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.params.Memory, h.params.Time, h.params.Lanes, b64.EncodeToString(h.salt), b64.EncodeToString(h.sum))
}

var errHash = errors.New("stored password hash cannot be read")

// parseHash reads what String wrote. Costs out of all reason are refused, so
// that a damaged record cannot take the memory of the machine.
func parseHash(s string) (argonHash, error) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return argonHash{}, errHash
	}
	var h argonHash
	p := &h.params
	if n, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Lanes); n != 3 || err != nil {
		return argonHash{}, errHash
	}
	if p.Memory < 8 || p.Memory > maxHashKiB || p.Time < 1 || p.Time > maxHashTime || p.Lanes < 1 || p.Lanes > maxHashLanes {
		return argonHash{}, errHash
	}
	var errSalt, errSum error
	h.salt, errSalt = base64.RawStdEncoding.DecodeString(part[4])
	h.sum, errSum = base64.RawStdEncoding.DecodeString(part[5])
	if errSalt != nil || errSum != nil || len(h.sum) != hashLength {
		return argonHash{}, errHash
	}
	return h, nil
}
