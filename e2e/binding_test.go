package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// TestChannelBinding signs in to each protocol by SCRAM-SHA-256-PLUS, bound to
// the keys of the TLS connection and to the server's certificate, and finds that
// an exchange bound to another connection is refused.
func TestChannelBinding(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann")
	protocols := []struct {
		name, addr, greeting, hello, ready, command, challenge, good, bad string
	}{
		{"POP", s.popTLS, "+OK", "CAPA", ".", "AUTH SCRAM-SHA-256-PLUS", "+ ", "+OK", "-ERR [AUTH]"},
		{"IMAP", s.imapTLS, "* OK", "a CAPABILITY", "a OK", "b AUTHENTICATE SCRAM-SHA-256-PLUS", "+ ", "b OK", "b NO [AUTHENTICATIONFAILED]"},
		{"submission", s.submissionTLS, "220", "EHLO client.test", "250 ", "AUTH SCRAM-SHA-256-PLUS", "334 ", "235", "535"},
	}
	connect := func(t *testing.T, addr string) (*textConn, *tls.ConnectionState) {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		state := conn.ConnectionState()
		return &textConn{t, bufio.NewReader(conn), bufio.NewWriter(conn)}, &state
	}
	exporter := func(state *tls.ConnectionState) (scram.ChannelBinding, error) {
		return scram.NewTLSExporterBinding(state)
	}
	endPoint := func(state *tls.ConnectionState) (scram.ChannelBinding, error) {
		return scram.NewTLSServerEndpointBinding(state)
	}
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			_, other := connect(t, p.addr)
			for name, bind := range map[string]func(*tls.ConnectionState) (scram.ChannelBinding, error){
				"tls-exporter": exporter, "tls-server-end-point": endPoint,
				"another's": func(*tls.ConnectionState) (scram.ChannelBinding, error) { return exporter(other) },
			} {
				c, state := connect(t, p.addr)
				binding, err := bind(state)
				if err != nil {
					t.Fatal(err)
				}
				c.want(p.greeting)
				c.send("%s", p.hello)
				if offer := strings.Join(c.until(p.ready), " "); !strings.Contains(offer, "SCRAM-SHA-256-PLUS") {
					t.Errorf("not offered: %s", offer)
				}
				want := p.good
				if name == "another's" {
					want = p.bad
				}
				if got := scramPlus(t, c, p.command, p.challenge, binding); !strings.HasPrefix(got, want) {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// scramPlus runs an exchange and returns the line that ends it.
func scramPlus(t *testing.T, c *textConn, command, challenge string, binding scram.ChannelBinding) string {
	t.Helper()
	client, err := scram.SHA256.NewClient(address("ann"), password, "")
	if err != nil {
		t.Fatal(err)
	}
	conv := client.NewConversationWithChannelBinding(binding)
	c.send("%s", command)
	for {
		line := c.line()
		if strings.HasPrefix(line, "* ") {
			continue
		}
		text, asked := strings.CutPrefix(line, challenge)
		if !asked {
			return line
		}
		said, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		response := ""
		if !conv.Done() {
			if response, err = conv.Step(string(said)); err != nil {
				t.Fatalf("%q: %v", said, err)
			}
		}
		c.send("%s", base64.StdEncoding.EncodeToString([]byte(response)))
	}
}
