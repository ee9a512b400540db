package send

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tripost/smtp/resolve"
)

// Level says how a connection is secured, or has to be.
type Level uint8

// The levels, from the least to the most.
const (
	Opportunistic Level = iota // TLS where it works, else in clear (RFC 7435)
	Encrypted                  // TLS, whoever the peer is
	Verified                   // TLS with a certificate for the host's name from a known authority
	DANE                       // TLS with a certificate that DNS names (RFC 7672)
)

// Demand is what a connection must fulfil.
type Demand struct {
	Level   Level
	Records []resolve.TLSA // for DANE: usable ones alone
	// Base is the name under which the records stand; empty for other levels.
	Base string
	// RequireTLS asks for a peer that passes the demand on (RFC 8689).
	RequireTLS bool
	// Test verifies the certificate without consequence but for the log: a
	// policy in testing mode (RFC 8461 section 5).
	Test bool
}

// Errors of peers that cannot be trusted with a message.
var (
	// ErrNoTLS: TLS is needed and not offered.
	ErrNoTLS = errors.New("the host offers no TLS")
	// ErrUnverified: the certificate is not the host's.
	ErrUnverified = errors.New("the host's certificate is not what it must be")
	// ErrNoRequireTLS: the message has to be passed on over TLS alone, which the
	// host does not promise (RFC 8689 section 4.2.1).
	ErrNoRequireTLS = errors.New("the host does not offer REQUIRETLS")
)

// Secured tells in words how the connection is secured, for the log and for
// administrators: "TLS 1.3, DANE", "clear".
func (c *Conn) Secured() string {
	state := c.state
	if state == nil {
		return "clear"
	}
	text := tls.VersionName(state.Version)
	switch c.level {
	case DANE:
		text += ", DANE"
	case Verified:
		text += ", verified"
	}
	return text
}

// Level returns how the connection is secured.
func (c *Conn) Level() Level { return c.level }

// RequiresTLS tells whether the peer passes on the demand for TLS (RFC 8689).
func (c *Conn) RequiresTLS() bool { return c.state != nil && c.has("REQUIRETLS") }

// DemandDANE asks for the TLSA records of a host (RFC 7672 section 2.2). Without
// secure records the demand is empty; with secure ones of which none can be used
// it is for TLS alone. An error means that an attacker may hold them back: the
// host must not be used now.
func DemandDANE(ctx context.Context, dns DNS, t Target) (Demand, error) {
	if !t.Secure {
		return Demand{}, nil
	}
	for _, base := range []string{t.Alias, t.Name} {
		if base == "" {
			continue
		}
		list, secure, err := dns.TLSA(ctx, t.Addr.Port(), base)
		if err != nil && !resolve.NotFound(err) {
			return Demand{}, fmt.Errorf("look up TLSA of %q: %w", base, err)
		}
		if err != nil || !secure {
			continue
		}
		list = slices.DeleteFunc(list, func(r resolve.TLSA) bool { return !Usable(r) })
		if len(list) == 0 {
			return Demand{Level: Encrypted}, nil
		}
		return Demand{Level: DANE, Records: list, Base: base}, nil
	}
	return Demand{}, nil
}

// Usable tells records that mail servers, and this client, use: RFC 7672 section
// 3.1 for the usages.
func Usable(r resolve.TLSA) bool {
	if r.Usage != 2 && r.Usage != 3 || r.Selector > 1 {
		return false
	}
	switch r.Matching {
	case 0:
		return r.Data != ""
	case 1:
		return len(r.Data) == 2*sha256.Size
	case 2:
		return len(r.Data) == 2*sha512.Size
	}
	return false
}

// matches tells whether a certificate is the one of a record: RFC 6698 section
// 2.1.
func matches(r resolve.TLSA, cert *x509.Certificate) bool {
	data := cert.Raw
	if r.Selector == 1 {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch r.Matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return hex.EncodeToString(data) == r.Data
}

// verify holds the peer's certificates against a demand, and returns the level
// that they have. Opportunistic needs none.
func (c *Conn) verify(state *tls.ConnectionState, d Demand) (Level, error) {
	switch d.Level {
	case DANE:
		return DANE, c.verifyDANE(state.PeerCertificates, d)
	case Verified:
		return Verified, c.verifyName(state.PeerCertificates)
	}
	if d.Test {
		if err := c.verifyName(state.PeerCertificates); err != nil {
			c.problem("would be refused if the policy were enforced: %v", err)
		}
	}
	return Encrypted, nil
}

// verifyName asks for a certificate of a known authority for the host's name.
func (c *Conn) verifyName(chain []*x509.Certificate) error {
	return verifyChain(chain, c.client.RootCAs, c.target.Name)
}

// verifyDANE asks for a certificate that one of the records names.
func (c *Conn) verifyDANE(chain []*x509.Certificate, d Demand) error {
	return VerifyDANE(d.Records, chain, d.Base, c.target.Domain)
}

// VerifyDANE asks for a certificate that one of the records of base names. With
// usage 3 it is the host's, whatever else stands in it (RFC 7672 section 3.1.1);
// with usage 2 that of an authority, and the host's must bear one of the names:
// base, or the domain that the mail is for (section 3.2.2).
func VerifyDANE(records []resolve.TLSA, chain []*x509.Certificate, base, domain string) error {
	err := fmt.Errorf("%w: no TLSA record of %s names it", ErrUnverified, base)
	for _, r := range records {
		switch {
		case len(chain) == 0:
		case r.Usage == 3 && matches(r, chain[0]):
			return nil
		case r.Usage == 2:
			found := verifyAnchor(r, chain, base, domain)
			if found == nil {
				return nil
			}
			err = found
		}
	}
	return err
}

// verifyAnchor takes the certificate of a record for the authority.
func verifyAnchor(r resolve.TLSA, chain []*x509.Certificate, names ...string) error {
	anchors := x509.NewCertPool()
	found := false
	for _, cert := range chain {
		if matches(r, cert) {
			anchors.AddCert(cert)
			found = true
		}
	}
	if r.Selector == 0 && r.Matching == 0 {
		if raw, err := hex.DecodeString(r.Data); err == nil {
			if cert, err := x509.ParseCertificate(raw); err == nil {
				anchors.AddCert(cert)
				found = true
			}
		}
	}
	if !found {
		return fmt.Errorf("%w: the authority of the TLSA record is not in the chain", ErrUnverified)
	}
	var err error
	for _, name := range names {
		if name == "" {
			continue
		}
		if err = verifyChain(chain, anchors, name); err == nil {
			return nil
		}
	}
	return err
}

// verifyChain verifies as RFC 5280 asks for, and the name.
func verifyChain(chain []*x509.Certificate, roots *x509.CertPool, name string) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: there is none", ErrUnverified)
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: strings.TrimSuffix(name, "."), Roots: roots, Intermediates: between})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnverified, err)
	}
	return nil
}
