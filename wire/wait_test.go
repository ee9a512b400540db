package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitInput(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		wake := make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(context.Background())

		send(peer, "DONE\r\nNOOP\r\n")
		for range 2 { // for the network, and from the buffer
			if err := c.WaitInput(ctx, wake); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"DONE", "NOOP"} {
			if line, err := c.ReadLine(512); err != nil || string(line) != want {
				t.Fatalf("%q, %v", line, err)
			}
		}
		wake <- struct{}{}
		if err := c.WaitInput(ctx, wake); err != ErrWoken {
			t.Errorf("woken before: %v", err)
		}
		go func() { wake <- struct{}{} }()
		if err := c.WaitInput(ctx, wake); err != ErrWoken {
			t.Errorf("woken: %v", err)
		}
		go c.Wake()
		if err := c.WaitInput(ctx, nil); err != ErrWoken {
			t.Errorf("Wake: %v", err)
		}
		go cancel()
		if err := c.WaitInput(ctx, wake); err != context.Canceled {
			t.Errorf("context: %v", err)
		}
		// None of which is in the way of reading on.
		send(peer, "IDLE\r\n")
		if line, err := c.ReadLine(512); err != nil || string(line) != "IDLE" {
			t.Errorf("afterwards: %q, %v", line, err)
		}
		go peer.Close()
		if err := c.WaitInput(context.Background(), wake); err != io.EOF {
			t.Errorf("closed: %v", err)
		}
	})
}

// A signal is never lost, whatever it comes together with.
func TestWakeIsNotLost(t *testing.T) {
	t.Parallel()
	c, peer := tcpPair(t, timeouts())
	const rounds = 300
	wake := make(chan struct{})
	go func() {
		for range rounds {
			peer.Write([]byte("x\r\n"))
			wake <- struct{}{}
		}
	}()
	woken, lines := 0, 0
	for woken < rounds || lines < rounds {
		switch err := c.WaitInput(t.Context(), wake); err {
		case nil:
			if _, err := c.ReadLine(512); err != nil {
				t.Fatal(err)
			}
			lines++
		case ErrWoken:
			woken++
		default:
			t.Fatalf("after %d signals and %d lines: %v", woken, lines, err)
		}
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	gone := errors.New("shutting down")
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		c.WriteString("220 ready\r\n")
		go func() {
			io.ReadFull(peer, make([]byte, 11)) // the session waits for a command now, or is about to
			c.Interrupt(gone)
			c.Interrupt(io.EOF)
		}()
		if _, err := c.ReadLine(512); err != gone {
			t.Errorf("read: %v", err)
		}
		if err := c.WaitInput(t.Context(), nil); err != gone {
			t.Errorf("wait: %v", err)
		}
		go io.Copy(io.Discard, peer)
		c.WriteString("421 goodbye\r\n")
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// Mail data under way is not cut off.
func TestInterruptWithinData(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *Conn, peer net.Conn) {
		go func() {
			io.WriteString(peer, "half\r\n")
			c.Interrupt(context.Canceled)
			io.WriteString(peer, "the rest\r\n.\r\n")
		}()
		got, err := io.ReadAll(c.Data(1000))
		if err != nil || string(got) != "half\r\nthe rest\r\n" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestReadTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, peer := pipePair(t, Config{Read: 10 * time.Minute})
		begin := time.Now()
		if _, err := c.ReadLine(512); err != ErrIdle {
			t.Errorf("idle: %v", err)
		}
		checkAbout(t, "idle", time.Since(begin), 10*time.Minute)

		c.SetReadTimeout(time.Minute)
		begin = time.Now()
		if err := c.WaitInput(t.Context(), make(chan struct{})); err != ErrIdle {
			t.Errorf("shorter: %v", err)
		}
		checkAbout(t, "shorter", time.Since(begin), time.Minute)

		c.SetDeadline(time.Now().Add(5 * time.Second))
		begin = time.Now()
		if _, err := c.Peek(1); err != ErrIdle {
			t.Errorf("deadline: %v", err)
		}
		checkAbout(t, "deadline", time.Since(begin), 5*time.Second)
		c.SetDeadline(time.Time{})

		// A peer that sends a line octet by octet gets one timeout for it.
		begin = time.Now()
		dripped := make(chan struct{})
		go func() {
			defer close(dripped)
			for {
				if _, err := peer.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(10 * time.Second) // in the bubble
			}
		}()
		if _, err := c.ReadLine(512); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("slow line: %v", err)
		}
		checkAbout(t, "slow line", time.Since(begin), time.Minute)
		peer.Close()
		c.Abort()
		<-dripped
	})
}

func checkAbout(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want || got > want+maxSlack {
		t.Errorf("%s: waited %v, want %v", what, got, want)
	}
}

func TestCloseTellsTheLastWord(t *testing.T) {
	t.Parallel()
	for range 20 {
		c, peer := tcpPair(t, timeouts())
		// Input that nobody reads would reset the connection.
		if _, err := peer.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		c.WriteString("421 goodbye\r\n")
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Close()
		}()
		if got, err := io.ReadAll(peer); err != nil || string(got) != "421 goodbye\r\n" {
			t.Fatalf("got %q, %v", got, err)
		}
		peer.Close()
		<-done
	}
}

// A connection that has nothing to read holds no buffer.
func TestNoBufferWhileWaiting(t *testing.T) {
	t.Parallel()
	c, peer := tcpPair(t, timeouts())
	c.WriteString("+OK\r\n")
	if err := c.beforeRead(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.pollInput(); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if c.in != nil || c.inPooled != nil || c.out != nil || c.outPooled != nil {
		t.Error("a buffer is held")
	}
	if _, err := io.ReadFull(peer, make([]byte, 5)); err != nil {
		t.Error(err)
	}
}

// BenchmarkRoundTrip is one command and its answer over TCP, client included.
func BenchmarkRoundTrip(b *testing.B) {
	for _, name := range []string{"tcp", "tls"} {
		b.Run(name, func(b *testing.B) {
			c, peer := transports[name](b, timeouts())
			go func() {
				for {
					if _, err := c.ReadLine(512); err != nil {
						return
					}
					c.WriteString("+OK\r\n")
				}
			}()
			command, answer := []byte("NOOP\r\n"), make([]byte, 5)
			b.ReportAllocs()
			for b.Loop() {
				peer.Write(command)
				if _, err := io.ReadFull(peer, answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
