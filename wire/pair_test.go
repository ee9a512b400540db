package wire

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// timeouts are long enough never to pass in a test that is right.
func timeouts() Config {
	return Config{Read: 30 * time.Second, Write: 30 * time.Second, Handshake: 30 * time.Second}
}

// transports are the kinds of connection that a Conn treats differently.
var transports = map[string]func(testing.TB, Config) (*Conn, net.Conn){
	"tcp":  tcpPair,
	"unix": unixPair,
	"pipe": pipePair,
	"tls":  tlsPair,
}

// onEach runs a test on every kind of connection.
func onEach(t *testing.T, test func(t *testing.T, c *Conn, peer net.Conn)) {
	t.Helper()
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, peer := pair(t, timeouts())
			test(t, c, peer)
		})
	}
}

func tcpPair(t testing.TB, config Config) (*Conn, net.Conn) {
	t.Helper()
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return acceptPair(t, ln, config)
}

func unixPair(t testing.TB, config Config) (*Conn, net.Conn) {
	t.Helper()
	ln, err := Listen("unix:" + filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	return acceptPair(t, ln, config)
}

func acceptPair(t testing.TB, ln net.Listener, config Config) (*Conn, net.Conn) {
	t.Helper()
	defer ln.Close()
	peer, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return connPair(t, nc, peer, config)
}

func pipePair(t testing.TB, config Config) (*Conn, net.Conn) {
	t.Helper()
	nc, peer := net.Pipe()
	return connPair(t, nc, peer, config)
}

func connPair(t testing.TB, nc, peer net.Conn, config Config) (*Conn, net.Conn) {
	t.Helper()
	c := NewConn(nc, config)
	t.Cleanup(func() {
		peer.Close()
		c.Abort()
	})
	return c, peer
}

func tlsPair(t testing.TB, config Config) (*Conn, net.Conn) {
	t.Helper()
	config.TLS = testCertificates(t).Config(false)
	c, peer := tcpPair(t, config)
	client := tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := c.StartTLS(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return c, client
}

func testCertificates(t testing.TB) *Certificates {
	t.Helper()
	k, err := LoadCertificates("", "", t.TempDir(), "mail.example.test")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// send writes in the background, as the peer of a connection without buffers
// must.
func send(peer net.Conn, pieces ...string) {
	go func() {
		for _, p := range pieces {
			if _, err := peer.Write([]byte(p)); err != nil {
				return
			}
		}
	}()
}
