package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tripost/admin"
)

const (
	queued        = 100_000 // messages that wait
	queuedDomains = 1_000
	queuedSenders = 1_000
	queuedSize    = 1024 // octets of a message
)

// sending fills the queue with messages for other hosts and measures what one
// does with so long a queue, and then how fast it becomes empty; Postfix does the
// same where it is installed.
func sending(ctx context.Context, t *target) error {
	s, err := newSink()
	if err != nil {
		return err
	}
	defer s.close()
	config, err := os.ReadFile(t.config)
	if err != nil {
		return err
	}
	more := fmt.Sprintf("[queue]\nsmarthost = %q\nlimit = 1000000\n", s.addr)
	if err := os.WriteFile(t.config, append(config, more...), 0o600); err != nil {
		return err
	}
	if err := t.restart(ctx); err != nil {
		return err
	}
	rate, err := fillQueue(ctx, t.smtp, queued)
	if err != nil {
		return err
	}
	fmt.Printf("send: %d messages of %d octets to %d domains taken at %.0f a second\n", queued, queuedSize, queuedDomains, rate)
	if err := t.terminate(ctx); err != nil {
		return err
	}
	if err := t.cmd.Wait(); err != nil {
		return fmt.Errorf("the server ended with %w: %s", err, t.output.String())
	}
	begin, before := time.Now(), s.came.Load()
	if err := t.launch(ctx); err != nil {
		return err
	}
	started := time.Since(begin).Round(time.Millisecond)
	if err := t.busy(ctx, s, before+100); err != nil {
		return err
	}
	resident, _ := t.resident()
	fmt.Printf("send: started with them in %v, 100 connections wait for their greeting after %v, %d MiB resident\n",
		started, time.Since(begin).Round(time.Millisecond), resident>>20)
	t.report.alone("start with 100,000 queued", " ms", milliseconds(started))
	t.report.alone("memory then, 100 connections under way", " MiB", float64(resident>>20))
	if err := t.steer(ctx); err != nil {
		return err
	}
	s.unlock()
	return t.drain(ctx, s, rate)
}

// busy waits until so many connections have come to the sink.
func (t *target) busy(ctx context.Context, s *sink, want int64) error {
	deadline := time.Now().Add(time.Minute)
	for s.came.Load() < want {
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("%d connections have come, want %d", s.came.Load(), want)
		}
		time.Sleep(time.Millisecond) // a sample
	}
	return nil
}

// steer lists the queue and holds the mail of one sender.
func (t *target) steer(ctx context.Context) error {
	begin := time.Now()
	var list []admin.QueueItem
	if err := t.call(ctx, "queue/list", admin.QueueRequest{}, &list); err != nil {
		return err
	}
	took := time.Since(begin)
	fmt.Printf("send: the first %d listed in %v\n", len(list), took.Round(time.Millisecond))
	t.report.alone("list of the first 10,000", " ms", milliseconds(took))
	for _, one := range []struct {
		what string
		q    admin.QueueRequest
	}{
		{"one sender", admin.QueueRequest{Sender: "sender7@load.test"}},
		{"one domain", admin.QueueRequest{Domain: "d7.test"}},
	} {
		for _, order := range []string{"hold", "release"} {
			begin := time.Now()
			var count admin.QueueCount
			if err := t.call(ctx, "queue/"+order, one.q, &count); err != nil {
				return err
			}
			took := time.Since(begin)
			fmt.Printf("send: %s of %s: %d messages in %v\n", order, one.what, count.Messages, took.Round(time.Millisecond))
			t.report.alone(fmt.Sprintf("%s of %s, %d messages", order, one.what, count.Messages), " ms", milliseconds(took))
		}
	}
	return nil
}

// drain watches the queue become empty, which was filled at a rate.
func (t *target) drain(ctx context.Context, s *sink, taken float64) error {
	cpu0, _ := t.cpu()
	begin := time.Now()
	var own, files int64 // resident: of its own; pages of files, which the system takes back when it needs room
	last, full := int64(0), time.Duration(0)
	for s.taken.Load() < queued && ctx.Err() == nil {
		if time.Since(begin) > 5*time.Minute {
			return fmt.Errorf("after %v the sink has %d messages", time.Since(begin), s.taken.Load())
		}
		time.Sleep(100 * time.Millisecond) // a sample of the rate
		n := s.taken.Load()
		if full == 0 && n-last >= 100 {
			full = time.Since(begin)
		}
		last = n
		if m, err := t.memory("RssAnon"); err == nil {
			own = max(own, m)
		}
		if m, err := t.memory("RssFile"); err == nil {
			files = max(files, m)
		}
	}
	elapsed := time.Since(begin)
	cpu1, _ := t.cpu()
	fmt.Printf("send: %6.0f messages/s to a sink, 1,000 a second after %v, %s server CPU a message, at most %d MiB resident of its own and %d MiB of files\n",
		queued/elapsed.Seconds(), full.Round(100*time.Millisecond), (cpu1-cpu0)/queued, own>>20, files>>20)
	ours := []value{{Server: "tripost", Amount: taken}, {"tripost", queued / elapsed.Seconds(), float64((cpu1 - cpu0).Microseconds()) / queued}}
	t.report.alone("most memory of its own while they are sent", " MiB", float64(own>>20))
	t.report.alone("most pages of files while they are sent", " MiB", float64(files>>20))
	theirs, err := besidePostfix(ctx)
	if err != nil {
		return err
	}
	for i, what := range []string{"messages taken for other hosts, 20 connections", "messages sent"} {
		list := ours[i : i+1 : i+1]
		if theirs != nil {
			list = append(list, theirs[i])
		}
		t.report.add(what, "/s", list...)
	}
	return nil
}

// fillQueue submits messages to other domains over several connections and
// returns how many were taken in a second.
func fillQueue(ctx context.Context, addr string, n int) (float64, error) {
	const conns = 20
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, conns)
	begin := time.Now()
	for i := range conns {
		wg.Go(func() { errs[i] = fillOne(ctx, addr, &next, n) })
	}
	wg.Wait()
	return float64(n) / time.Since(begin).Seconds(), errors.Join(errs...)
}

func fillOne(ctx context.Context, addr string, next *atomic.Int64, n int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := lineClient{conn, bufio.NewReader(conn)}
	if err := errors.Join(c.expect("220"), c.say("EHLO load.test\r\n", "250")); err != nil {
		return err
	}
	data := append(mail(1, queuedSize), ".\r\n"...)
	for ctx.Err() == nil {
		i := next.Add(1) - 1
		if i >= int64(n) {
			return c.say("QUIT\r\n", "221")
		}
		for _, step := range []struct{ say, want string }{
			{fmt.Sprintf("MAIL FROM:<sender%d@load.test>\r\n", i%queuedSenders), "250"},
			{fmt.Sprintf("RCPT TO:<user%d@d%d.test>\r\n", i, i/7%queuedDomains), "250"},
			{"DATA\r\n", "354"}, {string(data), "250"},
		} {
			if err := c.say(step.say, step.want); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}
