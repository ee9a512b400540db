package queue

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Bodies under way are not in memory, however long they are and however many
// connections carry them. It runs alone, for it measures the heap.
func TestBodiesNotInMemory(t *testing.T) {
	const hosts, size = 20, 16 << 20
	w := newWorld(t, Options{})
	n := newInternet()
	var to []string
	for i := range hosts {
		host := fmt.Sprintf("h%d.test", i)
		n.addrs[host] = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})}
		to = append(to, "joe@"+host)
	}
	line := strings.Repeat("x", 98) + "\r\n"
	body := io.MultiReader(strings.NewReader(hello), io.LimitReader(&repeated{text: line}, size/100*100))
	_, err := w.Submit(w.ctx, envelope("ann@example.test", to...), body)
	must(t, err)

	var within atomic.Int32 // peers that have begun to read the message, and read no more
	dial := func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go stall(there, &within)
		return here, nil
	}
	before := heap()
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- NewSender(w.Queue, SenderOptions{DNS: n, Dial: dial, Grace: time.Millisecond}).Run(ctx)
	}()
	w.until("all connections are within the message", func() bool { return within.Load() == hosts })
	if grown := heap() - before; grown > 2*size {
		t.Errorf("the heap has grown by %d MiB while %d connections carry %d MiB each", grown>>20, hosts, size>>20)
	}
	cancel()
	must(t, <-ended)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// stall is a peer that asks for a message and reads only its first octet.
func stall(nc net.Conn, within *atomic.Int32) {
	r := bufio.NewReaderSize(nc, 16)
	say := func(line string) { _, _ = io.WriteString(nc, line+"\r\n") } // who is gone shows in the next read
	say("220 pipe")
	for {
		command, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if strings.HasPrefix(command, "DATA") {
			say("354 go on")
			if _, err := r.ReadByte(); err == nil {
				within.Add(1)
			}
			return
		}
		say("250 ok")
	}
}

// repeated yields a text without end.
type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(b []byte) (n int, err error) {
	for n < len(b) {
		c := copy(b[n:], r.text[r.at:])
		n += c
		r.at = (r.at + c) % len(r.text)
	}
	return n, nil
}
