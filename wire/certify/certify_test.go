package certify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// TestMain lets all authorities check at once, and refuse a nonce now and then.
func TestMain(m *testing.M) {
	os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	os.Setenv("PEBBLE_WFE_NONCEREJECT", "20")
	os.Exit(m.Run())
}

// authority is a certification authority of the test's own.
type authority struct {
	url   string
	roots *x509.CertPool // of its web server
	http  net.Listener   // where it looks for port 80
	tls   net.Listener   // where it looks for port 443
}

// newAuthority starts one, which believes that all names are at 127.0.0.1 but
// those below nowhere.test.
func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{http: listen(t), tls: listen(t)}
	silent := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(silent, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: 3 * 86400}})
	validator := va.New(silent, port(a.http), port(a.tls), false, nameServer(t), store)
	front := wfe.New(silent, store, validator, issuer, []string{"ca.test"}, false, false, 0, 0)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	a.url = server.URL + wfe.DirectoryPath
	a.roots = x509.NewCertPool()
	a.roots.AddCert(server.Certificate())
	return a
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func port(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// nameServer answers questions for addresses.
func nameServer(t *testing.T) string {
	t.Helper()
	ln := listen(t) // the authority asks over TCP
	server := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name := q.Question[0].Name
		if q.Question[0].Qtype == dns.TypeA && !strings.HasSuffix(name, "nowhere.test.") {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)})
		}
		w.WriteMsg(m)
	})}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
	return ln.Addr().String()
}

// world is a Manager that runs.
type world struct {
	*testing.T
	o    Options
	used chan *tls.Certificate
	said chan string
}

func newWorld(t *testing.T, a *authority, dir string, names ...string) *world {
	w := &world{T: t, used: make(chan *tls.Certificate, 10), said: make(chan string, 100)}
	w.o = Options{
		Directory: a.url, Email: "postmaster@company.test", Names: names, Dir: dir, HTTP: a.http, TLS: a.tls, Roots: a.roots,
		Use: func(c *tls.Certificate) { w.used <- c },
		Logf: func(failed bool, format string, args ...any) {
			w.said <- fmt.Sprintf("%v ", failed) + fmt.Sprintf(format, args...)
		},
	}
	return w
}

// manager makes one that does not wait after a nonce was refused.
func (w *world) manager() *Manager {
	w.Helper()
	m, err := New(w.o)
	if err != nil {
		w.Fatal(err)
	}
	m.client.RetryBackoff = func(int, *http.Request, *http.Response) time.Duration { return time.Millisecond }
	return m
}

func (w *world) run() *Manager {
	w.Helper()
	m := w.manager()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	w.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
	return m
}

// certificate waits for one, or for the reason why there is none.
func (w *world) certificate() *tls.Certificate {
	w.Helper()
	for {
		select {
		case c := <-w.used:
			return c
		case said := <-w.said:
			if strings.HasPrefix(said, "true") {
				w.Fatal(said)
			}
			w.said <- said // so the certificate is there already
		case <-time.After(patience):
			w.Fatal("no certificate")
		}
	}
}

const patience = 4 * time.Minute

// wait receives with a deadline.
func wait[V any](t *testing.T, what string, c <-chan V) (v V) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("no %s", what)
	}
	return v
}

// TestCertificate gets one by each kind of challenge, keeps it, and does not ask
// again after a restart.
func TestCertificate(t *testing.T) {
	t.Parallel()
	for _, way := range []string{typeHTTP, typeTLS} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			dir := filepath.Join(t.TempDir(), "acme")
			w := newWorld(t, a, dir, "mail.company.test", "imap.company.test")
			if way == typeHTTP {
				w.o.TLS = nil
			} else {
				w.o.HTTP = nil
			}
			w.run()
			c := w.certificate()
			if !slices.Equal(c.Leaf.DNSNames, []string{"imap.company.test", "mail.company.test"}) && !fits(c, w.o.Names) {
				t.Errorf("certificate for %v", c.Leaf.DNSNames)
			}
			if said := wait(t, "word", w.said); !strings.HasPrefix(said, "false certificate for [mail.company.test imap.company.test]") {
				t.Error(said)
			}
			for _, name := range []string{accountName, certificateName} {
				if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v", name, info, err)
				}
			}
			again := newWorld(t, a, dir, "mail.company.test")
			again.o.Directory = "http://127.0.0.1:1/" // nobody is asked
			m, err := New(again.o)
			if err != nil {
				t.Fatal(err)
			}
			kept := wait(t, "kept certificate", again.used)
			if !slices.Equal(kept.Leaf.Raw, c.Leaf.Raw) || m.due() < 47*time.Hour {
				t.Errorf("another certificate, or due in %v", m.due())
			}
		})
	}
}

// TestOtherNames asks for a new one when the kept one lacks a name, or is old.
func TestOtherNames(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	dir := t.TempDir()
	w := newWorld(t, a, dir, "mail.company.test")
	w.run()
	first := w.certificate()
	more := newWorld(t, a, dir, "mail.company.test", "pop.company.test")
	m, err := New(more.o)
	if err != nil || len(more.used) > 0 || m.due() != 0 {
		t.Errorf("a certificate that lacks a name is due in %v, %v", m.due(), err)
	}
	old := newWorld(t, a, dir, "mail.company.test")
	old.o.Now = func() time.Time { return time.Now().Add(50 * time.Hour) }
	if m, err = New(old.o); err != nil || len(old.used) != 1 || m.due() != 0 {
		t.Errorf("a certificate near its end is due in %v, %v", m.due(), err)
	}
	gone := newWorld(t, a, dir, "mail.company.test")
	gone.o.Now = func() time.Time { return time.Now().Add(100 * time.Hour) }
	if m, err = New(gone.o); err != nil || len(gone.used) != 0 || m.due() != 0 {
		t.Errorf("an expired certificate is used, or due in %v, %v", m.due(), err)
	}
	if key, err := m.certificateKey(); err != nil || !key.PublicKey.Equal(first.Leaf.PublicKey) {
		t.Errorf("the next certificate has another key (%v)", err)
	}
}

// TestFailure tells why there is no certificate, and goes on.
func TestFailure(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for name, change := range map[string]func(*Options){
		"nowhere.test: ":                func(o *Options) { o.Names = []string{"mail.nowhere.test"} },
		"needs tls.acme_http":           func(o *Options) { o.HTTP, o.TLS = nil, nil },
		"registering: ":                 func(o *Options) { o.Directory = "https://127.0.0.1:1/dir" },
		"certificate signed by unknown": func(o *Options) { o.Roots = x509.NewCertPool() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, a, t.TempDir(), "mail.company.test")
			change(&w.o)
			if err := w.manager().attempt(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
	w := newWorld(t, a, t.TempDir(), "mail.company.test")
	w.o.Directory = "https://127.0.0.1:1/dir"
	w.run()
	if said := wait(t, "word", w.said); !strings.HasPrefix(said, "true no certificate from https://127.0.0.1:1/dir, attempt 1: ") {
		t.Error(said)
	}
}

// TestDamagedFiles does not overwrite what it cannot read.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{accountName, certificateName} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("rotten"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{Dir: dir, Names: []string{"mail.company.test"}}); err == nil {
			t.Errorf("%s: no error", name)
		}
		if text, _ := os.ReadFile(path); string(text) != "rotten" {
			t.Errorf("%s was overwritten", name)
		}
	}
}

// TestStrangers get nothing from the listeners.
func TestStrangers(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	w := newWorld(t, a, t.TempDir(), "mail.company.test")
	w.run()
	w.certificate()
	conn, err := net.Dial("tcp", a.http.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /.well-known/acme-challenge/x HTTP/1.0\r\n\r\n")
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 404") {
		t.Errorf("%q, %v", answer, err)
	}
	if _, err := tls.Dial("tcp", a.tls.Addr().String(), &tls.Config{InsecureSkipVerify: true, ServerName: "mail.company.test", NextProtos: []string{"acme-tls/1"}}); err == nil {
		t.Error("a handshake without a challenge succeeded")
	}
}
