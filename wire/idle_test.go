package wire

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
)

// idleConns is how many connections the idle benchmarks hold.
const idleConns = 1000

func BenchmarkIdlePlain(b *testing.B) { benchmarkIdle(b, false, idleSession(false), "NOOP\r\n") }
func BenchmarkIdleTLS(b *testing.B)   { benchmarkIdle(b, true, idleSession(false), "NOOP\r\n") }

// BenchmarkIdleCompressed is for a session that has begun to compress.
func BenchmarkIdleCompressed(b *testing.B) {
	var command bytes.Buffer
	w, _ := flate.NewWriter(&command, 6)
	io.WriteString(w, strings.Repeat("NOOP", 500)+"\r\n")
	w.Flush()
	session := idleSession(false)
	benchmarkIdle(b, false, func(ctx context.Context, c *Conn) {
		c.Compress()
		session(ctx, c)
	}, command.String())
}

// BenchmarkIdleWake is for a session that waits on a channel too.
func BenchmarkIdleWake(b *testing.B) { benchmarkIdle(b, false, idleSession(true), "NOOP\r\n") }

// BenchmarkIdleAfterLarge is for a client that has sent a full TLS record, for
// which crypto/tls keeps the room until the connection ends.
func BenchmarkIdleAfterLarge(b *testing.B) {
	benchmarkIdle(b, true, idleSession(false), strings.Repeat("x", 16000)+"\r\n")
}

// benchmarkIdle reports the memory of a connection that has answered a command
// and waits for the next: heap and stacks, without the kernel's part.
func benchmarkIdle(b *testing.B, secure bool, session func(context.Context, *Conn), command string) {
	for b.Loop() {
		ln, err := Listen("127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		peers := dialMany(b, ln.Addr().String())
		before := memory()
		config := timeouts()
		config.TLS = testCertificates(b).Config(true)
		s := &Server{
			Name: "POP", Channels: idleConns, PerAddress: idleConns,
			Conn:    func() Config { return config },
			Session: session,
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, ln, secure) }()
		for _, p := range peers {
			exchange(b, p, secure, command)
		}
		b.ReportMetric(float64(memory()-before)/1024/idleConns, "KiB/conn")
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		for _, p := range peers {
			p.Close()
		}
	}
}

func idleSession(wake bool) func(context.Context, *Conn) {
	return func(ctx context.Context, c *Conn) {
		var signals chan struct{}
		if wake {
			signals = make(chan struct{}, 1)
		}
		for {
			if err := c.WaitInput(ctx, signals); err != nil {
				return
			}
			if _, err := c.ReadLine(64 << 10); err != nil {
				return
			}
			c.WriteString("+OK\r\n")
		}
	}
}

// dialMany connects to a listener that does not accept yet.
func dialMany(b *testing.B, addr string) []net.Conn {
	b.Helper()
	var peers []net.Conn
	for range idleConns {
		p, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		peers = append(peers, p)
	}
	return peers
}

// exchange sends a command and reads the answer. What a client needs for TLS is
// garbage afterwards.
func exchange(b *testing.B, peer net.Conn, secure bool, command string) {
	b.Helper()
	if secure {
		peer = tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
	}
	if _, err := io.WriteString(peer, command); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(peer, make([]byte, 5)); err != nil {
		b.Fatal(err)
	}
}

// memory returns the octets in use, after all garbage is collected and stacks
// are shrunk.
func memory() int64 {
	var m runtime.MemStats
	for range 4 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
