package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"

	"tripost/syslog"
	"tripost/wire"
	"tripost/wire/certify"
)

// acmeDir is the directory in the data directory where its certificate and keys are.
const acmeDir = "acme"

// openACME prepares the certificate that renews itself, if the configuration
// asks for one. The self-signed one serves until it is there.
func (s *server) openACME() (err error) {
	t := s.cfg.TLS
	if t.ACME == "" {
		return nil
	}
	o := certify.Options{
		Directory: t.ACME, Email: t.ACMEEmail, Names: append([]string{s.cfg.Hostname}, t.ACMENames...),
		Dir: filepath.Join(s.cfg.Data, acmeDir),
		Use: func(c *tls.Certificate) { s.certificates.Use(c) },
		Logf: func(failed bool, format string, args ...any) {
			level := syslog.Major
			if failed {
				level = syslog.Failure
			}
			s.log.Logf(level, "ACME: "+format, args...)
		},
	}
	if o.Roots, err = readAuthorities("tls.acme_authorities", t.ACMEAuthorities); err != nil {
		return err
	}
	for _, l := range []struct {
		key, addr string
		ln        *net.Listener
	}{{"tls.acme_http", t.ACMEHTTP, &o.HTTP}, {"tls.acme_tls", t.ACMETLS, &o.TLS}} {
		if l.addr == "" {
			continue
		}
		ln, err := wire.Listen(l.addr)
		if err != nil {
			return fmt.Errorf("%s: %w", l.key, err)
		}
		*l.ln = ln
		s.acmeListeners = append(s.acmeListeners, ln)
	}
	s.certify, err = certify.New(o)
	return err
}
