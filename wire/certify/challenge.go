package certify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
)

// The challenges of RFC 8555 section 8.3 and of RFC 8737.
const (
	typeHTTP = "http-01"
	typeTLS  = "tls-alpn-01"
)

// challenges are what the authority may ask at the moment. The zero value has
// none.
type challenges struct {
	mu    sync.Mutex
	texts map[string]string           // by path
	certs map[string]*tls.Certificate // by name
}

// prepare makes the answer to a challenge ready, until withdraw is called.
func (c *challenges) prepare(client *acme.Client, name string, chosen *acme.Challenge) (withdraw func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if chosen.Type == typeTLS {
		cert, err := client.TLSALPN01ChallengeCert(chosen.Token, name)
		if err != nil {
			return nil, fmt.Errorf("answering %s for %s: %w", typeTLS, name, err)
		}
		if c.certs == nil {
			c.certs = map[string]*tls.Certificate{}
		}
		c.certs[name] = &cert
		return func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.certs, name)
		}, nil
	}
	text, err := client.HTTP01ChallengeResponse(chosen.Token)
	if err != nil {
		return nil, fmt.Errorf("answering %s for %s: %w", typeHTTP, name, err)
	}
	if c.texts == nil {
		c.texts = map[string]string{}
	}
	path := client.HTTP01ChallengePath(chosen.Token)
	c.texts[path] = text
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.texts, path)
	}, nil
}

// ServeHTTP answers http-01, and nothing else.
func (c *challenges) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	text, ok := c.texts[r.URL.Path]
	c.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	io.WriteString(w, text) // the authority has gone if this fails
}

func (c *challenges) serveHTTP(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{Handler: c, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answering ACME on %s: %w", ln.Addr(), err)
	}
	return nil
}

// maxHandshakes is how many handshakes of tls-alpn-01 go on at once; an
// authority asks from a handful of places.
const maxHandshakes = 20

// serveTLS answers tls-alpn-01: the handshake is all there is to it.
func (c *challenges) serveTLS(ctx context.Context, ln net.Listener) error {
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{acme.ALPNProto},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if cert := c.certs[hello.ServerName]; cert != nil {
				return cert, nil
			}
			return nil, errors.New("nothing is to be shown for that name")
		},
	}
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, maxHandshakes)
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("answering ACME on %s: %w", ln.Addr(), err)
		}
		select {
		case slots <- struct{}{}:
		default:
			conn.Close()
			continue
		}
		running.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			_ = tls.Server(conn, config).HandshakeContext(ctx) // who fails shows nothing
		})
	}
}
