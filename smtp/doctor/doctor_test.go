package doctor

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tripost/smtp/dkim"
	"tripost/smtp/dnstest"
	"tripost/smtp/mtasts"
	"tripost/smtp/resolve"
	"tripost/smtp/sinktest"
	"tripost/store/storetest"
)

// policies is what web servers say about domains.
type policies map[string]mtasts.Policy

func (p policies) Policy(_ context.Context, domain string) (mtasts.Policy, bool) {
	policy, ok := p[domain]
	return policy, ok
}

// world is a domain on a server that is called example.com, for which the
// standard library has a certificate.
type world struct {
	*Doctor
	t    *testing.T
	dns  *dnstest.Server
	keys *dkim.Keys

	certificate *x509.Certificate // of the exchanger
	called      string            // by itself; set before anything is examined
}

func newWorld(t *testing.T, zone string) *world {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	t.Cleanup(web.Close)
	pool := x509.NewCertPool()
	pool.AddCert(web.Certificate())
	w := &world{called: "example.com"}
	sink := sinktest.New(t, sinktest.Options{TLS: &tls.Config{Certificates: web.TLS.Certificates}, Reply: func(command, _ string) string {
		if command == "EHLO" {
			return "250-" + w.called + " at your service\r\n250 STARTTLS"
		}
		return ""
	}})
	*w = world{called: w.called, t: t, dns: dnstest.New(t, zone), keys: dkim.New(storetest.New(t), nil), certificate: web.Certificate()}
	w.Doctor = &Doctor{
		Hostname: "example.com", DNS: resolve.New(resolve.Options{Servers: []string{w.dns.Addr}, Timeout: 30 * time.Second}),
		Keys: w.keys, Port: int(sink.Addr.Port()), RootCAs: pool,
		Policies: policies{"company.test": {Mode: mtasts.Enforce, Hosts: []string{"example.com"}}, "other.test": {Mode: mtasts.Enforce, Hosts: []string{"mx.other.test"}}},
	}
	return w
}

// examine renders what is found as lines "state topic text".
func (w *world) examine(domain string) (found, publish string) {
	w.t.Helper()
	var f, p strings.Builder
	for _, one := range w.Examine(context.Background(), domain, domain) {
		fmt.Fprintf(&f, "%s %s: %s\n", one.State, one.Topic, one.Text)
		for _, line := range one.Publish {
			p.WriteString(line + "\n")
		}
	}
	return f.String(), p.String()
}

const host = `
example.com.            A    127.0.0.1
1.0.0.127.in-addr.arpa. PTR  example.com.
`

func TestHealthyDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, host+`
company.test.          MX  10 example.com.
company.test.          TXT "v=spf1 mx -all"
_dmarc.company.test.   TXT "v=DMARC1; p=reject"
_mta-sts.company.test. TXT "v=STSv1; id=1"
`)
	keys, err := w.keys.Add(context.Background(), "company.test", dkim.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	w.dns.Add(keys[0].Zone("company.test") + "\n")
	found, publish := w.examine("company.test")
	want := `ok MX: example.com
ok address: example.com: 127.0.0.1
ok PTR: 127.0.0.1 is example.com
ok SPF: 127.0.0.1 may send: matched mx
ok DKIM: ` + keys[0].Selector + ` (ed25519, signing) is published
ok DMARC: the policy is reject
ok MTA-STS: the policy is enforce
ok SMTP: example.com answers at 127.0.0.1:` + fmt.Sprint(w.Port) + `
ok TLS: example.com has a certificate until 29 January 2084
`
	if found != want || publish != "" {
		t.Errorf("found:\n%s%s\nwant:\n%s", found, publish, want)
	}
}

// Where our own name leads to another server, that one does not pass for us.
func TestAnotherAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, host+"company.test. MX 10 example.com.\n")
	for called, want := range map[string]string{
		"mx.Other.test": fmt.Sprintf("\nwrong SMTP: at 127.0.0.1:%d, where example.com should be, somebody answers who is called \"mx.other.test\"\n", w.Port),
		"EXAMPLE.com":   fmt.Sprintf("\nok SMTP: example.com answers at 127.0.0.1:%d\n", w.Port),
	} {
		w.called = called
		if found, _ := w.examine("company.test"); !strings.Contains(found, want) {
			t.Errorf("called %s, found:\n%s", called, found)
		}
	}
}

func TestNewDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "example.com. A 127.0.0.1\n")
	found, publish := w.examine("company.test")
	want := `wrong MX: there is no MX record: mail does not find its way here
ok address: example.com: 127.0.0.1
wrong PTR: 127.0.0.1 has no name that leads back to it: many hosts refuse its mail
wrong SPF: there is no SPF record: other hosts cannot tell forged mail
wrong DKIM: nothing is signed: make keys with "tripost domain dkim company.test add"
wrong DMARC: there is no policy, or more than one
advice MTA-STS: there is no policy: nothing tells other hosts to insist on TLS
`
	wantPublish := `company.test. IN MX 10 example.com.
PTR of 127.0.0.1: example.com.
company.test. IN TXT "v=spf1 mx -all"
_dmarc.company.test. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@company.test"
`
	if found != want || publish != wantPublish {
		t.Errorf("found:\n%s%s\nwant:\n%s%s", found, publish, want, wantPublish)
	}
}

func TestBrokenDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, host+`
other.test.            MX  10 mx.other.test.
other.test.            MX  20 gone.other.test.
mx.other.test.         A   127.0.0.1
other.test.            TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.other.test.     TXT "v=DMARC1; p=none"
_mta-sts.other.test.   TXT "v=STSv1; id=1"
`)
	ctx := context.Background()
	keys, err := w.keys.Add(ctx, "other.test", dkim.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	w.dns.Add(keys[0].Name("other.test") + `. TXT "v=DKIM1; k=ed25519; p=AAAA"` + "\n")
	found, publish := w.examine("other.test")
	want := `advice MX: mail goes to mx.other.test, gone.other.test, and this server is called example.com
ok address: example.com: 127.0.0.1
ok address: mx.other.test: 127.0.0.1
wrong address: gone.other.test has no address
ok PTR: 127.0.0.1 is example.com
wrong SPF: for 127.0.0.1 it says fail: matched all
wrong DKIM: ` + keys[0].Selector + ` (ed25519, signing): the record is another one
advice DMARC: the policy is none: forged mail is delivered; when SPF and DKIM are right, make it quarantine or reject
wrong MTA-STS: the policy does not name gone.other.test, to which the MX leads
ok SMTP: mx.other.test answers at 127.0.0.1:` + fmt.Sprint(w.Port) + `, and is called "example.com"
wrong TLS: the certificate of mx.other.test is not one that others can verify: `
	if !strings.HasPrefix(found, want) || !strings.Contains(publish, keys[0].Zone("other.test")) {
		t.Errorf("found:\n%s%s\nwant:\n%s", found, publish, want)
	}
}

// A DNS that fails is told apart from one that has nothing, and a host that is not
// there costs no more than its time.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.dns.Fail("company.test.", dnstest.ServFail)
	w.dns.Fail("_dmarc.company.test.", dnstest.ServFail)
	w.dns.Fail("example.com.", dnstest.ServFail)
	found, _ := w.examine("company.test")
	for _, want := range []string{
		"wrong MX: the DNS does not answer: ", "wrong address: example.com: the DNS does not answer: ",
		"wrong SPF: it cannot be told", "wrong DMARC: ",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("no %q in:\n%s", want, found)
		}
	}
	w = newWorld(t, host+"company.test. MX 10 example.com.\n")
	w.Port = 1 // nobody listens there
	if found, _ := w.examine("company.test"); !strings.Contains(found, "wrong SMTP: example.com does not answer at 127.0.0.1:1: ") {
		t.Errorf("found:\n%s", found)
	}
	sink := sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
		if command == "greeting" {
			return "554 go away"
		}
		return ""
	}})
	w.Port = int(sink.Addr.Port())
	if found, _ := w.examine("company.test"); !strings.Contains(found, "and not as a mail server should: 554 ") {
		t.Errorf("found:\n%s", found)
	}
	sink = sinktest.New(t, sinktest.Options{})
	w.Port = int(sink.Addr.Port())
	if found, _ := w.examine("company.test"); !strings.Contains(found, "wrong TLS: example.com offers no STARTTLS") {
		t.Errorf("found:\n%s", found)
	}
}

// TLSA records are held against the certificate that an exchanger shows, and
// count only where DNSSEC vouches for the whole way.
func TestDANE(t *testing.T) {
	t.Parallel()
	const mx = host + "company.test. MX 10 example.com.\n"
	for name, c := range map[string]struct {
		zone      string
		unsigned  string // zones that are not signed
		validates bool
		fail      bool
		plain     bool // the exchanger offers no TLS
		want      string
	}{
		"none, not signed":        {zone: mx, unsigned: "com.", validates: true},
		"none":                    {zone: mx, validates: true, want: "advice DANE: the zones are signed, and example.com has no TLSA record that tells others its certificate\nPUBLISH"},
		"right":                   {zone: mx + "TLSA 3 1 1 KEY", validates: true, want: "ok DANE: the TLSA records of example.com name its certificate\n"},
		"right, and others":       {zone: mx + "TLSA 3 1 1 00\nTLSA 1 0 1 KEY\nTLSA 3 1 1 KEY", validates: true, want: "ok DANE: the TLSA records of example.com name its certificate\n"},
		"of another key":          {zone: mx + "TLSA 3 1 1 OTHER", validates: true, want: "wrong DANE: no TLSA record of example.com names its certificate: who looks at them does not send\nPUBLISH"},
		"of a kind nobody uses":   {zone: mx + "TLSA 1 1 1 KEY", validates: true, want: "advice DANE: no TLSA record of example.com is of a kind that mail servers use (DANE-EE or DANE-TA)\nPUBLISH"},
		"not signed":              {zone: mx + "TLSA 3 1 1 KEY", unsigned: "com.", validates: true, want: "advice DANE: the TLSA records of example.com name its certificate, and count for nothing: *"},
		"the MX not signed":       {zone: mx + "TLSA 3 1 1 KEY", unsigned: "test.", validates: true, want: "advice DANE: the TLSA records of example.com name its certificate, and count for nothing: *"},
		"of another, not signed":  {zone: mx + "TLSA 3 1 1 OTHER", unsigned: "com.", validates: true, want: "advice DANE: no TLSA record of example.com names its certificate: *PUBLISH"},
		"nobody validates":        {zone: mx + "TLSA 3 1 1 KEY", want: "advice DANE: the TLSA records of example.com name its certificate, and count for nothing: *"},
		"the DNS does not answer": {zone: mx, fail: true, validates: true, want: "wrong DANE: the DNS does not say whether example.com has TLSA records: *"},
		"no TLS":                  {zone: mx + "TLSA 3 1 1 KEY", plain: true, validates: true, want: "wrong DANE: example.com has TLSA records, and no TLS: who looks at them does not send\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			if c.plain {
				w.Port = int(sinktest.New(t, sinktest.Options{}).Addr.Port())
			}
			base := fmt.Sprintf("_%d._tcp.example.com.", w.Port)
			record := fmt.Sprintf("%x", sha256.Sum256(w.certificate.RawSubjectPublicKeyInfo))
			w.dns.Add(strings.NewReplacer("TLSA", base+" TLSA", "KEY", record, "OTHER", strings.Repeat("ab", 32)).Replace(c.zone) + "\n")
			for _, zone := range []string{"com.", "test."} {
				if zone != c.unsigned {
					w.dns.Sign(zone)
				}
			}
			if c.fail {
				w.dns.Fail(base, dnstest.ServFail)
			}
			w.TLSA = resolve.New(resolve.Options{Servers: []string{w.dns.Addr}, Timeout: 30 * time.Second, Validates: c.validates})
			found, publish := w.examine("company.test")
			all := found
			found = ""
			for line := range strings.Lines(all) {
				if strings.Contains(line, " DANE: ") {
					found += line
				}
			}
			want, published := strings.CutSuffix(c.want, "PUBLISH")
			start, cut := strings.CutSuffix(want, "*")
			if found != want && !(cut && strings.HasPrefix(found, start)) {
				t.Errorf("found:\n%s\nwant:\n%s", found, want)
			}
			if line := base + " IN TLSA 3 1 1 " + record + "\n"; strings.Contains(publish, line) != published {
				t.Errorf("to publish:\n%s", publish)
			}
		})
	}
}
