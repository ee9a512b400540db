package accounts

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tripost/store"
)

// APOP and CRAM-MD5 need the password itself. It is kept only for accounts
// whose LegacyAuth is on, sealed with AES-256-GCM under a key that is not in the
// store: a copy of the store alone does not give it away. The account's id goes
// into the seal, so that a record moved to another account does not open.

// minLegacyKey is the least octets of Options.LegacyKey that LoadLegacyKey takes.
const minLegacyKey = 32

// sealNonce is the octets of a nonce of AES-GCM.
const sealNonce = 12

// errSealed is returned for a sealed password that does not open: the key is
// another one, or the record is damaged.
var errSealed = errors.New("sealed password does not open: another legacy key?")

// LoadLegacyKey reads the key for Options.LegacyKey from a file: hexadecimal
// digits, at least 64. It makes the file, readable by its owner alone, when
// there is none. Keep it apart from the store and its backups; without it the
// accounts with legacy_auth need their passwords set again.
func LoadLegacyKey(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeLegacyKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the legacy key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) < minLegacyKey {
		return nil, fmt.Errorf("legacy key %q: %w: at least %d hexadecimal digits are needed", path, ErrBadValue, 2*minLegacyKey)
	}
	return key, nil
}

// makeLegacyKey writes the key to a file beside it first, so that a crash
// leaves no half of one, and makes it durable before anything is sealed.
func makeLegacyKey(path string) (key []byte, err error) {
	key = make([]byte, minLegacyKey)
	rand.Read(key) // never fails: see its documentation
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return nil, fmt.Errorf("making the legacy key: %w", err)
	}
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path) // unlike a rename it takes nobody else's away
	}
	os.Remove(f.Name())
	switch {
	case errors.Is(err, fs.ErrExist):
		return LoadLegacyKey(path)
	case err == nil:
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("making the legacy key %q: %w", path, err)
	}
	return key, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// newSeal returns what seals passwords under a key, nil without one.
func newSeal(key []byte) cipher.AEAD {
	if len(key) == 0 {
		return nil
	}
	derived, err := hkdf.Key(sha256.New, key, nil, "tripost sealed passwords", 32)
	if err != nil {
		panic(fmt.Sprintf("accounts: deriving a key of 32 octets: %v", err)) // not for this length
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		panic(fmt.Sprintf("accounts: AES with a key of 32 octets: %v", err))
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(fmt.Sprintf("accounts: GCM with AES: %v", err))
	}
	return aead
}

func sealContext(id store.AccountID) []byte { return idKey(keyLegacy, id) }

// putSecret keeps the password of an account sealed. nonce must be fresh.
func (w *writer) putSecret(seal cipher.AEAD, id store.AccountID, nonce []byte, password string) {
	sealed := seal.Seal(nonce[:len(nonce):len(nonce)], nonce, []byte(password), sealContext(id))
	w.put(idKey(keyLegacy, id), newStored().text(string(sealed)).b)
}

// secretOf returns an account's password, "" when it has none that can be read.
func (n *Names) secretOf(seal cipher.AEAD, id store.AccountID) (string, error) {
	b, err := n.get(idKey(keyLegacy, id))
	if err != nil || b == nil {
		return "", err
	}
	f := readRecord(b)
	sealed := []byte(f.Text())
	if err := f.end(keyLegacy); err != nil {
		return "", err
	}
	return unseal(seal, id, sealed)
}

func unseal(seal cipher.AEAD, id store.AccountID, sealed []byte) (string, error) {
	n := seal.NonceSize()
	if len(sealed) < n {
		return "", errSealed
	}
	password, err := seal.Open(nil, sealed[:n], sealed[n:], sealContext(id))
	if err != nil {
		return "", errSealed
	}
	return string(password), nil
}

// HasLegacySecret reports whether an account's password is kept in a form that
// can be read again: its LegacyAuth is on, and its password was set after that.
func (d *Directory) HasLegacySecret(ctx context.Context, id store.AccountID) (bool, error) {
	var has bool
	err := d.View(ctx, func(n *Names) error {
		b, err := n.get(idKey(keyLegacy, id))
		has = b != nil
		return err
	})
	return has, err
}

// offersLegacy reports whether any account has such a password. It looks for
// the first one, which costs the same however many there are.
func (d *Directory) offersLegacy(ctx context.Context) (bool, error) {
	if d.seal == nil {
		return false, nil
	}
	var key []byte
	err := d.View(ctx, func(n *Names) (err error) {
		key, err = n.first([]byte{keyLegacy})
		return err
	})
	return key != nil, err
}

// setLegacy applies a change of acct.LegacyAuth: what is switched off is
// forgotten at once.
func (w *writer) setLegacy(acct, old Account, seal cipher.AEAD) error {
	switch {
	case acct.LegacyAuth && !old.LegacyAuth && seal == nil:
		return fmt.Errorf("legacy_auth: %w: the server has no key to keep passwords with", ErrBadValue)
	case !acct.LegacyAuth:
		w.delete(idKey(keyLegacy, acct.ID))
	}
	return nil
}
