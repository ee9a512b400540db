package mailauth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

// zone is a DNS that a test fills: names without the dot at their end. A value of
// "SERVFAIL" makes the lookup fail for now, "SLEEP" makes it wait for the end of
// the context.
type zone struct {
	txt  map[string][]string
	mx   map[string][]string
	addr map[string][]string
	ptr  map[string][]string
}

func (z zone) look(ctx context.Context, m map[string][]string, name string) ([]string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	v, ok := m[name]
	switch {
	case !ok:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case v[0] == "SERVFAIL":
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	case v[0] == "SLEEP":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return v, nil
}

func (z zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return z.look(ctx, z.txt, name)
}

func (z zone) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	hosts, err := z.look(ctx, z.mx, name)
	var all []*net.MX
	for i, h := range hosts {
		all = append(all, &net.MX{Host: h + ".", Pref: uint16(i)})
	}
	return all, err
}

func (z zone) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	addrs, err := z.look(ctx, z.addr, host)
	var all []netip.Addr
	for _, a := range addrs {
		all = append(all, netip.MustParseAddr(a))
	}
	return all, err
}

func (z zone) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return z.look(ctx, z.ptr, addr)
}

// keys are those of client.test: selector "r" is RSA, "e" Ed25519.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"r": r, "e": e}
})

func keyRecord(t *testing.T, selector string) string {
	t.Helper()
	switch public := keys()[selector].Public().(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	default:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	}
}

// sign puts a signature of a domain before a message.
func sign(t *testing.T, msg, domain, selector string) string {
	t.Helper()
	var b bytes.Buffer
	err := dkim.Sign(&b, strings.NewReader(msg), &dkim.SignOptions{
		Domain: domain, Selector: selector, Signer: keys()[selector],
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{"From", "Subject"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// world is a zone with a domain that does everything right.
func world(t *testing.T) zone {
	return zone{
		txt: map[string][]string{
			"client.test":              {"something else", "v=spf1 ip4:192.0.2.0/24 a:mx.client.test -all"},
			"soft.test":                {"v=spf1 ~all"},
			"neutral.test":             {"v=spf1 ?all"},
			"twice.test":               {"v=spf1 -all", "v=spf1 +all"},
			"endless.test":             {"v=spf1 include:endless.test -all"},
			"down.test":                {"SERVFAIL"},
			"slow.test":                {"SLEEP"},
			"_dmarc.client.test":       {"v=DMARC1; p=reject; sp=quarantine"},
			"_dmarc.strict.test":       {"v=DMARC1; p=reject; aspf=s; adkim=s"},
			"_dmarc.mild.test":         {"v=DMARC1; p=quarantine; pct=40"},
			"_dmarc.twice.test":        {"v=DMARC1; p=reject", "v=DMARC1; p=none"},
			"_dmarc.bad.test":          {"v=DMARC1; p=perhaps"},
			"_dmarc.down.test":         {"SERVFAIL"},
			"_dmarc.slow.test":         {"SLEEP"},
			"r._domainkey.client.test": {keyRecord(t, "r")},
			"e._domainkey.client.test": {keyRecord(t, "e")},
			"r._domainkey.strict.test": {keyRecord(t, "r")},
			"r._domainkey.down.test":   {"SERVFAIL"},
			"r._domainkey.huge.test":   {"v=DKIM1; k=rsa; p=" + strings.Repeat("A", maxKey)},
			"r._domainkey.gone.test":   {"v=DKIM1; p="},
		},
		addr: map[string][]string{
			"mx.client.test":    {"198.51.100.7"},
			"other.client.test": {"198.51.100.9"},
			"broken.test":       {"SERVFAIL"},
		},
		ptr: map[string][]string{
			"198.51.100.7": {"wrong.test.", "mx.client.test."},
			"198.51.100.8": {"other.client.test."},
			"198.51.100.9": {"SERVFAIL"},
			"203.0.113.5":  {"broken.test."},
			"203.0.113.6":  {"a b.test.", "("},
		},
	}
}
