package queue

import (
	"strings"
	"sync/atomic"
	"testing"

	"tripost/history"
	"tripost/rules"
)

// BenchmarkSubmit delivers messages of 8 KB to one of two mailboxes, 32 at a
// time: plainly, with their history, and where the account has rules.
func BenchmarkSubmit(b *testing.B) {
	body := "From: x@client.test\r\nTo: ann@example.test\r\nSubject: hello\r\nMessage-ID: <1@client.test>\r\n\r\n" + strings.Repeat("0123456789012345678901234567890\r\n", 240)
	for _, how := range []string{"plain", "history", "rules"} {
		b.Run(how, func(b *testing.B) {
			w := newWorld(b, Options{})
			switch how {
			case "plain":
				w.o.History = nil
				w.o.Rules = nil
			case "history":
				w.o.Rules = nil
			case "rules":
				w.o.History = nil
				list, err := rules.Parse(`a: if subject contains "offer" then file offers` + "\n" + `b: if from ends "@shop.test" then file shops`)
				must(b, err)
				must(b, w.ask.Replace(w.ctx, "ann@example.test", list))
				must(b, w.ask.Replace(w.ctx, "bob@example.test", list))
			}
			var n atomic.Int64
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					to := "ann@example.test"
					if n.Add(1)%2 == 0 {
						to = "bob@example.test"
					}
					if _, err := w.Submit(w.ctx, envelope("x@client.test", to), strings.NewReader(body)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}

var _ History = (*history.History)(nil)
