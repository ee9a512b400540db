package imap

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"tripost/accounts"
	"tripost/wire/wiretest"
)

// signInConn is a connection whose greeting has been read.
type signInConn struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

func (w *world) signInConn(t *testing.T) *signInConn {
	t.Helper()
	c := &signInConn{t: t}
	c.use(w.dial())
	t.Cleanup(func() { c.nc.Close() })
	c.line()
	return c
}

func (c *signInConn) use(nc net.Conn) {
	c.nc, c.r = nc, bufio.NewReader(nc)
	nc.SetDeadline(time.Now().Add(wiretest.Patience))
}

func (c *signInConn) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	must(c.t, err)
	return strings.TrimSuffix(line, "\r\n")
}

// startTLS goes over to TLS, with a certificate of the client or without, and
// returns the capabilities that are told then.
func (c *signInConn) startTLS(certificates ...tls.Certificate) (state tls.ConnectionState, capabilities string) {
	c.t.Helper()
	fmt.Fprint(c.nc, "tls STARTTLS\r\n")
	c.line()
	secure := tls.Client(c.nc, &tls.Config{InsecureSkipVerify: true, Certificates: certificates})
	must(c.t, secure.Handshake())
	c.use(secure)
	fmt.Fprint(c.nc, "cap CAPABILITY\r\n")
	capabilities = c.line()
	c.line()
	return secure.ConnectionState(), capabilities
}

// authenticate gives the command and answers its challenges by step, until the
// tagged response, which it returns.
func (c *signInConn) authenticate(arguments string, step func(string) (string, error)) string {
	c.t.Helper()
	fmt.Fprintf(c.nc, "a AUTHENTICATE %s\r\n", arguments)
	for {
		line := c.line()
		challenge, more := strings.CutPrefix(line, "+ ")
		if !more {
			return line
		}
		text, err := base64.StdEncoding.DecodeString(challenge)
		must(c.t, err)
		response, err := step(string(text))
		must(c.t, err)
		fmt.Fprintf(c.nc, "%s\r\n", base64.StdEncoding.EncodeToString([]byte(response)))
	}
}

// TestSCRAM signs in with SCRAM-SHA-256, the client's first message with the
// command or after it, and over TLS bound to the connection. The server's proof
// comes as a challenge, which the client answers with an empty line (RFC 5802,
// RFC 4959).
func TestSCRAM(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.run()
	for _, test := range []struct {
		name, password string
		initial, tls   bool
		want           string
	}{
		{"initial response", password, true, false, "OK [CAPABILITY "},
		{"empty challenge first", password, false, false, "OK [CAPABILITY "},
		{"wrong password", "guess", true, false, "NO [AUTHENTICATIONFAILED]"},
		{"bound to TLS", password, true, true, "OK [CAPABILITY "},
		{"bound to TLS, wrong password", "guess", false, true, "NO [AUTHENTICATIONFAILED]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, err := scram.SHA256.NewClient("ann", test.password, "")
			must(t, err)
			c := w.signInConn(t)
			command, conversation := "SCRAM-SHA-256", client.NewConversation()
			if test.tls {
				state, _ := c.startTLS()
				binding, err := scram.NewTLSExporterBinding(&state)
				must(t, err)
				command += "-PLUS"
				conversation = client.NewConversationWithChannelBinding(binding)
			}
			if test.initial {
				first, err := conversation.Step("")
				must(t, err)
				command += " " + base64.StdEncoding.EncodeToString([]byte(first))
			}
			if got := c.authenticate(command, conversation.Step); !strings.HasPrefix(got, "a "+test.want) {
				t.Fatalf("completion %q, want %q", got, test.want)
			}
			if strings.HasPrefix(test.want, "OK") && !conversation.Valid() {
				t.Error("the server has not shown its proof")
			}
		})
	}
}

// clientCertificate makes a certificate of a client's own.
func clientCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: epoch, NotAfter: epoch.AddDate(100, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// TestExternal signs in by the certificate of the TLS handshake, with an empty
// initial response ("=", RFC 4959 section 3), with none, and with a name.
func TestExternal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.wire.TLS = w.wire.TLS.Clone()
	w.wire.TLS.ClientAuth = tls.RequestClientCert
	ann := clientCertificate(t)
	_, err := w.dir.SetAccount(w.ctx, "ann@example.test", func(a *accounts.Account) error {
		a.Certificate = accounts.Fingerprint(ann.Leaf)
		return nil
	})
	must(t, err)
	w.run()
	name := base64.StdEncoding.EncodeToString([]byte("boss"))
	for _, test := range []struct {
		name, arguments string
		certificates    []tls.Certificate
		want            string
	}{
		{"empty initial response", "EXTERNAL =", []tls.Certificate{ann}, "a OK [CAPABILITY "},
		{"empty challenge first", "EXTERNAL", []tls.Certificate{ann}, "a OK [CAPABILITY "},
		{"name of another", "EXTERNAL " + name, []tls.Certificate{ann}, "a NO [AUTHENTICATIONFAILED]"},
		{"certificate of nobody", "EXTERNAL =", []tls.Certificate{clientCertificate(t)}, "a NO [AUTHENTICATIONFAILED]"},
		{"no certificate", "EXTERNAL =", nil, "a NO [CANNOT]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := w.signInConn(t)
			_, capabilities := c.startTLS(test.certificates...)
			known := len(test.certificates) > 0 && test.certificates[0].Leaf == ann.Leaf
			if offered := strings.Contains(capabilities, " AUTH=EXTERNAL"); offered != known {
				t.Errorf("EXTERNAL offered: %v, %s", offered, capabilities)
			}
			if got := c.authenticate(test.arguments, func(string) (string, error) { return "", nil }); !strings.HasPrefix(got, test.want) {
				t.Errorf("completion %q, want %q", got, test.want)
			}
		})
	}
}
