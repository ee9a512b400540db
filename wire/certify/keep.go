package certify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	accountName     = "account.pem"
	certificateName = "certificate.pem" // with its key, so that the two cannot differ
	keyType         = "PRIVATE KEY"     // PKCS #8
)

// loadKey loads the account's key, or makes it.
func loadKey(dir string) (crypto.Signer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, accountName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != keyType {
		return nil, fmt.Errorf("%q holds no key", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	signer, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%q holds a key of another kind", path)
	}
	return signer, nil
}

func makeKey(path string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return key, replace(path, text)
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: der}), err
}

// saveCertificate keeps a chain, the server's own certificate first, with its
// key.
func saveCertificate(dir string, chain [][]byte, key crypto.Signer) error {
	var text bytes.Buffer
	for _, der := range chain {
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return err
		}
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return err
	}
	text.Write(encoded)
	return replace(filepath.Join(dir, certificateName), text.Bytes())
}

// loadCertificate loads what saveCertificate kept; nil where nothing is.
func loadCertificate(dir string) (*tls.Certificate, error) {
	path := filepath.Join(dir, certificateName)
	c, err := tls.LoadX509KeyPair(path, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return &c, nil
}

// replace puts a file in the place of another one, whole or not at all.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "new-") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name()) // the error that matters is told
	}
	return err
}
