package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Algorithm is what a key signs with.
type Algorithm string

// The algorithms. A domain may sign with one key of each: not everybody knows
// Ed25519.
const (
	RSA     Algorithm = "rsa"     // 2048 bits, SHA-256
	Ed25519 Algorithm = "ed25519" // RFC 8463
)

const rsaBits = 2048 // RFC 8301 section 3.2

// Key is one key of a domain. It signs from Begins on, until Ends if that is set.
type Key struct {
	Domain    string
	Selector  string
	Algorithm Algorithm
	Created   time.Time
	Begins    time.Time
	Ends      time.Time // zero: not yet known

	signer crypto.Signer
}

// afterEnd is how long the record of a key is needed after the key has signed
// last: mail may be under way for so long.
const afterEnd = 7 * 24 * time.Hour

// State is what a key is there for at some time.
type State string

// The states, in their order.
const (
	Waiting State = "waiting" // its record is to be published, it does not sign yet
	Signing State = "signing"
	Fading  State = "fading" // it signs no more, but its record is still needed
	Over    State = "over"   // key and record may be removed
)

// State returns the state at a time.
func (k *Key) State(now time.Time) State {
	switch {
	case now.Before(k.Begins):
		return Waiting
	case k.Ends.IsZero() || now.Before(k.Ends):
		return Signing
	case now.Before(k.Ends.Add(afterEnd)):
		return Fading
	default:
		return Over
	}
}

// Name is where the record of the key stands for a domain: its own, or an alias.
func (k *Key) Name(domain string) string { return k.Selector + "._domainkey." + domain }

// Record is the text of the TXT record: RFC 6376 section 3.6.1.
func (k *Key) Record() string {
	public := k.signer.Public()
	if p, ok := public.(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(p)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(fmt.Sprintf("public key of %s: %v", k.Selector, err)) // it was read as an RSA key
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

// zoneString is the longest string of a TXT record (RFC 1035 section 3.3.14).
const zoneString = 255

// Zone renders the record as a line of a zone file.
func (k *Key) Zone(domain string) string {
	var b strings.Builder
	b.WriteString(k.Name(domain) + ". IN TXT")
	for text := k.Record(); text != ""; {
		n := min(len(text), zoneString)
		b.WriteString(` "` + text[:n] + `"`)
		text = text[n:]
	}
	return b.String()
}

// newKey makes a key.
func newKey(domain, selector string, a Algorithm, now, begins time.Time) (*Key, error) {
	k := &Key{Domain: domain, Selector: selector, Algorithm: a, Created: now, Begins: begins}
	var err error
	switch a {
	case RSA:
		k.signer, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case Ed25519:
		_, k.signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("%q: %w", a, ErrAlgorithm)
	}
	return k, err
}

const recordVersion = 1

var errRecord = errors.New("damaged record of a key")

// encode writes a key: version, then created, begins and ends in seconds, 8
// octets each, then PKCS #8.
func (k *Key) encode() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return nil, err
	}
	b := []byte{recordVersion}
	for _, t := range []time.Time{k.Created, k.Begins, k.Ends} {
		var seconds int64
		if !t.IsZero() {
			seconds = t.Unix()
		}
		b = binary.BigEndian.AppendUint64(b, uint64(seconds))
	}
	return append(b, der...), nil
}

// decode reads a key, whose name is domain, zero, selector.
func decode(name string, b []byte) (*Key, error) {
	domain, selector, ok := strings.Cut(name, "\x00")
	if !ok || len(b) < 25 || b[0] != recordVersion {
		return nil, fmt.Errorf("key %q: %w", name, errRecord)
	}
	k := &Key{Domain: domain, Selector: selector}
	for i, t := range []*time.Time{&k.Created, &k.Begins, &k.Ends} {
		if seconds := int64(binary.BigEndian.Uint64(b[1+8*i:])); seconds != 0 {
			*t = time.Unix(seconds, 0).UTC()
		}
	}
	private, err := x509.ParsePKCS8PrivateKey(b[25:])
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, errRecord) // what x509 says may show of the key
	}
	switch p := private.(type) {
	case *rsa.PrivateKey:
		k.Algorithm, k.signer = RSA, p
	case ed25519.PrivateKey:
		k.Algorithm, k.signer = Ed25519, p
	default:
		return nil, fmt.Errorf("key %q: %w", name, errRecord)
	}
	return k, nil
}
