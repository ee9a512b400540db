package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
)

// peer is the client side of a connection.
type peer struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func newPeer(t testing.TB, nc net.Conn) *peer { return &peer{nc, t, bufio.NewReader(nc)} }

// expect reads a line, which must begin with want.
func (p *peer) expect(want string) {
	p.t.Helper()
	got, err := p.in.ReadString('\n')
	if !strings.HasPrefix(got, want) {
		p.t.Fatalf("got %q (%v), want %q", got, err, want)
	}
}

// expectEnd reads to the end of the connection; nothing may come before it.
func (p *peer) expectEnd() {
	p.t.Helper()
	got, err := io.ReadAll(p.in)
	if len(got) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		p.t.Fatalf("got %q (%v), want the end", got, err)
	}
}

// say sends a line.
func (p *peer) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p, line+"\r\n"); err != nil {
		p.t.Fatal(err)
	}
}
