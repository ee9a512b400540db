package accounts

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"tripost/store"
)

// Fingerprint returns what an account's Certificate is compared with: the
// SHA-256 of the whole certificate (DER), as 64 lower-case hexadecimal digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// ParseFingerprint reads a SHA-256 fingerprint in hexadecimal, with colons
// between the octets as openssl shows it or without, in any case. "" and "none"
// are "". Anything else is ErrBadValue.
func ParseFingerprint(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" || s == "none" {
		return "", nil
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != sha256.Size {
		return "", fmt.Errorf("fingerprint %q: %w: use the SHA-256 of the certificate, 64 hexadecimal digits", clip(s), ErrBadValue)
	}
	return hex.EncodeToString(b), nil
}

func certificateKey(fingerprint string) []byte {
	return append([]byte{keyCertificate}, fingerprint...)
}

// replaceCertificate makes the certificate of acct lead to it, and the old one
// nowhere. A certificate stands for one account.
func (w *writer) replaceCertificate(acct *Account, old string) error {
	fingerprint, err := ParseFingerprint(acct.Certificate)
	if err != nil || fingerprint == old {
		acct.Certificate = fingerprint
		return err
	}
	if old != "" {
		w.delete(certificateKey(old))
	}
	acct.Certificate = fingerprint
	if fingerprint == "" {
		return nil
	}
	owner, err := w.certificateOwner(fingerprint)
	if err != nil {
		return err
	}
	if owner != 0 {
		return fmt.Errorf("certificate %s is another account's: %w", fingerprint, ErrExists)
	}
	w.put(certificateKey(fingerprint), newStored().number(uint64(acct.ID)).b)
	return nil
}

// certificateOwner returns the account that has a certificate, 0 if none has.
func (n *Names) certificateOwner(fingerprint string) (store.AccountID, error) {
	b, err := n.get(certificateKey(fingerprint))
	if err != nil || b == nil {
		return 0, err
	}
	f := readRecord(b)
	id := store.AccountID(f.Uint())
	return id, f.end(keyCertificate)
}
