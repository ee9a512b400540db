package accounts

import (
	"crypto/tls"
	"crypto/x509"
	"net/smtp"
	"testing"

	"github.com/emersion/go-sasl"
)

// withClient runs an exchange with a client that others have written.
func withClient(t *testing.T, a *Authenticator, at Attempt, client sasl.Client) (in *SignedIn, err error) {
	t.Helper()
	mechanism, response, err := client.Start()
	if err != nil {
		t.Fatal(err)
	}
	server, err := a.SASL(t.Context(), at, mechanism, func(got *SignedIn) { in = got })
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		challenge, done, err := server.Next(response)
		if done || err != nil {
			return in, err
		}
		if response, err = client.Next(challenge); err != nil {
			response = []byte{1} // it has read the refusal; RFC 7628 section 3.2.3
		}
	}
	t.Fatal("the exchange does not end")
	return nil, nil
}

// cramClient makes a client for SASL of the one for SMTP.
type cramClient struct{ smtp.Auth }

func (c cramClient) Start() (string, []byte, error) {
	return c.Auth.Start(&smtp.ServerInfo{Name: "mail.company.test", TLS: true, Auth: []string{"CRAM-MD5"}})
}

func (c cramClient) Next(challenge []byte) ([]byte, error) { return c.Auth.Next(challenge, true) }

func TestOtherClients(t *testing.T) {
	t.Parallel()
	a := openWithAll(t)
	at := fromLoopback()
	at.TLSState = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{madeFor("jsmith")}}
	bearer := func(user, token string) sasl.Client {
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: user, Token: token, Host: "mail.company.test", Port: 110})
	}
	for name, tt := range map[string]struct {
		client sasl.Client
		want   error
	}{
		"PLAIN":                {sasl.NewPlainClient("", "jsmith", "tulip"), nil},
		"PLAIN, wrong":         {sasl.NewPlainClient("", "jsmith", "Tulip"), ErrCredentials},
		"LOGIN":                {sasl.NewLoginClient("jsmith", "tulip"), nil},
		"EXTERNAL":             {sasl.NewExternalClient(""), nil},
		"EXTERNAL, named":      {sasl.NewExternalClient("info"), nil},
		"EXTERNAL, as another": {sasl.NewExternalClient("boss"), ErrCredentials},
		"OAUTHBEARER":          {bearer("jsmith@company.test", "of-jsmith"), nil},
		"OAUTHBEARER, stale":   {bearer("jsmith@company.test", "stale"), ErrCredentials},
		"CRAM-MD5":             {cramClient{smtp.CRAMMD5Auth("old", "tulip")}, nil},
		"CRAM-MD5, wrong":      {cramClient{smtp.CRAMMD5Auth("old", "Tulip")}, ErrCredentials},
	} {
		in, err := withClient(t, a, at, tt.client)
		if wantError(t, err, tt.want); (in == nil) != (tt.want != nil) {
			t.Errorf("%s: %+v, %v", name, in, err)
		}
	}
}
