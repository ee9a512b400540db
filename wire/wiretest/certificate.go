package wiretest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"tripost/wire"
)

// TLS makes a self-signed certificate for a host. It returns a server's
// configuration with it (for tickets see [wire.Certificates.Config]) and the
// pool that trusts it. Making it takes time: a test's package keeps it.
func TLS(host string, tickets bool) (*tls.Config, *x509.CertPool) {
	config, pool, err := selfSigned(host, tickets)
	if err != nil {
		panic(fmt.Sprintf("a certificate for %s: %v", host, err)) // no test is at hand to fail
	}
	return config, pool
}

func selfSigned(host string, tickets bool) (*tls.Config, *x509.CertPool, error) {
	dir, err := os.MkdirTemp("", "certificate-*")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	made, err := wire.LoadCertificates("", "", dir, host)
	if err != nil {
		return nil, nil, err
	}
	config := made.Config(tickets)
	c, err := config.GetCertificate(&tls.ClientHelloInfo{ServerName: host})
	if err != nil {
		return nil, nil, err
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return config, pool, nil
}
