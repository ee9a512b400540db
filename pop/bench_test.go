package pop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"tripost/store"
)

// fill puts n messages into a mailbox, sharing one body.
func (w *world) fill(box, text string, n int) {
	w.t.Helper()
	w.deliver(box, text)
	v := w.open(box)
	for have := 1; have < n; have = v.Len() {
		set := store.UIDSet{{Lo: 1, Hi: store.UID(min(have, n-have))}}
		_, err := v.Copy(w.ctx, set, w.mailbox(box))
		must(w.t, err)
		_, err = v.Refresh(w.ctx, false)
		must(w.t, err)
	}
}

// benchmarkCommand times one command and its multi-line reply.
func benchmarkCommand(b *testing.B, w *world, command string) {
	c := w.signedIn("ann", annPassword)
	c.nc.SetDeadline(time.Now().Add(time.Hour))
	request := []byte(command + "\r\n")
	var octets int64
	b.ReportAllocs()
	for b.Loop() {
		c.nc.Write(request)
		n, err := discardReply(c.r)
		must(b, err)
		octets = n
	}
	b.SetBytes(octets)
}

// discardReply reads to the lone dot and counts.
func discardReply(r *bufio.Reader) (octets int64, err error) {
	for {
		line, err := r.ReadSlice('\n')
		octets += int64(len(line))
		if err != nil && err != bufio.ErrBufferFull {
			return octets, err
		}
		if string(line) == ".\r\n" {
			return octets, nil
		}
	}
}

func BenchmarkListing(b *testing.B) {
	w := newWorld(b, false)
	w.fill("ann/INBOX", "Subject: x\r\n\r\nbody\r\n", 100_000)
	for _, command := range []string{"LIST", "UIDL"} {
		b.Run(command, func(b *testing.B) { benchmarkCommand(b, w, command) })
	}
}

func BenchmarkRETR(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20, 10 << 20} {
		text := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 62)+"\r\n", size/64)
		for name, text := range map[string]string{"plain": text, "dots": text + ".\r\n"} {
			b.Run(fmt.Sprintf("%s/%dK", name, size>>10), func(b *testing.B) {
				w := newWorld(b, false)
				w.deliver("ann/INBOX", text)
				benchmarkCommand(b, w, "RETR 1")
			})
		}
	}
}

// BenchmarkRETRPipelined has the client ask for 50 messages at a time.
func BenchmarkRETRPipelined(b *testing.B) {
	const batch = 50
	w := newWorld(b, false)
	w.fill("ann/INBOX", "Subject: x\r\n\r\n"+strings.Repeat(strings.Repeat("x", 62)+"\r\n", 64), batch)
	var request strings.Builder
	for n := range batch {
		fmt.Fprintf(&request, "RETR %d\r\n", n+1)
	}
	c := w.signedIn("ann", annPassword)
	c.nc.SetDeadline(time.Now().Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		io.WriteString(c.nc, request.String())
		for range batch {
			_, err := discardReply(c.r)
			must(b, err)
		}
	}
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkSession is a client that looks for new mail and finds none: the cost
// apart from the password.
func BenchmarkSession(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			w := newWorld(b, false)
			w.fill("ann/INBOX", "Subject: x\r\n\r\nbody\r\n", n)
			w.run()
			for b.Loop() {
				c := w.signedIn("ann", annPassword)
				c.do("STAT")
				c.do("QUIT")
				c.nc.Close()
			}
		})
	}
}

// BenchmarkRETRUnseen fetches each message for the first time, one after the
// other, so that each is to be marked Seen.
func BenchmarkRETRUnseen(b *testing.B) {
	const n = 5000
	text := "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 62)+"\r\n", 64)
	var spent time.Duration
	commits := uint64(0)
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b, false)
		w.fill("ann/INBOX", text, n)
		c := w.signedIn("ann", annPassword)
		c.list("LIST")
		before := w.store.Engine().Status().Syncs
		b.StartTimer()
		start := time.Now()
		for i := range n {
			fmt.Fprintf(c.nc, "RETR %d\r\n", i+1)
			_, err := discardReply(c.r)
			must(b, err)
		}
		c.do("QUIT")
		spent += time.Since(start)
		commits += w.store.Engine().Status().Syncs - before
	}
	b.ReportMetric(float64(b.N*n)/spent.Seconds(), "messages/s")
	b.ReportMetric(float64(commits)/float64(b.N*n), "syncs/message")
}

// BenchmarkIdle is the memory of connections whose clients have signed in and
// do nothing, those of the clients in this process included.
func BenchmarkIdle(b *testing.B) {
	const n = 2000
	for b.Loop() {
		w := newWorld(b, false)
		w.deliver("ann/INBOX", "one\r\n")
		w.config.Log = nil
		w.run()
		heapBefore, stackBefore := memory()
		for range n {
			nc, err := net.Dial("tcp", w.addr)
			must(b, err)
			defer nc.Close()
			for _, command := range []string{"", "USER ann\r\n", "PASS " + annPassword + "\r\n", "RETR 1\r\n"} {
				io.WriteString(nc, command)
				readUntilQuiet(b, nc)
			}
		}
		heap, stack := memory()
		b.ReportMetric(float64(heap-heapBefore)/n/1024, "KiB-heap/session")
		b.ReportMetric(float64(stack-stackBefore)/n/1024, "KiB-stack/session")
	}
}

// readUntilQuiet reads one reply, which is small enough to come at once.
func readUntilQuiet(b *testing.B, nc net.Conn) {
	var buf [512]byte
	_, err := nc.Read(buf[:])
	must(b, err)
}

func memory() (heap, stack uint64) {
	for range 4 { // a stack is halved at most once a cycle
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse, m.StackInuse
}
