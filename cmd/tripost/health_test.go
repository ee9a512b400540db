package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
)

// TestHealth asks a server how it is.
func TestHealth(t *testing.T) {
	t.Parallel()
	r := startServer(t, newSite(t, "admin.listen = \"127.0.0.1:0\"\n"))
	if status, text := health(t, r.health.Addr().String()); status != http.StatusOK || text != "ok\n" {
		t.Errorf("a server that is well answers %d, %q", status, text)
	}
	resp, err := http.Post("http://"+r.health.Addr().String()+"/v1/domain/list", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("the health listener answers %d to an operation", resp.StatusCode)
	}
}

// readOnlyEngine is an engine that takes no more writes.
type readOnlyEngine struct{ engine.Engine }

func (e readOnlyEngine) Status() engine.Status {
	s := e.Engine.Status()
	s.ReadOnly = syscall.ENOSPC
	return s
}

// TestHealthWhenFull asks a server whose disk is full.
func TestHealthWhenFull(t *testing.T) {
	t.Parallel()
	e, err := local.Open(t.TempDir(), local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.New(t.Context(), readOnlyEngine{e}, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&rooms{store: st}).serveHealth(ctx, ln, http.NewServeMux()) }()
	if status, text := health(t, ln.Addr().String()); status != http.StatusServiceUnavailable || !strings.Contains(text, "takes no mail") {
		t.Errorf("a server with a full disk answers %d, %q", status, text)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func health(t *testing.T, addr string) (status int, text string) {
	t.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + addr + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
