package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
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

// serveHealth answers GET /health for monitoring: 200 while the server can
// store mail, 503 with the reason while it cannot.
func (r *rooms) serveHealth(ctx context.Context, ln net.Listener) error {
	mux := http.NewServeMux()
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
// grace time. timeout bounds one request; 0 is no bound.
func serveHTTP(ctx context.Context, ln net.Listener, h http.Handler, timeout time.Duration) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: timeout, WriteTimeout: timeout, MaxHeaderBytes: 64 << 10}
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if srv.Shutdown(ending) != nil {
			srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
