package queue

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"tripost/smtp/sinktest"
)

// BenchmarkSend sends small messages to hosts on loopback, each outcome durable.
func BenchmarkSend(b *testing.B) {
	for _, hosts := range []int{1, 20} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			w := newWorld(b, Options{})
			n := newInternet()
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan struct{})
			for i := range hosts {
				n.host(fmt.Sprintf("h%d.test", i), fmt.Sprintf("192.0.2.%d", i+1), sinktest.New(b, sinktest.Options{
					Reply: func(command, _ string) string {
						if command == "data" && left.Add(-1) == 0 {
							close(done)
						}
						return ""
					}}))
			}
			for i := range b.N {
				w.submit("ann@example.test", fmt.Sprintf("u%d@h%d.test", i, i%hosts))
			}
			s := NewSender(w.Queue, SenderOptions{DNS: n, Dial: n.dial})
			ctx, cancel := context.WithCancel(w.ctx)
			ended := make(chan error, 1)
			b.ResetTimer()
			go func() { ended <- s.Run(ctx) }()
			<-done
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
			cancel()
			must(b, <-ended)
		})
	}
}
