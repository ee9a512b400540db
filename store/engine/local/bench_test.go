package local_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"tripost/store/engine"
	"tripost/store/engine/local"
)

func openBench(b *testing.B, dir string) *local.Engine {
	b.Helper()
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	return e
}

// deliver does what one delivery to a mailbox does: reads its state, writes a
// message record, a summary and the state.
func deliver(e *local.Engine, mailbox uint64, content []byte) error {
	ctx := context.Background()
	d, err := e.Draft(ctx, int64(len(content)))
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Write(content); err != nil {
		return err
	}
	return e.Update(ctx, func(tx engine.Tx) error {
		key := binary.BigEndian.AppendUint64([]byte("A"), mailbox)
		state := append(key, 2)
		v, err := tx.Get(state)
		if err != nil {
			return err
		}
		next := uint32(1)
		if len(v) == 40 {
			next = binary.BigEndian.Uint32(v) + 1
		}
		blob, err := tx.Keep(d)
		if err != nil {
			return err
		}
		fresh := make([]byte, 40)
		binary.BigEndian.PutUint32(fresh, next)
		tx.Put(state, fresh)
		record := make([]byte, 48)
		binary.BigEndian.PutUint64(record, uint64(blob))
		tx.Put(binary.BigEndian.AppendUint32(append(key, 1), next), record)
		tx.Put(binary.BigEndian.AppendUint64([]byte("P"), uint64(blob)), make([]byte, 300))
		return nil
	})
}

func BenchmarkDeliver(b *testing.B) {
	for _, size := range []int{4 << 10, 8 << 10} {
		for _, deliverers := range []int{1, 20, 64, 256} {
			b.Run(fmt.Sprintf("%dKB/%d", size>>10, deliverers), func(b *testing.B) {
				benchmarkDeliver(b, size, deliverers)
			})
		}
	}
}

func benchmarkDeliver(b *testing.B, size, deliverers int) {
	e := openBench(b, b.TempDir())
	content := make([]byte, size)
	var left atomic.Int64
	left.Store(int64(b.N))
	before := e.Status()
	b.ResetTimer()
	done := make(chan error, deliverers)
	for i := range deliverers {
		go func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for left.Add(-1) >= 0 {
				if err := deliver(e, r.Uint64N(1000), content); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range deliverers {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.StopTimer()
	after := e.Status()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64(after.Syncs-before.Syncs)/float64(b.N), "syncs/msg")
}

// fill puts n keys of 48 octets.
func fill(b *testing.B, e *local.Engine, n int) {
	b.Helper()
	for i := 0; i < n; {
		err := e.Update(context.Background(), func(tx engine.Tx) error {
			for j := i; j < min(i+1000, n); j++ {
				tx.Put(binary.BigEndian.AppendUint64([]byte("K"), uint64(j)), make([]byte, 48))
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		i += 1000
	}
}

func BenchmarkViewGet(b *testing.B) {
	e := openBench(b, b.TempDir())
	fill(b, e, 100_000)
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := uint64(0); pb.Next(); i++ {
			key := binary.BigEndian.AppendUint64([]byte("K"), i*7919%100_000)
			err := e.View(ctx, func(r engine.Reader) error {
				_, err := r.Get(key)
				return err
			})
			if err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkRange reads 100,000 items from the overlay, and from the index.
func BenchmarkRange(b *testing.B) {
	for _, where := range []string{"overlay", "index"} {
		b.Run(where, func(b *testing.B) {
			dir := b.TempDir()
			e := openBench(b, dir)
			fill(b, e, 100_000)
			if where == "index" {
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
				e = openBench(b, dir)
			}
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				err := e.View(context.Background(), func(r engine.Reader) error {
					for _, err := range r.Range([]byte("K"), []byte("L")) {
						if err != nil {
							return err
						}
						n++
					}
					return nil
				})
				if err != nil || n != 100_000 {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkOpen opens a store of 100,000 bodies.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	e := openBench(b, dir)
	done := make(chan error)
	for i := range 100 {
		go func() {
			var err error
			for j := 0; j < 1000 && err == nil; j++ {
				err = deliver(e, uint64(i), make([]byte, 500))
			}
			done <- err
		}()
	}
	for range 100 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		e, err := local.Open(dir, local.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
