package wire

import (
	"context"
	"crypto/tls"
	"fmt"
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
	c.r, c.w, c.long, c.body = 0, 0, nil, nil
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
	t := tls.Server(c.raw, c.config.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.raw.SetDeadline(time.Time{})
	c.armed, c.writeDeadline = false, time.Time{}
	c.nc, c.sys = t, nil
	return nil
}
