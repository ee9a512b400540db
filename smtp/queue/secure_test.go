package queue

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"tripost/smtp/dnstest"
	"tripost/smtp/mtasts"
	"tripost/smtp/resolve"
	"tripost/smtp/sinktest"
)

// authority makes certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	a.cert, a.key = a.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) make(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	if parent == nil {
		parent, by = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	must(a.t, err)
	cert, err := x509.ParseCertificate(raw)
	must(a.t, err)
	return cert, key
}

// host makes the certificate of a host, with its chain.
func (a *authority) host(name string, expired bool) *tls.Config {
	template := &x509.Certificate{DNSNames: []string{name}}
	if expired {
		template.NotBefore, template.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	cert, key := a.make(template, a.cert, a.key)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key}}}
}

// tlsa returns the data of a record for a certificate: its key, by SHA-256.
func tlsa(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

func leaf(c *tls.Config) *x509.Certificate {
	cert, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
	if err != nil {
		panic(err)
	}
	return cert
}

// policies are what domains publish for MTA-STS.
type policies map[string]mtasts.Policy

func (p policies) Policy(_ context.Context, domain string) (mtasts.Policy, bool) {
	one, ok := p[domain]
	return one, ok
}

// What a destination publishes about TLS, what its host shows, what the message
// asks for, and what becomes of it.
func TestSenderSecurity(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	valid, expired := a.host("mx.client.test", false), a.host("mx.client.test", true)
	foreign := a.host("mx.elsewhere.test", false)
	self := &authority{t: t}
	stranger, strangerKey := self.make(&x509.Certificate{DNSNames: []string{"mx.client.test"}}, nil, nil)
	unknown := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{stranger.Raw}, PrivateKey: strangerKey}}}

	const mx = "client.test. MX 10 mx.client.test.\nmx.client.test. A 192.0.2.1\n"
	ee := func(c *tls.Config) string { return "_25._tcp.mx.client.test. TLSA 3 1 1 " + tlsa(leaf(c)) + "\n" }
	ta := "_25._tcp.mx.client.test. TLSA 2 1 1 " + tlsa(a.cert) + "\n"
	wrong := "_25._tcp.mx.client.test. TLSA 3 1 1 " + strings.Repeat("ab", 32) + "\n"
	enforce := policies{"client.test": {Mode: mtasts.Enforce, Hosts: []string{"mx.client.test"}}}
	testingMode := policies{"client.test": {Mode: mtasts.Testing, Hosts: []string{"mx.client.test"}}}
	other := policies{"client.test": {Mode: mtasts.Enforce, Hosts: []string{"*.elsewhere.test"}}}
	const requires = "REQUIRETLS"

	for name, c := range map[string]struct {
		zone     string
		signed   bool
		spoiled  string
		policies policies
		tls      *tls.Config
		offers   string // a further extension
		message  string // "require", "optional"
		want     string // how it was secured, or "4 " or "5 " and a part of the reason
	}{
		"nothing published, no TLS":                 {zone: mx, want: "clear"},
		"nothing published, bad certificate":        {zone: mx, tls: expired, want: "TLS 1.3"},
		"DANE for the host, whatever it is":         {zone: mx + ee(expired), signed: true, tls: expired, want: "TLS 1.3, DANE"},
		"DANE for a host of its own authority":      {zone: mx + ee(unknown), signed: true, tls: unknown, want: "TLS 1.3, DANE"},
		"DANE for the authority":                    {zone: mx + ta, signed: true, tls: valid, want: "TLS 1.3, DANE"},
		"DANE for the authority, wrong name":        {zone: mx + ta, signed: true, tls: foreign, want: "4 certificate"},
		"DANE for the authority, expired":           {zone: mx + ta, signed: true, tls: expired, want: "4 certificate"},
		"DANE for another key":                      {zone: mx + wrong, signed: true, tls: valid, want: "4 no TLSA record of mx.client.test names it"},
		"DANE: one of two":                          {zone: mx + wrong + ee(valid), signed: true, tls: valid, want: "TLS 1.3, DANE"},
		"DANE and no TLS":                           {zone: mx + wrong, signed: true, want: "4 the host offers no TLS"},
		"DANE and forged records":                   {zone: mx + wrong, signed: true, spoiled: "_25._tcp.mx.client.test", tls: valid, want: "4 look up TLSA"},
		"DANE by an alias":                          {zone: "client.test. MX 10 www.client.test.\nwww.client.test. CNAME mx.client.test.\nmx.client.test. A 192.0.2.1\n" + ee(unknown), signed: true, tls: unknown, want: "TLS 1.3, DANE"},
		"records that cannot be used":               {zone: mx + "_25._tcp.mx.client.test. TLSA 1 1 1 abcd", signed: true, tls: expired, want: "TLS 1.3"},
		"records that cannot be used, no TLS":       {zone: mx + "_25._tcp.mx.client.test. TLSA 3 1 9 abcd", signed: true, want: "4 the host offers no TLS"},
		"records without DNSSEC":                    {zone: mx + wrong, want: "clear"},
		"forged MX":                                 {zone: mx, signed: true, spoiled: "client.test", want: "4 look up MX"},
		"policy":                                    {zone: mx, policies: enforce, tls: valid, want: "TLS 1.3, verified"},
		"policy, expired certificate":               {zone: mx, policies: enforce, tls: expired, want: "4 certificate"},
		"policy, certificate of another":            {zone: mx, policies: enforce, tls: foreign, want: "4 certificate"},
		"policy, certificate of nobody":             {zone: mx, policies: enforce, tls: unknown, want: "4 certificate"},
		"policy, no TLS":                            {zone: mx, policies: enforce, want: "4 the host offers no TLS"},
		"policy for another host":                   {zone: mx, policies: other, tls: valid, want: "4 does not name the host"},
		"policy in testing":                         {zone: mx, policies: testingMode, tls: expired, want: "TLS 1.3"},
		"policy in testing, no TLS":                 {zone: mx, policies: testingMode, want: "clear"},
		"policy never lessens DANE":                 {zone: mx + wrong, signed: true, policies: enforce, tls: valid, want: "4 no TLSA record"},
		"DANE alone decides":                        {zone: mx + ee(expired), signed: true, policies: other, tls: expired, want: "TLS 1.3, DANE"},
		"REQUIRETLS by DANE":                        {zone: mx + ee(expired), signed: true, tls: expired, offers: requires, message: "require", want: "TLS 1.3, DANE"},
		"REQUIRETLS by DNSSEC":                      {zone: mx, signed: true, tls: valid, offers: requires, message: "require", want: "TLS 1.3, verified"},
		"REQUIRETLS by policy":                      {zone: mx, policies: enforce, tls: valid, offers: requires, message: "require", want: "TLS 1.3, verified"},
		"REQUIRETLS, nobody vouches":                {zone: mx, tls: valid, offers: requires, message: "require", want: "5 5.7.30"},
		"REQUIRETLS, not offered":                   {zone: mx, policies: enforce, tls: valid, message: "require", want: "5 5.7.30"},
		"REQUIRETLS, no TLS":                        {zone: mx, signed: true, offers: requires, message: "require", want: "5 5.7.30"},
		"REQUIRETLS, expired certificate":           {zone: mx, signed: true, tls: expired, offers: requires, message: "require", want: "4 certificate"},
		"TLS-Required: No against DANE":             {zone: mx + wrong, signed: true, tls: valid, message: "optional", want: "TLS 1.3"},
		"TLS-Required: No against a policy, no TLS": {zone: mx, policies: enforce, message: "optional", want: "clear"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			n := newInternet()
			extensions := []string{"PIPELINING", "8BITMIME"}
			if c.offers != "" {
				extensions = append(extensions, c.offers)
			}
			sink := sinktest.New(t, sinktest.Options{TLS: c.tls, Extensions: extensions})
			n.sinks["192.0.2.1"] = sink
			server := dnstest.New(t, c.zone)
			if c.signed {
				server.Sign("client.test")
			}
			if c.spoiled != "" {
				server.Spoil(c.spoiled)
			}
			env := envelope("ann@example.test", "joe@client.test")
			env.RequireTLS = c.message == "require"
			text := hello
			if c.message == "optional" {
				text = "TLS-Required: No\r\n" + hello
			}
			receipt, err := w.Submit(w.ctx, env, strings.NewReader(text))
			must(t, err)
			s := NewSender(w.Queue, SenderOptions{
				DNS: resolve.New(resolve.Options{Servers: []string{server.Addr}, Validates: true, Timeout: 30 * time.Second}), Dial: n.dial,
				Policies: c.policies, RootCAs: a.pool,
			})
			got, mail := w.once(s, receipt.ID), ""
			for _, m := range sink.Messages() {
				mail = m.From
			}
			if !strings.HasPrefix(c.want, "4 ") && !strings.HasPrefix(c.want, "5 ") {
				if got != c.want || mail == "" || strings.Contains(mail, "REQUIRETLS") != env.RequireTLS {
					t.Errorf("%q, %q; want %q", got, mail, c.want)
				}
				return
			}
			if !strings.HasPrefix(got, c.want[:2]) || !strings.Contains(got, c.want[2:]) || mail != "" {
				t.Errorf("%q, %q; want %q", got, mail, c.want)
			}
		})
	}
}

// once makes one attempt, records it, and says how it was secured, or "4 " or "5 " and why it
// was deferred or given up.
func (w *world) once(s *Sender, id string) string {
	w.t.Helper()
	n, err := parseID(id)
	must(w.t, err)
	m, d, err := w.load(w.ctx, n, "client.test")
	must(w.t, err)
	conn, err := s.connect(w.ctx, d, m.need(), false, false)
	a := s.attempt(w.ctx, &idleConn{Conn: conn}, m, d, err)
	if conn != nil {
		conn.Close()
	}
	must(w.t, w.settle(w.ctx, a))
	r := a.results[0]
	switch r.state {
	case delivered:
		return a.secured
	case failed:
		return fmt.Sprintf("5 %s %s", r.enhanced, r.reply)
	}
	return "4 " + r.reply
}

// The report about a message that needs TLS has the header alone, asks for the
// same where it is offered, and gets back where it is not.
func TestRequireTLSReport(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for name, offered := range map[string]bool{"offered": true, "not offered": false} {
		w := newWorld(t, Options{})
		n := newInternet()
		extensions := []string{"8BITMIME"}
		if offered {
			extensions = append(extensions, "REQUIRETLS")
		}
		sink := sinktest.New(t, sinktest.Options{TLS: a.host("home.test", false), Extensions: extensions})
		n.host("home.test", "192.0.2.1", sink)
		env := envelope("joe@home.test", "jim@missing.test")
		env.RequireTLS, env.Return = true, ReturnFull
		_, err := w.Submit(w.ctx, env, strings.NewReader(hello))
		must(t, err)
		w.run(n, SenderOptions{})
		got := sink.Wait(1)[0]
		if !strings.HasPrefix(got.From, "<>") || strings.Contains(got.From, "REQUIRETLS") != offered ||
			!strings.Contains(got.Data, "Subject: hello") || strings.Contains(got.Data, "first line") {
			t.Errorf("%s: %s\n%s", name, got.From, got.Data)
		}
	}
}

// Policies are kept with the queue, and those whose time is over go.
func TestPoliciesKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	record := func(age time.Duration) []byte {
		p := mtasts.Policy{ID: "1", Mode: mtasts.Enforce, Hosts: []string{"mx.test"}, MaxAge: time.Hour, Fetched: w.clock().Add(-age)}
		return p.Encode()
	}
	for i := range 40 {
		must(t, w.SavePolicy(w.ctx, fmt.Sprintf("old%02d.test", i), record(2*time.Hour)))
	}
	for i := range 4 {
		must(t, w.SavePolicy(w.ctx, fmt.Sprintf("new%d.test", i), record(time.Minute)))
	}
	if got, err := w.LoadPolicy(w.ctx, "new0.test"); err != nil || string(got) != string(record(time.Minute)) {
		t.Errorf("%q (%v)", got, err)
	}
	if got, err := w.LoadPolicy(w.ctx, "none.test"); err != nil || got != nil {
		t.Errorf("%q (%v), want none", got, err)
	}
	left := 0
	for i := range 40 {
		if got, err := w.LoadPolicy(w.ctx, fmt.Sprintf("old%02d.test", i)); err != nil {
			t.Error(err)
		} else if got != nil {
			left++
		}
	}
	if left > 1 {
		t.Errorf("%d policies are kept whose time is over", left)
	}
}
