package certify

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/sync/errgroup"
)

// Options say which certificate is wanted, and from whom.
type Options struct {
	Directory string         // URL of the authority's ACME directory
	Email     string         // for its notices; empty: none is given
	Names     []string       // host names, the first one is the subject
	Dir       string         // where keys and certificate are kept; made if need be
	HTTP      net.Listener   // reached as port 80 of the names; nil: no http-01
	TLS       net.Listener   // reached as port 443 of the names; nil: no tls-alpn-01
	Roots     *x509.CertPool // of the authority's own server; nil: the system's
	Use       func(*tls.Certificate)
	Logf      func(failed bool, format string, args ...any)
	Now       func() time.Time // nil: time.Now
}

// errNoWay is returned where the authority offers no challenge that can be
// answered here.
var errNoWay = errors.New("the authority offers none of the challenges that this server answers: http-01 needs tls.acme_http, tls-alpn-01 needs tls.acme_tls")

// Manager keeps one certificate.
type Manager struct {
	o          Options
	client     *acme.Client
	challenges challenges
	current    *tls.Certificate  // nil: none yet
	key        *ecdsa.PrivateKey // of the certificate; nil: none yet
}

// New loads what is kept in the directory. A certificate that is there and good
// for all names is given to Use at once.
func New(o Options) (*Manager, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	key, err := loadKey(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("ACME account: %w", err)
	}
	m := &Manager{o: o, client: &acme.Client{
		Key: key, DirectoryURL: o.Directory, UserAgent: "tripost",
		HTTPClient: &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
		}},
	}}
	c, err := loadCertificate(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("the certificate from ACME (remove it to ask for another): %w", err)
	}
	if c != nil {
		m.key, _ = c.PrivateKey.(*ecdsa.PrivateKey)
	}
	if c != nil && fits(c, o.Names) && o.Now().Before(c.Leaf.NotAfter) {
		m.current = c
		o.Use(c)
	}
	return m, nil
}

// fits tells whether a certificate is for all names.
func fits(c *tls.Certificate, names []string) bool {
	for _, name := range names {
		if c.Leaf.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

// Run answers challenges, and asks for a certificate when there is none or a
// third of its time is left, until ctx ends. What goes wrong is logged and tried
// again after a growing pause; the present certificate stays in use meanwhile.
func (m *Manager) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if m.o.HTTP != nil {
		g.Go(func() error { return m.challenges.serveHTTP(ctx, m.o.HTTP) })
	}
	if m.o.TLS != nil {
		g.Go(func() error { return m.challenges.serveTLS(ctx, m.o.TLS) })
	}
	g.Go(func() error {
		m.renew(ctx)
		return nil
	})
	return g.Wait()
}

// pauses are the waits after failures. Authorities count failures by the hour.
var pauses = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour}

// attemptTime bounds one attempt: authorities answer within seconds.
const attemptTime = 10 * time.Minute

func (m *Manager) renew(ctx context.Context) {
	failures := 0
	for {
		wait := m.due()
		if failures > 0 {
			wait = pauses[min(failures, len(pauses))-1]
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if err := m.attempt(ctx); err != nil {
			failures++
			if ctx.Err() == nil {
				m.o.Logf(true, "no certificate from %s, attempt %d: %v", m.o.Directory, failures, err)
			}
			continue
		}
		failures = 0
		m.o.Logf(false, "certificate for %v from %s, good until %s", m.o.Names, m.o.Directory, m.current.Leaf.NotAfter.Format(time.DateOnly))
	}
}

// due is the time until the next certificate is asked for.
func (m *Manager) due() time.Duration {
	if m.current == nil {
		return 0
	}
	leaf := m.current.Leaf
	return max(0, leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore)/3).Sub(m.o.Now()))
}

// attempt gets a certificate, keeps it, and puts it to use.
func (m *Manager) attempt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	if err := m.register(ctx); err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	order, err := m.client.AuthorizeOrder(ctx, acme.DomainIDs(m.o.Names...))
	if err != nil {
		return fmt.Errorf("ordering: %w", err)
	}
	for _, url := range order.AuthzURLs {
		if err := m.authorize(ctx, url); err != nil {
			return err
		}
	}
	if _, err := m.client.WaitOrder(ctx, order.URI); err != nil {
		return fmt.Errorf("waiting for the order: %w", err)
	}
	key, err := m.certificateKey()
	if err != nil {
		return err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: m.o.Names}, key)
	if err != nil {
		return err
	}
	chain, _, err := m.client.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return fmt.Errorf("finishing the order: %w", err)
	}
	return m.take(chain, key)
}

// certificateKey returns the key of the present certificate, or a new one where
// there was none: a TLSA record that names the key (RFC 7671 section 8) stays
// right when the certificate is renewed.
func (m *Manager) certificateKey() (*ecdsa.PrivateKey, error) {
	var err error
	if m.key == nil {
		m.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return m.key, err
}

// register makes the account known, which it may be already.
func (m *Manager) register(ctx context.Context) error {
	account := &acme.Account{}
	if m.o.Email != "" {
		account.Contact = []string{"mailto:" + m.o.Email}
	}
	_, err := m.client.Register(ctx, account, acme.AcceptTOS)
	if errors.Is(err, acme.ErrAccountAlreadyExists) {
		return nil
	}
	return err
}

// authorize shows that a name is ours.
func (m *Manager) authorize(ctx context.Context, url string) error {
	z, err := m.client.GetAuthorization(ctx, url)
	if err != nil {
		return fmt.Errorf("asking what to show: %w", err)
	}
	if z.Status == acme.StatusValid {
		return nil
	}
	chosen, err := m.choose(z)
	if err != nil {
		return fmt.Errorf("%s: %w", z.Identifier.Value, err)
	}
	withdraw, err := m.challenges.prepare(m.client, z.Identifier.Value, chosen)
	if err != nil {
		return err
	}
	defer withdraw()
	if _, err := m.client.Accept(ctx, chosen); err != nil {
		return fmt.Errorf("%s by %s: %w", z.Identifier.Value, chosen.Type, err)
	}
	if _, err := m.client.WaitAuthorization(ctx, z.URI); err != nil {
		return fmt.Errorf("%s by %s: %w", z.Identifier.Value, chosen.Type, err)
	}
	return nil
}

// choose takes a challenge that can be answered here.
func (m *Manager) choose(z *acme.Authorization) (*acme.Challenge, error) {
	for _, c := range z.Challenges {
		if c.Type == typeHTTP && m.o.HTTP != nil || c.Type == typeTLS && m.o.TLS != nil {
			return c, nil
		}
	}
	return nil, errNoWay
}

// take keeps a new certificate and puts it to use.
func (m *Manager) take(chain [][]byte, key crypto.Signer) error {
	if err := saveCertificate(m.o.Dir, chain, key); err != nil {
		return err
	}
	c, err := loadCertificate(m.o.Dir)
	if err != nil {
		return err
	}
	if !fits(c, m.o.Names) {
		return fmt.Errorf("the authority's certificate is for %v", c.Leaf.DNSNames)
	}
	m.current = c
	m.o.Use(c)
	return nil
}
