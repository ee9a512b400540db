package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Certificates holds the certificate of the server, from PEM files or made by
// the server itself. It may be shared by goroutines.
type Certificates struct {
	certFile, keyFile string // empty: self-signed
	dir, hostname     string
	current           atomic.Pointer[tls.Certificate]
	given             atomic.Bool // by Use
}

// LoadCertificates loads the certificate (with its chain) and key from PEM
// files. With both names empty it uses a self-signed certificate for hostname,
// kept in dir and made when it is missing, for another name, or about to
// expire. With keyFile alone empty the key is in certFile too.
func LoadCertificates(certFile, keyFile, dir, hostname string) (*Certificates, error) {
	if certFile == "" && keyFile != "" {
		return nil, fmt.Errorf("TLS: there is a key %q but no certificate", keyFile)
	}
	if keyFile == "" {
		keyFile = certFile
	}
	if hostname == "" {
		hostname = "localhost"
	}
	k := &Certificates{certFile: certFile, keyFile: keyFile, dir: dir, hostname: hostname}
	if err := k.Reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// Reload reads the files again, for SIGHUP. After an error the certificate that
// was loaded before stays in use.
func (k *Certificates) Reload() error {
	if k.given.Load() {
		return nil
	}
	load := k.load
	if k.SelfSigned() {
		load = k.loadSelfSigned
	}
	c, err := load()
	if err != nil {
		return err
	}
	k.current.Store(c)
	return nil
}

// Use puts another certificate in the place of the self-signed one, for as long
// as the process runs.
func (k *Certificates) Use(c *tls.Certificate) {
	k.given.Store(true)
	k.current.Store(c)
}

// SelfSigned reports whether the server made the certificate itself.
func (k *Certificates) SelfSigned() bool { return k.certFile == "" && !k.given.Load() }

// Expires returns when the certificate runs out.
func (k *Certificates) Expires() time.Time { return k.current.Load().Leaf.NotAfter }

// Names returns the host names that the certificate is for.
func (k *Certificates) Names() []string { return k.current.Load().Leaf.DNSNames }

// Config returns a server's TLS configuration: TLS 1.2 and later, the same
// certificate whatever name the client asks for, and the one loaded last.
// Without tickets sessions are not resumed, as befits port 25: there are
// senders that stumble over a ticket.
//
// Make it once for a listener, not for a connection: a ticket is good only with
// the configuration that issued it.
func (k *Certificates) Config(tickets bool) *tls.Config {
	return &tls.Config{
		MinVersion:                  tls.VersionTLS12,
		SessionTicketsDisabled:      !tickets,
		DynamicRecordSizingDisabled: true, // mail comes in bulk: fewer, larger records
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			c := k.current.Load()
			if u, ok := hello.Conn.(*underTLS); ok {
				u.shown = c.Leaf
			}
			return c, nil
		},
	}
}

func (k *Certificates) load() (*tls.Certificate, error) {
	cert, err := os.ReadFile(k.certFile)
	if err != nil {
		return nil, fmt.Errorf("read the TLS certificate %q: %w", k.certFile, reason(err))
	}
	key, err := os.ReadFile(k.keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the TLS key %q: %w", k.keyFile, reason(err))
	}
	c, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("use the TLS certificate %q with the key %q: %w", k.certFile, k.keyFile, err)
	}
	return &c, nil
}

// reason leaves out the path that an error names, since the sentence around it
// does.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// SelfSignedFile is the name, in the directory given to LoadCertificates, of the file
// that holds the self-signed certificate and its key together, so that they cannot come
// from two different moments.
const SelfSignedFile = "self-signed.pem"

// renewBefore is how long before its end a self-signed certificate is replaced.
const renewBefore = 30 * 24 * time.Hour

// loadSelfSigned loads the self-signed certificate, or makes it.
func (k *Certificates) loadSelfSigned() (*tls.Certificate, error) {
	path := filepath.Join(k.dir, SelfSignedFile)
	c, err := tls.LoadX509KeyPair(path, path)
	if err == nil && c.Leaf.VerifyHostname(k.hostname) == nil && time.Until(c.Leaf.NotAfter) > renewBefore {
		return &c, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("use the self-signed certificate %q (remove it to have it made anew): %w", path, reason(err))
	}
	if err := makeSelfSigned(path, k.hostname); err != nil {
		return nil, fmt.Errorf("make the self-signed certificate %q: %w", path, reason(err))
	}
	c, err = tls.LoadX509KeyPair(path, path)
	return &c, err
}
