package search

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Pool is the scanners of a server: as many messages are looked through at a time,
// by all its searches together, and as many buffers are held. It is safe for
// concurrent use.
type Pool struct{ scanners chan *scanner }

// NewPool returns a pool of n scanners, at least one.
func NewPool(n int) *Pool {
	p := &Pool{make(chan *scanner, max(n, 1))}
	for range cap(p.scanners) {
		p.scanners <- new(scanner)
	}
	return p
}

// take waits for a scanner.
func (p *Pool) take(ctx context.Context) (*scanner, error) {
	select {
	case s := <-p.scanners:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *Pool) give(s *scanner) {
	s.shrink()
	p.scanners <- s
}

// share is how many messages a scanner takes on at a time; after them another
// search can have it.
const share = 8

// each has scanners look through the messages numbered below n, until one fails. A
// panic in one is passed on to the caller.
func (p *Pool) each(ctx context.Context, n int, look func(*scanner, int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	work := func() {
		for {
			from := int(next.Add(share)) - share
			if from >= n {
				return
			}
			if err := p.some(ctx, from, min(from+share, n), look); err != nil {
				stop(err)
				return
			}
		}
	}
	var workers sync.WaitGroup
	var panicked atomic.Pointer[string]
	for range min(cap(p.scanners), (n+share-1)/share) - 1 {
		workers.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					text := fmt.Sprintf("%v\n%s", v, debug.Stack())
					panicked.Store(&text)
					stop(context.Canceled)
				}
			}()
			work()
		})
	}
	work()
	workers.Wait()
	if text := panicked.Load(); text != nil {
		panic(*text)
	}
	return context.Cause(ctx)
}

// some looks through the messages from..to-1 with one scanner.
func (p *Pool) some(ctx context.Context, from, to int, look func(*scanner, int) error) error {
	s, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer p.give(s)
	for i := from; i < to; i++ {
		if err := look(s, i); err != nil {
			return err
		}
	}
	return nil
}
