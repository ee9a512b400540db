package smtp

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tripost/syslog"
)

// BenchmarkReceive delivers messages of 4 KB to random local accounts, durable
// before the reply, with the client in the same process. "pipelined" sends each
// transaction's commands in one group, as mail servers do.
func BenchmarkReceive(b *testing.B) {
	for _, pipelined := range []bool{true, false} {
		name := "stepwise"
		if pipelined {
			name = "pipelined"
		}
		b.Run(name, func(b *testing.B) {
			for _, conns := range []int{1, 20, 100} {
				b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) { benchmarkReceive(b, conns, pipelined, benchMessage(4<<10)) })
			}
		})
	}
}

// BenchmarkReceiveLarge delivers messages of 1 MB.
func BenchmarkReceiveLarge(b *testing.B) {
	for _, conns := range []int{1, 20} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			b.SetBytes(1 << 20)
			benchmarkReceive(b, conns, true, benchMessage(1<<20))
		})
	}
}

const benchAccounts = 200

func benchmarkReceive(b *testing.B, conns int, pipelined bool, message string) {
	w := newWorld(b)
	log, err := syslog.Open(syslog.Options{Directory: b.TempDir(), Level: syslog.Problem})
	must(b, err)
	defer log.Close()
	w.log = log
	for i := range benchAccounts {
		_, err := w.dir.AddAccount(w.ctx, fmt.Sprintf("user%d@example.test", i), "")
		must(b, err)
	}
	w.listen()
	var left atomic.Int64
	left.Store(int64(b.N))
	before := w.store.Engine().Status()
	cpu := processTime(b)
	b.ResetTimer()
	var clients sync.WaitGroup
	for range conns {
		clients.Go(func() {
			c := newBenchClient(b, w.addr)
			defer c.nc.Close()
			for left.Add(-1) >= 0 {
				c.deliver(pipelined, message)
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	cpu = processTime(b) - cpu
	after := w.store.Engine().Status()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "cpu-us/msg") // of the client too
	b.ReportMetric(float64(after.Syncs-before.Syncs)/float64(b.N), "syncs/msg")
}

// processTime returns the processor time used so far, by server and clients.
func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchMessage returns a message of about so many octets, with its end.
func benchMessage(size int) string {
	const line = "The quick brown fox jumps over the lazy dog, again and again.\r\n"
	return "From: Joe <joe@client.test>\r\nTo: user@example.test\r\nSubject: a benchmark\r\n" +
		"Date: Mon, 2 Jan 2006 15:04:05 +0000\r\nMessage-ID: <1@client.test>\r\n\r\n" +
		strings.Repeat(line, size/len(line)) + ".\r\n"
}

type benchClient struct {
	b  *testing.B
	nc net.Conn
	r  *bufio.Reader
}

func newBenchClient(b *testing.B, addr string) *benchClient {
	nc, err := net.Dial("tcp", addr)
	must(b, err)
	c := &benchClient{b, nc, bufio.NewReader(nc)}
	c.expect("220 ")
	c.send("EHLO client.test\r\n")
	c.expect("250 ")
	return c
}

func (c *benchClient) send(text string) {
	if _, err := c.nc.Write([]byte(text)); err != nil {
		c.b.Error(err)
	}
}

// expect reads to the last line of a reply.
func (c *benchClient) expect(code string) {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			c.b.Error(err)
			return
		}
		if line[3] == '-' {
			continue
		}
		if string(line[:4]) != code {
			c.b.Errorf("got %q, want %s", line, code)
		}
		return
	}
}

func (c *benchClient) deliver(pipelined bool, message string) {
	rcpt := fmt.Sprintf("RCPT TO:<user%d@example.test>\r\n", rand.IntN(benchAccounts))
	commands := []string{"MAIL FROM:<joe@client.test>\r\n", rcpt, "DATA\r\n"}
	if pipelined {
		c.send(strings.Join(commands, ""))
	}
	for i, command := range commands {
		if !pipelined {
			c.send(command)
		}
		if i < 2 {
			c.expect("250 ")
		} else {
			c.expect("354 ")
		}
	}
	c.send(message)
	c.expect("250 ")
}
