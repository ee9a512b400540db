package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tripost/syslog"
	"tripost/syslog/syslogtest"
)

// Whoever sits between may put commands behind a STARTTLS; they must not be
// taken for the peer's, whether they come in the same packet or as the lines
// after it.
func TestStartTLSDropsPlainText(t *testing.T) {
	t.Parallel()
	log, logged := syslogtest.Open(t, syslog.Problem)
	config := timeouts()
	config.TLS = testCertificates(t).Config(true)
	config.Log = log.Tag("SMTPI")
	c, peer := tcpPair(t, config)
	if !c.CanTLS() || c.TLS() != nil {
		t.Error("TLS is on, or not to be had")
	}
	io.WriteString(peer, "STARTTLS\r\nMAIL FROM:<injected@example.test>\r\n")
	if line, err := c.ReadLine(512); err != nil || string(line) != "STARTTLS" {
		t.Fatalf("%q, %v", line, err)
	}
	c.WriteString("220 go ahead\r\n")
	done := make(chan error, 1)
	go func() { done <- c.StartTLS(t.Context()) }()
	if got, err := bufio.NewReaderSize(peer, 16).ReadString('\n'); got != "220 go ahead\r\n" {
		t.Fatalf("go-ahead %q, %v", got, err)
	}
	client := tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
	send(client, "EHLO client.test\r\n")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if line, err := c.ReadLine(512); err != nil || string(line) != "EHLO client.test" {
		t.Errorf("first line after the handshake %q, %v", line, err)
	}
	if s := c.TLS(); c.CanTLS() || s == nil || s.Version < tls.VersionTLS12 {
		t.Errorf("state %+v", s)
	}
	if err := c.StartTLS(t.Context()); err != ErrNoTLS {
		t.Errorf("a second handshake: %v", err)
	}
	records := strings.Split(strings.TrimSuffix(logged(), "\n"), "\n")
	if len(records) != 1 || !strings.Contains(records[0], "35 octets of plain-text input") {
		t.Errorf("log: %q", records)
	}
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	config := timeouts()
	config.Handshake = 20 * time.Millisecond
	config.TLS = testCertificates(t).Config(true)
	c, _ := tcpPair(t, config)
	if err := c.StartTLS(context.Background()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a silent client: %v", err)
	}
}

func TestHandshakeWithNonsense(t *testing.T) {
	t.Parallel()
	config := timeouts()
	config.TLS = testCertificates(t).Config(true)
	c, peer := tcpPair(t, config)
	send(peer, "EHLO client.test\r\n")
	if err := c.StartTLS(context.Background()); err == nil {
		t.Error("no error")
	}
}

func TestTLSCutShort(t *testing.T) {
	t.Parallel()
	c, peer := tlsPair(t, timeouts())
	peer.(*tls.Conn).NetConn().Close() // no close_notify: somebody may have cut it
	if _, err := c.ReadLine(512); err == nil {
		t.Error("no error")
	}
}

func TestSelfSigned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k, err := LoadCertificates("", "", dir, "mail.example.test")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, SelfSignedFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	leaf := k.current.Load().Leaf
	for _, name := range []string{"mail.example.test", "localhost", "127.0.0.1", "::1"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if until := time.Until(k.Expires()); until < 9*365*24*time.Hour || !k.SelfSigned() {
		t.Errorf("expires in %v", until)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	again, err := LoadCertificates("", "", dir, "mail.example.test")
	if err != nil || !again.current.Load().Leaf.Equal(leaf) {
		t.Errorf("not kept: %v", err)
	}
	for _, name := range []string{"other.example.test", "192.0.2.1"} {
		again, err = LoadCertificates("", "", dir, name)
		if err != nil || again.current.Load().Leaf.VerifyHostname(name) != nil {
			t.Errorf("for %q: %v", name, err)
		}
	}
	os.WriteFile(path, []byte("damaged"), 0o600)
	if _, err = LoadCertificates("", "", dir, "mail.example.test"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("damaged: %v", err)
	}
	if _, err = LoadCertificates("", "", filepath.Join(dir, "missing"), "x.test"); err == nil {
		t.Error("no error without a directory")
	}
}

func TestCertificateFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string) string {
		content, err := selfSigned(name, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two := write("one.test"), write("two.test")
	k, err := LoadCertificates(one, "", dir, "ignored.test")
	if err != nil || k.SelfSigned() {
		t.Fatal(err)
	}
	config := k.Config(false)
	if !config.SessionTicketsDisabled || k.Config(true).SessionTicketsDisabled {
		t.Error("tickets")
	}
	served := func() string {
		c, err := config.GetCertificate(&tls.ClientHelloInfo{ServerName: "unknown.test."})
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.DNSNames[0]
	}
	if got := served(); got != "one.test" {
		t.Errorf("serves %q", got)
	}
	content, _ := os.ReadFile(two)
	os.WriteFile(one, content, 0o600)
	if err := k.Reload(); err != nil || served() != "two.test" || k.Names()[0] != "two.test" {
		t.Errorf("reloaded: %q, %v", served(), err)
	}
	os.WriteFile(one, []byte("damaged"), 0o600)
	if err := k.Reload(); err == nil || served() != "two.test" {
		t.Errorf("damaged: %q, %v", served(), err)
	}
	missing, other := filepath.Join(dir, "missing.pem"), write("other.test")
	for _, tc := range []struct{ cert, key, want string }{
		{missing, two, "read the TLS certificate \"" + missing + "\": no such file or directory"},
		{two, missing, "read the TLS key \"" + missing + "\": no such file or directory"},
		{two, other, "use the TLS certificate \"" + two + "\" with the key \"" + other + "\": tls: private key does not match public key"},
		{"", two, "TLS: there is a key \"" + two + "\" but no certificate"},
	} {
		if _, err := LoadCertificates(tc.cert, tc.key, dir, ""); err == nil || err.Error() != tc.want {
			t.Errorf("got %v\nwant %s", err, tc.want)
		}
	}
}

// The certificate that the client sees is known, of a resumed session too.
func TestServerCertificate(t *testing.T) {
	t.Parallel()
	config := timeouts()
	config.TLS = testCertificates(t).Config(true)
	cache := tls.NewLRUClientSessionCache(1)
	for _, resumed := range []bool{false, true} {
		c, peer := tcpPair(t, config)
		if c.ServerCertificate() != nil {
			t.Error("there is a certificate without TLS")
		}
		client := tls.Client(peer, &tls.Config{InsecureSkipVerify: true, ServerName: "mail.example.test", ClientSessionCache: cache})
		done := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(client, make([]byte, 4)) // and the ticket before it
			done <- err
		}()
		if err := c.StartTLS(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.WriteString("+OK\n")
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		state := client.ConnectionState()
		if state.DidResume != resumed {
			t.Errorf("resumed: %v", state.DidResume)
		}
		if !c.ServerCertificate().Equal(state.PeerCertificates[0]) {
			t.Error("it is not the one that the client sees")
		}
	}
}
