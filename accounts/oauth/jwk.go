package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
)

// Signature algorithms that are taken (RFC 7518 section 3.1, RFC 8037 section
// 3.1). What a token says of its algorithm only chooses among the keys
// that have it, so that none can be taken for one of another kind.
const (
	algRSA   = "RS256"
	algECDSA = "ES256"
	algEdDSA = "EdDSA"
)

// canonical returns the name of an algorithm that stands for it here: RFC 9864
// section 2.2 has a newer one for EdDSA with Ed25519.
func canonical(algorithm string) string {
	if algorithm == "Ed25519" {
		return algEdDSA
	}
	return algorithm
}

// publicKey is one of an issuer's keys.
type publicKey struct {
	id        string
	algorithm string
	key       crypto.PublicKey
}

// verifies reports whether the signature of a text is right.
func (k *publicKey) verifies(text, signature []byte) bool {
	sum := sha256.Sum256(text)
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
	case *ecdsa.PublicKey:
		const half = 32
		if len(signature) != 2*half {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
		return ecdsa.Verify(key, sum[:], r, s)
	case ed25519.PublicKey:
		return ed25519.Verify(key, text, signature)
	}
	return false
}

// jwk is a key as JSON (RFC 7517 section 4; RFC 7518 section 6, RFC 8037
// section 2).
type jwk struct {
	Type      string `json:"kty"`
	Use       string `json:"use"`
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
	Curve     string `json:"crv"`
	N         string `json:"n"`
	E         string `json:"e"`
	X         string `json:"x"`
	Y         string `json:"y"`
}

// mostKeys bounds the keys of one issuer.
const mostKeys = 100

// parseKeys reads a JWK Set. Keys of other kinds than those that are taken are
// passed over (RFC 7517 section 5).
func parseKeys(b []byte) ([]*publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, errors.New("it is not a JWK Set")
	}
	if len(set.Keys) > mostKeys {
		return nil, errors.New("it has too many keys")
	}
	var keys []*publicKey
	for _, raw := range set.Keys {
		var j jwk
		if json.Unmarshal(raw, &j) != nil {
			continue
		}
		if k := j.public(); k != nil {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key for RS256, ES256 or EdDSA")
	}
	return keys, nil
}

// public returns the key, nil if it is not one to check signatures with.
func (j *jwk) public() *publicKey {
	if j.Use != "" && j.Use != "sig" {
		return nil
	}
	k := &publicKey{id: j.ID}
	switch {
	case j.Type == "RSA":
		k.algorithm = algRSA
		k.key = rsaKey(j.N, j.E)
	case j.Type == "EC" && j.Curve == "P-256":
		k.algorithm = algECDSA
		k.key = ecdsaKey(j.X, j.Y)
	case j.Type == "OKP" && j.Curve == "Ed25519":
		k.algorithm = algEdDSA
		if x := decodeKey(j.X); len(x) == ed25519.PublicKeySize {
			k.key = ed25519.PublicKey(x)
		}
	}
	if k.key == nil || j.Algorithm != "" && canonical(j.Algorithm) != k.algorithm {
		return nil
	}
	return k
}

// Sizes of RSA keys that are taken, in bits: RFC 7518 section 3.3, and no more
// work for a signature than is sensible.
const (
	leastRSA = 2048
	mostRSA  = 8192
)

func rsaKey(n, e string) crypto.PublicKey {
	modulus, exponent := new(big.Int).SetBytes(decodeKey(n)), new(big.Int).SetBytes(decodeKey(e))
	if bits := modulus.BitLen(); bits < leastRSA || bits > mostRSA || exponent.BitLen() > 31 || exponent.Int64() < 3 {
		return nil
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
}

func ecdsaKey(x, y string) crypto.PublicKey {
	const uncompressed = 4
	point := append(append([]byte{uncompressed}, decodeKey(x)...), decodeKey(y)...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil
	}
	return key
}

// decodeKey decodes a member of a key: empty for what is not base64url.
func decodeKey(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
