package accounts

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// overTLS does a handshake over a real socket, in which the client shows mine if
// it has any, and returns what each side sees of it. With resume it is the
// second one of two, the session of the first being resumed.
func overTLS(t *testing.T, version uint16, cert certificate, mine *certificate, resume bool) (server, client tls.ConnectionState) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{cert.forTLS()}, ClientAuth: tls.RequestClientCert,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	roots := x509.NewCertPool()
	roots.AddCert(cert.leaf)
	config := &tls.Config{
		RootCAs: roots, ServerName: "mail.company.test", MaxVersion: version,
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	if mine != nil {
		config.Certificates = []tls.Certificate{mine.forTLS()}
	}
	server, client = handshake(t, ln, config)
	if resume {
		if server, client = handshake(t, ln, config); !server.DidResume {
			t.Error("the session was not resumed")
		}
	}
	return server, client
}

func (c certificate) forTLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{c.leaf.Raw}, PrivateKey: c.key, Leaf: c.leaf}
}

func handshake(t *testing.T, ln net.Listener, config *tls.Config) (server, client tls.ConnectionState) {
	t.Helper()
	accepted := make(chan tls.ConnectionState, 1)
	go func() {
		defer close(accepted)
		nc, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		if _, err := nc.Write([]byte{0}); err != nil { // the first one does the handshake
			t.Error(err)
			return
		}
		accepted <- nc.(*tls.Conn).ConnectionState()
	}()
	conn, err := tls.Dial("tcp", ln.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil { // tickets of TLS 1.3 come with data
		t.Fatal(err)
	}
	return <-accepted, conn.ConnectionState()
}

// plusAs runs an exchange with a client that binds it to its own connection.
func plusAs(t *testing.T, a *Authenticator, at Attempt, name, password string, binding scram.ChannelBinding) (*SignedIn, error) {
	t.Helper()
	client, err := scram.SHA256.NewClient(name, password, "")
	if err != nil {
		t.Fatal(err)
	}
	var in *SignedIn
	server, err := a.SASL(t.Context(), at, "SCRAM-SHA-256-PLUS", func(got *SignedIn) { in = got })
	if err != nil {
		return nil, err
	}
	conv := client.NewConversationWithChannelBinding(binding)
	challenge := ""
	for range 5 {
		response, err := conv.Step(challenge)
		if err != nil {
			t.Fatal(err)
		}
		next, done, err := server.Next([]byte(response))
		if err != nil || done {
			return in, err
		}
		challenge = string(next)
	}
	t.Fatal("the exchange does not end")
	return nil, nil
}

func TestScramPlus(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	cert := makeCertificate("mail.company.test", time.Now().Add(time.Hour), false)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			server, client := overTLS(t, version, cert, nil, version == tls.VersionTLS13)
			at := Attempt{Remote: owner, TLSState: &server, ServerCertificate: cert.leaf}
			if got := strings.Join(a.Mechanisms(at), " "); got != "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" {
				t.Errorf("offered is %s", got)
			}
			exporter, err := scram.NewTLSExporterBinding(&client)
			must(t)(exporter, err)
			endPoint, err := scram.NewTLSServerEndpointBinding(&client)
			must(t)(endPoint, err)
			for _, binding := range []scram.ChannelBinding{exporter, endPoint} {
				in, err := plusAs(t, a, at, "info", "tulip", binding)
				if err != nil || in.Identity.Name != "jsmith@company.test" || in.Mechanism != "SCRAM-SHA-256-PLUS" {
					t.Errorf("%s: %+v, %v", binding.Type, in, err)
				}
				for _, wrong := range [][2]string{{"jsmith", "Tulip"}, {"nobody", "tulip"}, {"empty", "tulip"}} {
					_, err = plusAs(t, a, at, wrong[0], wrong[1], binding)
					wantError(t, err, ErrCredentials)
					a.throttle.addresses, a.throttle.accounts = newCulprits(), newCulprits()
				}
			}

			// Passed on by somebody in between, who has another connection.
			other, _ := overTLS(t, version, makeCertificate("mail.company.test", time.Now().Add(time.Hour), false), nil, false)
			between := Attempt{Remote: owner, TLSState: &other, ServerCertificate: madeFor("stranger")}
			for _, binding := range []scram.ChannelBinding{exporter, endPoint} {
				_, err = plusAs(t, a, between, "jsmith", "tulip", binding)
				wantError(t, err, ErrCredentials)
				a.throttle.addresses, a.throttle.accounts = newCulprits(), newCulprits()
			}

			_, err = plusAs(t, a, at, "jsmith", "tulip", scram.NewTLSUniqueBinding([]byte("finished")))
			wantError(t, err, ErrMalformed)
			at.ServerCertificate = nil
			_, err = plusAs(t, a, at, "jsmith", "tulip", endPoint)
			wantError(t, err, ErrMalformed)
			_, err = scramAs(t, a, at, "jsmith", "tulip", "") // says n
			wantError(t, err, nil)
		})
	}
}

// The flag has to fit the mechanism, and what was offered.
func TestScramFlags(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	server, _ := overTLS(t, tls.VersionTLS13, makeCertificate("mail.company.test", time.Now().Add(time.Hour), true), nil, false)
	bound := Attempt{Remote: owner, TLSState: &server}
	plain := Attempt{Remote: owner, TLS: true} // a TLS that nothing is known of
	for _, tt := range []struct {
		at        Attempt
		mechanism string
		flag      string
		want      error
	}{
		{bound, "SCRAM-SHA-256", "n", nil},
		{bound, "SCRAM-SHA-256", "y", ErrCredentials}, // somebody took PLUS from the list
		{bound, "SCRAM-SHA-256", "p=tls-exporter", ErrMalformed},
		{bound, "SCRAM-SHA-256", "x", ErrMalformed},
		{bound, "SCRAM-SHA-256-PLUS", "n", ErrMalformed},
		{bound, "SCRAM-SHA-256-PLUS", "y", ErrMalformed},
		{bound, "SCRAM-SHA-256-PLUS", "p=tls-exporter", nil},
		{bound, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point", ErrMalformed},
		{bound, "SCRAM-SHA-256-PLUS", "p=tls-unique", ErrMalformed},
		{bound, "SCRAM-SHA-256-PLUS", "p=", ErrMalformed},
		{bound, "SCRAM-SHA-256-PLUS", "p", ErrMalformed},
		{plain, "SCRAM-SHA-256", "n", nil},
		{plain, "SCRAM-SHA-256", "y", nil},
		{plain, "SCRAM-SHA-256", "p=tls-exporter", ErrMalformed},
		{plain, "SCRAM-SHA-256-PLUS", "p=tls-exporter", ErrMechanism},
	} {
		server, err := a.SASL(t.Context(), tt.at, tt.mechanism, nil)
		if err == nil {
			_, _, err = server.Next([]byte(tt.flag + ",,n=jsmith,r=abc"))
		}
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s with %q: %v, want %v", tt.mechanism, tt.flag, err, tt.want)
		}
	}
}

// RFC 5929 section 4.1: the hash is that of the signature, but never weaker
// than SHA-256.
func TestEndPoint(t *testing.T) {
	t.Parallel()
	for algorithm, hash := range map[x509.SignatureAlgorithm]crypto.Hash{
		x509.MD5WithRSA:       crypto.SHA256,
		x509.ECDSAWithSHA1:    crypto.SHA256,
		x509.SHA256WithRSAPSS: crypto.SHA256,
		x509.ECDSAWithSHA384:  crypto.SHA384,
		x509.SHA512WithRSA:    crypto.SHA512,
		x509.PureEd25519:      0,
	} {
		size := 0
		if hash != 0 {
			size = hash.Size()
		}
		if got := endPoint(&x509.Certificate{Raw: []byte("x"), SignatureAlgorithm: algorithm}); len(got) != size {
			t.Errorf("%v: %d octets", algorithm, len(got))
		}
	}
}

// The certificate of a real handshake, and of a session that is resumed.
func TestExternalOverTLS(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	host := makeCertificate("mail.company.test", time.Now().Add(time.Hour), false)
	mine := makeCertificate("jsmith", time.Now().Add(time.Hour), true)
	must(t)(a.directory.SetAccount(t.Context(), "jsmith", func(a *Account) error { a.Certificate = Fingerprint(mine.leaf); return nil }))
	for _, resume := range []bool{false, true} {
		state, _ := overTLS(t, tls.VersionTLS13, host, &mine, resume)
		at := Attempt{Service: POP, Remote: owner, TLSState: &state}
		if got := strings.Join(a.Mechanisms(at), " "); got != "SCRAM-SHA-256-PLUS SCRAM-SHA-256 EXTERNAL PLAIN LOGIN" {
			t.Errorf("offered is %s", got)
		}
		in, err := withClient(t, a, at, sasl.NewExternalClient(""))
		if err != nil || in.Identity.Name != "jsmith@company.test" || in.Mechanism != "EXTERNAL" {
			t.Errorf("resumed %v: %+v, %v", resume, in, err)
		}
	}
	state, _ := overTLS(t, tls.VersionTLS13, host, nil, false)
	_, err := a.SASL(t.Context(), Attempt{Remote: owner, TLSState: &state}, "EXTERNAL", nil)
	wantError(t, err, ErrMechanism)
}
