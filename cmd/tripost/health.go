package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// serveControl answers commands on DATA/control.sock until ctx ends. Whoever
// may open the socket may do everything: it is the server's user and root.
func (r *rooms) serveControl(ctx context.Context, ln net.Listener) error {
	return serveHTTP(ctx, ln, r.api.Handler(), 0)
}

// maxSocketPath is what the system takes for the name of a Unix socket on Linux
// and, a few octets less, on others.
const maxSocketPath = 103

// listenControl opens the control socket with mode 0600. The store's lock is
// held by now, so a socket file that is there belongs to a server that is gone.
func listenControl(data string) (net.Listener, error) {
	path := socketPath(data)
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("control socket: the path %q is longer than %d octets: data needs a shorter one", path, maxSocketPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), ln.Close())
	}
	return ln, nil
}

// serveHealth answers GET /health for monitoring, beside what mux has: 200 while
// the server can store mail, 503 while it cannot.
func (r *rooms) serveHealth(ctx context.Context, ln net.Listener, mux *http.ServeMux) error {
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if err := r.store.Engine().Status().ReadOnly; err != nil {
			http.Error(w, "the store takes no mail", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return serveHTTP(ctx, ln, mux, 10*time.Second)
}

// serveHTTP serves until ctx ends and lets running requests end within the
// grace time. When it returns none is running. timeout bounds one request; 0 is
// no bound.
func serveHTTP(ctx context.Context, ln net.Listener, h http.Handler, timeout time.Duration) error {
	var running sync.WaitGroup
	counted := func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		h.ServeHTTP(w, r)
	}
	srv := &http.Server{
		Handler: http.HandlerFunc(counted), ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout: timeout, WriteTimeout: timeout, MaxHeaderBytes: 64 << 10,
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if srv.Shutdown(ending) != nil {
			srv.Close() // ends the contexts of the requests
		}
	})
	err := srv.Serve(ln)
	if stop() {
		return err
	}
	<-ended // Serve does not wait for what is still running
	running.Wait()
	return nil
}
