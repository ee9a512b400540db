package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"tripost/admin"
	"tripost/store/engine"
)

// socketPath is where a running server listens for commands.
func socketPath(data string) string { return filepath.Join(data, "control.sock") }

// client reaches the operations: over the control socket of a running server,
// or with none running in this process, on the store itself.
type client struct {
	http  *http.Client
	close func() error
}

// client connects for one command.
func (e *environment) client() (*client, Config, error) {
	cfg, err := loadConfig(findConfig(e.configPath))
	if err != nil {
		return nil, cfg, err
	}
	c, err := connect(e.ctx, cfg)
	return c, cfg, err
}

// connect finds the server, or opens the store. A server that is just starting
// has the store before it listens, so one that has it is asked again.
func connect(ctx context.Context, cfg Config) (*client, error) {
	c, err := online(ctx, cfg)
	if c != nil || err != nil {
		return c, err
	}
	c, err = offline(ctx, cfg)
	if errors.Is(err, engine.ErrInUse) {
		if c, _ := online(ctx, cfg); c != nil {
			return c, nil
		}
	}
	return c, err
}

// online connects to a running server; without one it returns nil.
func online(ctx context.Context, cfg Config) (*client, error) {
	path := socketPath(cfg.Data)
	if len(path) > maxSocketPath {
		return nil, nil // no server can run there
	}
	var d net.Dialer
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) }
	conn, err := dial(ctx, "", "")
	switch {
	case err == nil:
		conn.Close()
		transport := &http.Transport{DialContext: dial}
		return &client{&http.Client{Transport: transport}, func() error { transport.CloseIdleConnections(); return nil }}, nil
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, nil
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("the server's control socket: %w (commands run as the server's user or root)", err)
	}
	return nil, fmt.Errorf("the server's control socket: %w", err)
}

// offline opens the store in this process. It never makes a new one: a wrong
// path in the configuration must not look like an empty server.
func offline(ctx context.Context, cfg Config) (*client, error) {
	rooms, err := openRooms(ctx, cfg, nil)
	if err != nil {
		return nil, err
	}
	t := &inProcess{handler: rooms.api.Handler()}
	return &client{&http.Client{Transport: t}, func() error {
		t.running.Wait() // a command may be interrupted, the store not closed under it
		return rooms.close()
	}}, nil
}

// call carries out one operation.
func (c *client) call(ctx context.Context, operation string, request, response any) error {
	return c.callAs(ctx, "", operation, request, response)
}

// callAs is call under a name by which its progress can be asked for.
func (c *client) callAs(ctx context.Context, name, operation string, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://tripost/v1/"+operation, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if name != "" {
		r.Header.Set(admin.ProgressHeader, name)
	}
	resp, err := c.do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(response)
}

// stream carries out an operation whose request or response is mail.
func (c *client) stream(ctx context.Context, operation string, request any, body io.Reader) (io.ReadCloser, error) {
	q, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	target := "http://tripost/v1/" + operation + "?request=" + url.QueryEscape(string(q))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, body)
	if err != nil {
		return nil, err
	}
	r.Body = interruptible(ctx, r.Body) // the end of a request waits for who reads its body
	resp, err := c.do(r)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// do sends a request and turns a refusal into an error.
func (c *client) do(r *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, asking(r.Context(), err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var e admin.Error
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || e.Error == "" {
		return nil, fmt.Errorf("the server answered %s", resp.Status)
	}
	return nil, errors.New(e.Error)
}

// asking says what went wrong between this process and the server, without the
// address, which says nothing to the user.
func asking(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted: what was asked for may have been done or not")
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("asking the server: %w", err)
}

// inProcess lets an http.Client call a handler in the same process, with
// bodies streamed both ways.
type inProcess struct {
	handler http.Handler
	running sync.WaitGroup // the handler's goroutines
}

// RoundTrip runs the handler in a goroutine that ends with the response body,
// or with the request's context.
func (t *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	w := &pipeResponse{header: http.Header{}, pipe: pw, started: make(chan int, 1)}
	body := interruptible(r.Context(), r.Body)
	served := r.WithContext(r.Context())
	served.Body = body
	t.running.Go(func() {
		defer body.Close()
		defer func() {
			if p := recover(); p != nil {
				pw.CloseWithError(io.ErrUnexpectedEOF) // the handler cut the answer short
			}
			w.WriteHeader(http.StatusOK)
			pw.Close()
		}()
		t.handler.ServeHTTP(w, served)
	})
	select {
	case status := <-w.started:
		return &http.Response{
			StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)),
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: w.header, Body: pr, Request: r, ContentLength: -1,
		}, nil
	case <-r.Context().Done():
		pr.CloseWithError(r.Context().Err()) // ends the handler's writing
		return nil, r.Context().Err()
	}
}

// interruptible makes a body whose reading ends with ctx, also while it waits
// for standard input.
func interruptible(ctx context.Context, body io.ReadCloser) io.ReadCloser {
	if body == nil || body == http.NoBody {
		return http.NoBody
	}
	pr, pw := io.Pipe()
	stop := context.AfterFunc(ctx, func() { pw.CloseWithError(ctx.Err()) })
	go func() { // ends when the body does, or when the handler has closed pr
		defer stop()
		_, err := io.Copy(pw, body)
		pw.CloseWithError(errors.Join(err, body.Close()))
	}()
	return pr
}

// pipeResponse is the ResponseWriter of a call in the same process.
type pipeResponse struct {
	header  http.Header
	pipe    *io.PipeWriter
	started chan int // the status, once
	wrote   bool
}

func (w *pipeResponse) Header() http.Header { return w.header }

func (w *pipeResponse) WriteHeader(status int) {
	if !w.wrote {
		w.wrote = true
		w.started <- status
	}
}

func (w *pipeResponse) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}
