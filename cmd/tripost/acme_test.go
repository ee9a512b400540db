package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestACMEConfiguration refuses what cannot lead to a certificate.
func TestACMEConfiguration(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]string{
		"tls.acme = \"http://ca.test/dir\"\n":                                                "is not the https URL",
		"tls.acme = \"https://ca.test/dir\"\ntls.acme_http = \"\"\n":                         "needs acme_http or acme_tls",
		"tls.acme = \"https://ca.test/dir\"\ntls.certificate = \"c.pem\"\ntls.key = \"k\"\n": "would ask for another one",
	} {
		_, err := loadConfig(filepath.Join(newSite(t, more), "tripost.toml"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", more, err)
		}
	}
}

// TestACMEUnreachable serves with the self-signed certificate while the
// authority is not there, and says so.
func TestACMEUnreachable(t *testing.T) {
	t.Parallel()
	r := startServer(t, newSite(t, "log.level = 2\ntls.acme = \"https://127.0.0.1:1/dir\"\ntls.acme_http = \"127.0.0.1:0\"\ntls.acme_tls = \"127.0.0.1:0\"\n"))
	r.logged("ACME: no certificate from https://127.0.0.1:1/dir, attempt 1: ")
	if !r.certificates.SelfSigned() {
		t.Error("the self-signed certificate is not in use")
	}
	r.dial("POP", "+OK")
}
