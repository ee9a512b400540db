package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"tripost/syslog"
)

// TLS returns the state of the TLS connection, nil without TLS.
func (c *Conn) TLS() *tls.ConnectionState {
	t, ok := c.below().(*tls.Conn)
	if !ok {
		return nil
	}
	state := t.ConnectionState()
	return &state
}

// ServerCertificate returns the certificate of the TLS connection, by which the
// client knows the server (RFC 5929 section 4); nil without TLS. Where a session
// was resumed, none was shown: then it is the one that would have been.
func (c *Conn) ServerCertificate() *x509.Certificate {
	if c.over == nil {
		return nil
	}
	return c.over.certificate
}

// underTLS is the socket as the TLS connection over it has it. It takes note of
// the certificate that is shown, which crypto/tls does not tell.
type underTLS struct {
	net.Conn
	shown *x509.Certificate
}

// CanTLS reports whether StartTLS may be offered: there is a certificate, and
// TLS is not on yet.
func (c *Conn) CanTLS() bool { return c.config.TLS != nil && !c.isTLS() }

func (c *Conn) isTLS() bool {
	_, ok := c.below().(*tls.Conn)
	return ok
}

// StartTLS sends what has been written, the go-ahead, then drops all buffered
// input, for whoever sent it ahead of the handshake need not be the peer
// (RFC 3207 section 6, RFC 8314 section 3.1), and does the handshake within its
// timeout. After an error the connection can only be closed.
func (c *Conn) StartTLS(ctx context.Context) error {
	if !c.CanTLS() {
		return ErrNoTLS
	}
	if err := c.Flush(); err != nil {
		return err
	}
	if n := c.Buffered(); n > 0 {
		c.config.Log.Logf(syslog.Problem, "%d octets of plain-text input before the TLS handshake dropped", n)
	}
	c.r, c.w, c.line, c.body = 0, 0, nil, nil
	c.releaseInput()
	c.releaseOutput()
	return c.handshake(ctx)
}

// handshake puts TLS over the socket.
func (c *Conn) handshake(ctx context.Context) error {
	if c.config.TLS == nil {
		return ErrNoTLS
	}
	c.raw.SetDeadline(time.Now().Add(c.config.handshakeTimeout()))
	under := &underTLS{Conn: c.raw}
	t := tls.Server(under, c.config.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.raw.SetDeadline(time.Time{})
	c.armed, c.writeDeadline = false, time.Time{}
	if under.shown == nil && c.config.TLS.GetCertificate != nil {
		name := t.ConnectionState().ServerName
		if _, err := c.config.TLS.GetCertificate(&tls.ClientHelloInfo{ServerName: name, Conn: under}); err != nil {
			return fmt.Errorf("TLS handshake: find the certificate: %w", err)
		}
	}
	c.nc, c.sys = t, nil
	c.layer().certificate = under.shown
	return nil
}
