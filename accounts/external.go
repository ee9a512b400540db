package accounts

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
)

// external signs in by the client certificate of the TLS handshake, in which
// the client has proved that it has the key. Which account a certificate stands
// for is what the administrator has set: by whom it was signed does not matter.
//
// The authorization identity may be empty, or a login name of that account,
// which may select a mailbox. RFC 4422 appendix A.
func (c *conversation) external(response []byte) ([]byte, *SignedIn, error) {
	if response == nil {
		c.step = c.external
		return []byte{}, nil, nil
	}
	in, err := c.exchange.byCertificate(c.ctx, string(response))
	return nil, in, err
}

func (e *exchange) byCertificate(ctx context.Context, authzid string) (*SignedIn, error) {
	cert := e.at.TLSState.PeerCertificates[0]
	fingerprint := Fingerprint(cert)
	owner, err := e.auth.directory.byCertificate(ctx, fingerprint)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		return nil, fmt.Errorf("%w: reading the certificate's account: %w", ErrUnavailable, err)
	}
	e.login = authzid
	if authzid == "" {
		e.login = owner.Address()
	}
	switch {
	case err != nil:
		e.login, e.name = authzid, authzid
		e.detail = "certificate " + fingerprint + " is no account's"
	case !e.valid(cert):
		e.name, e.detail = owner.Address(), "certificate "+fingerprint+" is out of its time"
	default:
		if err := e.identify(ctx); err != nil {
			return nil, err
		}
		if !e.known || e.record.account.ID != owner.ID {
			e.detail = "certificate " + fingerprint + " is that of " + owner.Address()
		}
	}
	if err := e.wait(ctx); err != nil {
		return nil, err
	}
	if e.detail != "" {
		return nil, e.wrong(fingerprint)
	}
	return e.admit(ctx)
}

func (e *exchange) valid(c *x509.Certificate) bool {
	now := e.auth.now()
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

// byCertificate returns the account that has a certificate, or ErrNoAccount.
func (d *Directory) byCertificate(ctx context.Context, fingerprint string) (Account, error) {
	var acct Account
	err := d.View(ctx, func(n *Names) error {
		id, err := n.certificateOwner(fingerprint)
		switch {
		case err != nil:
			return err
		case id == 0:
			return ErrNoAccount
		}
		acct, err = n.AccountByID(id)
		return err
	})
	return acct, err
}
