package e2e

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"
)

// TestTLSVersions shakes hands with each listener in old and new ways: what is
// broken is refused everywhere, and what merely is old on the listeners for users.
func TestTLSVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	starttls := func() net.Conn {
		l, err := dialLines(s.smtp)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		for _, step := range []struct{ say, want string }{{"", "220 "}, {"EHLO client.test\r\n", "250 "}, {"STARTTLS\r\n", "220 "}} {
			if err := l.send(step.say); err != nil {
				t.Fatal(err)
			}
			for line := ""; !strings.HasPrefix(line, step.want); {
				if line, err = l.line(); err != nil {
					t.Fatal(err)
				}
			}
		}
		return l.Conn
	}
	dial := func(addr string) func() net.Conn {
		return func() net.Conn {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close() })
			return nc
		}
	}
	for _, l := range []struct {
		name  string
		dial  func() net.Conn
		users bool
	}{
		{"POP", dial(s.popTLS), true}, {"IMAP", dial(s.imapTLS), true}, {"submission", dial(s.submissionTLS), true}, {"SMTP", starttls, false},
	} {
		for _, c := range []struct {
			what     string
			min, max uint16
			suite    uint16 // 0: any
			works    bool
		}{
			{"TLS 1.0", tls.VersionTLS10, tls.VersionTLS10, 0, false},
			{"TLS 1.1", tls.VersionTLS10, tls.VersionTLS11, 0, false},
			{"RC4", tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, false},
			{"a key for all connections", tls.VersionTLS12, tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, false},
			{"CBC", tls.VersionTLS12, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, !l.users},
			{"TLS 1.2", tls.VersionTLS12, tls.VersionTLS12, 0, true},
			{"TLS 1.3", tls.VersionTLS13, tls.VersionTLS13, 0, true},
		} {
			config := &tls.Config{InsecureSkipVerify: true, MinVersion: c.min, MaxVersion: c.max}
			if c.suite != 0 {
				config.CipherSuites = []uint16{c.suite}
			}
			nc := l.dial()
			nc.SetDeadline(time.Now().Add(patience))
			if err := tls.Client(nc, config).Handshake(); (err == nil) != c.works {
				t.Errorf("%s: %s: %v", l.name, c.what, err)
			}
			nc.Close()
		}
	}
}
