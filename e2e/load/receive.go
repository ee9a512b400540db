package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// receivers is how many accounts mail comes for.
const receivers = 200

// receiver is a server to which mail comes for accounts that it has.
type receiver struct {
	name string
	mailer
	delivered func() (int, error) // messages that can be read now, of all accounts
	cpu       func() (time.Duration, error)
	masters   func() ([]int, error) // the processes that started all others; nil: not known
}

// received is what one run saw.
type received struct {
	messages int
	accepted time.Duration // until the last one was acknowledged
	readable time.Duration // until all could be read
	cpu      time.Duration
}

func (r received) rate() float64 { return float64(r.messages) / r.readable.Seconds() }
func (r received) each() float64 { return float64(r.cpu.Microseconds()) / float64(max(r.messages, 1)) }

// receiving measures how fast mail comes in that its readers can read: this
// server, the LMTP of Dovecot and of Cyrus, and Postfix in front of these, in
// turns, each durable before it acknowledges.
func receiving(ctx context.Context, t *target) error {
	if err := t.addAccounts(ctx, receivers); err != nil {
		return err
	}
	servers := []*receiver{{
		name: "tripost", mailer: mailer{addr: t.smtp, domain: domain, accounts: receivers},
		delivered: t.messages, cpu: t.cpu,
	}}
	others, stop, err := receiversBeside(ctx, "receive")
	if err != nil {
		return err
	}
	defer stop()
	servers = append(servers, others...)
	for _, s := range []shape{
		{4096, 1, 1}, {4096, 1, 20}, {4096, 1, 100}, {1 << 20, 1, 1}, {1 << 20, 1, 20}, {4096, 50, 1}, {4096, 50, 20},
	} {
		if !strings.Contains(s.String(), t.match) {
			continue
		}
		if err := t.alternate(ctx, s, servers); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

func (s shape) String() string {
	return fmt.Sprintf("%d KB, %d connections, %d recipients", s.octets>>10, s.conns, s.recipients)
}

// alternate takes a figure of all servers, twice in turns, and notes the better
// of each.
func (t *target) alternate(ctx context.Context, s shape, servers []*receiver) error {
	best := make([]received, len(servers))
	for range 2 {
		for i, one := range servers {
			r, err := one.receive(ctx, s, t.length/2)
			if err := missed(s.String(), i, one.name, err); err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
			if err == nil && (best[i].messages == 0 || r.rate() > best[i].rate()) {
				best[i] = r
			}
		}
	}
	var alone, whole []value
	for i, r := range best {
		if r.messages == 0 {
			continue
		}
		fmt.Printf("receive: %-39s %-24s %6.0f messages/s accepted, %6.0f/s readable, %7.0f us of CPU each",
			s, servers[i].name, float64(r.messages)/r.accepted.Seconds(), r.rate(), r.each())
		v := value{servers[i].name, r.rate(), r.each()}
		if i > 0 {
			fmt.Printf("; tripost: %.1f times", best[0].rate()/r.rate())
		}
		fmt.Println()
		if i == 0 || servers[i].lmtp {
			alone = append(alone, v)
		}
		if i == 0 || !servers[i].lmtp {
			whole = append(whole, v)
		}
	}
	if len(whole) > 1 || len(alone) == 1 {
		t.report.add(s.String(), "/s", whole...)
	}
	if len(alone) > 1 {
		t.report.add(s.String()+", beside LMTP alone", "/s", alone...)
	}
	return nil
}

// receive delivers for a time, and waits until all of it can be read.
func (r *receiver) receive(ctx context.Context, s shape, length time.Duration) (got received, err error) {
	before, err := r.delivered()
	if err != nil {
		return got, err
	}
	cpu0, err := r.cpu()
	if err != nil {
		return got, err
	}
	begin := time.Now()
	if got.messages, got.accepted, err = r.deliver(ctx, s, length); err != nil {
		return got, err
	}
	for {
		got.readable = time.Since(begin)
		cpu1, err := r.cpu()
		if err != nil {
			return got, err
		}
		now, err := r.delivered()
		want := before + got.messages*s.recipients
		switch {
		case err != nil:
			return got, err
		case now > want || now < want && got.readable > got.accepted+2*time.Minute:
			return got, fmt.Errorf("%d messages can be read, want %d", now-before, got.messages*s.recipients)
		case now == want:
			got.cpu = cpu1 - cpu0
			return got, nil
		}
		select {
		case <-ctx.Done():
			return got, ctx.Err()
		case <-time.After(20 * time.Millisecond): // a sample
		}
	}
}

// messages counts what is in the INBOX of all accounts, by POP.
func (t *target) messages() (total int, err error) {
	pop := popServer{name: "tripost", addr: t.pop, user: user}
	for i := range receivers {
		c, err := pop.signIn(i)
		if err != nil {
			return 0, err
		}
		var n, octets int
		line, err := c.do("STAT")
		if err == nil {
			_, err = fmt.Sscanf(line, "+OK %d %d", &n, &octets)
		}
		if err = errors.Join(err, c.nc.Close()); err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// receivers returns the Dovecot once for each format.
func (d *dovecot) receivers() []*receiver {
	var list []*receiver
	for _, format := range dovecotFormats() {
		list = append(list, &receiver{
			name:      "dovecot, " + format,
			mailer:    mailer{addr: d.addr, lmtp: true, domain: format + ".test", accounts: receivers},
			delivered: func() (int, error) { return d.delivered(format) },
			cpu:       d.cpu,
			masters:   func() ([]int, error) { return []int{d.cmd.Process.Pid}, nil },
		})
	}
	return list
}
