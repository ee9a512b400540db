package store_test

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tripost/message"
	"tripost/store"
	"tripost/store/engine/local"
)

// benchStore is a store without the check at the end, which would be measured.
func benchStore(b *testing.B) *store.Store {
	e, err := local.Open(b.TempDir(), local.Options{})
	if err != nil {
		b.Fatal(err)
	}
	// No index is kept that nobody uses: what is measured is the reading.
	s, err := store.New(ctx, e, store.Options{Undelete: 24 * time.Hour, IndexOctets: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// BenchmarkAppend delivers mails of 4 KB to 200 accounts from so many callers.
func BenchmarkAppend(b *testing.B) {
	text := []byte(mail("append") + strings.Repeat("A line of text that is fairly long, as lines go.\r\n", 77))
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := benchStore(b)
			accounts := make([]store.Identity, 200)
			for i := range accounts {
				accounts[i] = newAccount(b, s, fmt.Sprint("user", i))
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			b.SetParallelism((callers + 1) / 2)
			var n atomic.Int64
			work := func(more func() bool) {
				for more() {
					to := box(accounts[int(n.Add(1))%len(accounts)], "INBOX")
					if err := deliver(s, to, text); err != nil {
						b.Error(err)
						return
					}
				}
			}
			b.ResetTimer()
			cpu := cpuTime()
			if callers == 1 {
				work(b.Loop)
			} else {
				b.RunParallel(func(pb *testing.PB) { work(pb.Next) })
			}
			b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-us/msg")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// cpuTime is what the process has used so far: on a busy machine it tells more
// than the rate.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func deliver(s *store.Store, to store.MailboxRef, text []byte) error {
	d, err := s.Draft(ctx, int64(len(text)))
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Write(text); err != nil {
		return err
	}
	_, err = s.Append(ctx, store.System(), to, d, store.FlagSet{}, time.Time{})
	return err
}

// BenchmarkAppendRecord is the transaction of an append alone: one body, many
// messages.
func BenchmarkAppendRecord(b *testing.B) {
	s := benchStore(b)
	ann := newAccount(b, s, "ann")
	d, _ := s.Draft(ctx, 0)
	defer d.Close()
	io.WriteString(d, mail("x"))
	var body store.Body
	s.Update(ctx, func(tx *store.Tx) (err error) { body, err = tx.Keep(d); return err })
	b.ReportAllocs()
	for left := b.N; left > 0; {
		n := min(left, 1000)
		left -= n
		err := s.Update(ctx, func(tx *store.Tx) error {
			for range n {
				if _, err := tx.Append(ann, box(ann, "INBOX"), store.NewMessage{Body: body}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMailbox(b *testing.B) {
	for _, size := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("messages=%d", size), func(b *testing.B) {
			s := benchStore(b)
			ann := newAccount(b, s, "ann")
			inbox := box(ann, "INBOX")
			fill(b, s, ann, inbox, size)
			fill(b, s, ann, inbox, 1)
			b.Run("Status", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s.Mailbox(ctx, ann, inbox)
				}
			})
			b.Run("Open", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					v, err := s.Open(ctx, ann, inbox, false)
					if err != nil {
						b.Fatal(err)
					}
					v.Close()
				}
			})
			b.Run("LoadCold", func(b *testing.B) { benchLoad(b, ann, s) })
			keep := openView(b, s, ann, inbox)
			b.Run("LoadShared", func(b *testing.B) { benchLoad(b, ann, s) })
			b.Run("SetFlagsOne", func(b *testing.B) { benchSetFlags(b, keep, span(50, 50)) })
			b.Run("SetFlagsAll", func(b *testing.B) { benchSetFlags(b, keep, span(1, store.UID(size))) })
			b.Run("RefreshOne", func(b *testing.B) { benchRefresh(b, s, ann, keep) })
		})
	}
}

func benchLoad(b *testing.B, ann store.Identity, s *store.Store) {
	b.ReportAllocs()
	for b.Loop() {
		v, err := s.Open(ctx, ann, box(ann, "INBOX"), false)
		if err != nil {
			b.Fatal(err)
		}
		if err := v.Load(ctx); err != nil {
			b.Fatal(err)
		}
		v.Close()
	}
}

func benchSetFlags(b *testing.B, v *store.View, set store.UIDSet) {
	b.ReportAllocs()
	op := store.FlagsAdd
	for b.Loop() {
		if _, _, err := v.SetFlags(ctx, set, op, store.FlagSet{System: flagged}, 0); err != nil {
			b.Fatal(err)
		}
		op = store.FlagsAdd + store.FlagsRemove - op
	}
}

func benchRefresh(b *testing.B, s *store.Store, ann store.Identity, other *store.View) {
	v := openView(b, s, ann, box(ann, "INBOX"))
	b.ReportAllocs()
	op := store.FlagsAdd
	for b.Loop() {
		b.StopTimer()
		if _, _, err := other.SetFlags(ctx, span(50, 50), op, store.FlagSet{System: seen}, 0); err != nil {
			b.Fatal(err)
		}
		op = store.FlagsAdd + store.FlagsRemove - op
		b.StartTimer()
		if _, err := v.Refresh(ctx, false); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecords reads 50,000 stored summaries, as FETCH 1:* ENVELOPE does.
func BenchmarkRecords(b *testing.B) {
	s := benchStore(b)
	ann := newAccount(b, s, "ann")
	const n = 50_000
	bodies := make([]store.Body, 0, n)
	for len(bodies) < n {
		drafts := make([]*store.Draft, 1000)
		for i := range drafts {
			drafts[i], _ = s.Draft(ctx, 0)
			io.WriteString(drafts[i], mail(fmt.Sprint("message ", i)))
		}
		var kept []store.Body
		err := s.Update(ctx, func(tx *store.Tx) error {
			kept = nil
			for _, d := range drafts {
				body, err := tx.Keep(d)
				if err != nil {
					return err
				}
				kept = append(kept, body)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		for _, d := range drafts {
			d.Close()
		}
		bodies = append(bodies, kept...)
	}
	_ = ann
	b.ReportAllocs()
	octets := 0
	for b.Loop() {
		got, err := s.Records(ctx, bodies, func(_ int, r message.Record) bool {
			octets += len(r.Envelope())
			return true
		})
		if err != nil || got != n {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkMany copies, moves and expunges 10,000 messages at once.
func BenchmarkMany(b *testing.B) {
	const n = 10_000
	s := benchStore(b)
	ann := newAccount(b, s, "ann")
	from, to := box(ann, "INBOX"), box(ann, "to")
	if err := s.Create(ctx, ann, to, store.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	fill(b, s, ann, from, n)
	v, target := openView(b, s, ann, from), openView(b, s, ann, to)
	all := span(1, 1<<31)
	rate := func(b *testing.B) {
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "messages/s")
	}
	b.Run("Copy", func(b *testing.B) {
		for b.Loop() {
			if res, err := v.Copy(ctx, all, to); err != nil || res.Target.Count() != n {
				b.Fatal(res, err)
			}
			b.StopTimer()
			target.Expunge(ctx, all, true)
			b.StartTimer()
		}
		rate(b)
	})
	b.Run("Expunge", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			v.Copy(ctx, all, to)
			b.StartTimer()
			if gone, err := target.Expunge(ctx, all, true); err != nil || gone.Count() != n {
				b.Fatal(gone, err)
			}
		}
		rate(b)
	})
	b.Run("Move", func(b *testing.B) {
		for b.Loop() {
			if res, err := v.Move(ctx, all, to); err != nil || res.Target.Count() != n {
				b.Fatal(res, err)
			}
			b.StopTimer()
			refresh(b, target, false)
			target.Move(ctx, all, from)
			refresh(b, v, false)
			b.StartTimer()
		}
		rate(b)
	})
}
