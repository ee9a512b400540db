package main

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReload changes a server's configuration and certificate while it runs.
func TestReload(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "log.level = 2\ntls.certificate = \"cert.pem\"\ntls.key = \"cert.pem\"\n")
	pem, config := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "tripost.toml")
	writeFile(t, pem, certificate(t, 1))
	r := startServer(t, dir)
	if n := r.serial(); n != 1 {
		t.Fatalf("certificate %d is served", n)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	loud := strings.Replace(string(text), "log.level = 2", "log.level = 4", 1)

	writeFile(t, pem, certificate(t, 2))
	writeFile(t, config, loud)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.logged("reloaded the log levels")
	if n := r.serial(); n != 2 {
		t.Errorf("after SIGHUP certificate %d is served", n)
	}
	pop := r.dial("POP", "+OK")
	pop.say("NOOP first")
	r.logged("NOOP first")

	writeFile(t, pem, "no certificate")
	writeFile(t, config, "nonsense = 1\n")
	r.reload()
	r.logged("the old certificate stays: ")
	r.logged("the old configuration stays: " + config + ": line 1: there is no key \"nonsense\"")
	if n := r.serial(); n != 2 {
		t.Errorf("with a damaged file certificate %d is served", n)
	}
	pop.say("NOOP second")
	r.logged("NOOP second")

	writeFile(t, pem, certificate(t, 3))
	writeFile(t, config, string(text)+"pop.channels = 7\n")
	r.reload()
	r.logged("which count from the next start")
	pop.say("NOOP third")
	pop.expect("-ERR")
	r.stop()
	if err := r.ended(); err != nil {
		t.Fatal(err)
	}
	if out := mustRun(t, dir, "", "log"); strings.Contains(out, "NOOP third") {
		t.Error("the log level is still 4")
	}
}

// TestReopenLog moves the log's file away, as rotation by another program does.
func TestReopenLog(t *testing.T) {
	t.Parallel()
	r := startServer(t, newSite(t, "log.level = 4\n"))
	r.dial("POP", "+OK").say("NOOP before")
	r.logged("NOOP before")
	files, err := filepath.Glob(filepath.Join(r.dir, "logs", "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no log file (%v)", err)
	}
	for _, file := range files {
		if err := os.Rename(file, file+".old"); err != nil {
			t.Fatal(err)
		}
	}
	r.reload()
	r.dial("POP", "+OK").say("NOOP after")
	r.logged("NOOP after")
	if out := mustRun(t, r.dir, "", "log", "--tag", "POP"); strings.Contains(out, "NOOP before") {
		t.Errorf("the new file has old records: %s", out)
	}
}

// serial returns the number of the certificate that new connections get.
func (r *running) serial() int64 {
	r.t.Helper()
	c, err := tls.Dial("tcp", r.address("IMAP", true), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}
