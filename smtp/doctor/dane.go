package doctor

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"

	"tripost/smtp/resolve"
	"tripost/smtp/send"
)

// dane holds the TLSA records of an exchanger against the certificates that it
// shows; without some it has no TLS.
//
// RFC 7672 sections 2.2 and 3.1.
func (e *examination) dane(host string, chain []*x509.Certificate) {
	if e.TLSA == nil {
		return
	}
	list, secure, err := e.TLSA.TLSA(e.ctx, uint16(e.port()), host)
	if err != nil && !absent(err) {
		e.add(Wrong, "DANE", "the DNS does not say whether "+host+" has TLSA records: hosts that ask for them hold mail back: "+err.Error())
		return
	}
	signed := e.signed(host)
	if len(list) == 0 {
		if signed && chain != nil {
			e.add(Advice, "DANE", "the zones are signed, and "+host+" has no TLSA record that tells others its certificate", e.record(host, chain[0]))
		}
		return
	}
	usable := slices.DeleteFunc(slices.Clone(list), func(r resolve.TLSA) bool { return !send.Usable(r) })
	state := Wrong
	if !secure || !signed {
		state = Advice // nobody looks at them
	}
	switch {
	case chain == nil:
		e.add(state, "DANE", host+" has TLSA records, and no TLS: who looks at them does not send")
	case len(usable) == 0:
		e.add(Advice, "DANE", "no TLSA record of "+host+" is of a kind that mail servers use (DANE-EE or DANE-TA)", e.record(host, chain[0]))
	case send.VerifyDANE(usable, chain, host, e.name) != nil:
		e.add(state, "DANE", "no TLSA record of "+host+" names its certificate: who looks at them does not send", e.record(host, chain[0]))
	case state == Advice:
		e.add(Advice, "DANE", "the TLSA records of "+host+" name its certificate, and count for nothing: the DNS does not vouch for them and the MX by DNSSEC, or our resolver does not say so (queue.resolver_validates)")
	default:
		e.add(OK, "DANE", fmt.Sprintf("the TLSA records of %s name its certificate", host))
	}
}

// signed tells whether DNSSEC vouches for the way to an exchanger, without which
// TLSA records mean nothing.
func (e *examination) signed(host string) bool {
	_, mx, err := e.TLSA.MX(e.ctx, e.name)
	if err != nil || !mx {
		return false
	}
	h, err := e.TLSA.Host(e.ctx, host)
	return err == nil && h.Secure
}

// record is what to publish for a certificate: its key, so that it stays right
// when the certificate is renewed with the same one.
func (e *examination) record(host string, cert *x509.Certificate) string {
	return fmt.Sprintf("_%d._tcp.%s. IN TLSA 3 1 1 %x", e.port(), host, sha256.Sum256(cert.RawSubjectPublicKeyInfo))
}
