package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// peer is the client side of a connection.
type peer struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func newPeer(t testing.TB, nc net.Conn) *peer { return &peer{nc, t, bufio.NewReader(nc)} }

// expect reads a line, which must begin with want.
func (p *peer) expect(want string) {
	p.t.Helper()
	got, err := p.in.ReadString('\n')
	if !strings.HasPrefix(got, want) {
		p.t.Fatalf("got %q (%v), want %q", got, err, want)
	}
}

// expectEnd reads to the end of the connection; nothing may come before it.
func (p *peer) expectEnd() {
	p.t.Helper()
	got, err := io.ReadAll(p.in)
	if len(got) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		p.t.Fatalf("got %q (%v), want the end", got, err)
	}
}

// say sends a line.
func (p *peer) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p, line+"\r\n"); err != nil {
		p.t.Fatal(err)
	}
}

// line reads a line, "" at the end of the connection.
func (p *peer) line() string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		p.t.Fatal(err)
	}
	return line
}

// certificate makes a certificate with its key, in PEM, that has a number.
func certificate(t testing.TB, serial int64) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"mail.company.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}
