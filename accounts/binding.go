package accounts

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"

	"github.com/xdg-go/scram"
)

// Channel binding ties a SCRAM exchange to the TLS connection that it runs in:
// somebody in between, who has a connection to each side, cannot pass it on.
// RFC 5056; RFC 5802 section 6.
const (
	bindExporter = scram.ChannelBindingTLSExporter       // RFC 9266
	bindEndPoint = scram.ChannelBindingTLSServerEndpoint // RFC 5929 section 4
)

// exporterLength is the octets of the exported value, RFC 9266 section 2.
const exporterLength = 32

// offersBinding reports whether there is a channel binding on this connection.
func (at Attempt) offersBinding() bool {
	return at.exported() != nil || at.binding(bindEndPoint).IsSupported()
}

// binding returns the binding of a type, which is not supported (see
// [scram.ChannelBinding.IsSupported]) if there is none on this connection.
func (at Attempt) binding(kind scram.ChannelBindingType) scram.ChannelBinding {
	b := scram.ChannelBinding{Type: kind}
	switch {
	case kind == bindExporter:
		b.Data = at.exported()
	case kind == bindEndPoint && at.ServerCertificate != nil && at.encrypted():
		b.Data = endPoint(at.ServerCertificate)
	}
	return b
}

// exported returns the keying material of RFC 9266, nil where there is none
// that is unique: TLS 1.2 and earlier need the extended master secret
// (RFC 7627), without which the standard library exports nothing.
func (at Attempt) exported() []byte {
	if at.TLSState == nil || !at.TLSState.HandshakeComplete || at.TLSState.Version < tls.VersionTLS12 {
		return nil
	}
	b, err := at.TLSState.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, exporterLength)
	if err != nil {
		return nil
	}
	return b
}

// endPoint returns the hash of a certificate, by the hash function of its
// signature, SHA-256 in place of MD5 and SHA-1; nil where the signature has none
// of its own (Ed25519). RFC 5929 section 4.1.
func endPoint(c *x509.Certificate) []byte {
	var hash crypto.Hash
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.DSAWithSHA256, x509.ECDSAWithSHA256:
		hash = crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		hash = crypto.SHA512
	default:
		return nil
	}
	h := hash.New() // crypto/x509 links all three
	h.Write(c.Raw)
	return h.Sum(nil)
}
