package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"tripost/admin"
)

// shape is what is delivered in one run.
type shape struct {
	octets     int // of a message
	recipients int // of a message, each another account
	conns      int
}

// deliveries measures SMTP deliveries to random accounts, each durable before the
// reply: small mails, large ones, and small ones with many recipients.
func deliveries(ctx context.Context, t *target) error {
	if err := t.addAccounts(ctx, 200); err != nil {
		return err
	}
	for _, s := range []shape{
		{4096, 1, 1}, {4096, 1, 20}, {4096, 1, 100}, {1 << 20, 1, 1}, {1 << 20, 1, 20}, {4096, 50, 1}, {4096, 50, 20},
	} {
		before, err := t.storeStatus(ctx)
		if err != nil {
			return err
		}
		cpu0, _ := t.cpu()
		n, elapsed, err := t.deliver(ctx, s, t.length)
		if err != nil {
			return err
		}
		cpu1, _ := t.cpu()
		after, err := t.storeStatus(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("smtp: %3d connections, %4d KB, %2d recipients: %6.0f messages/s, %.3f syncs a message, %s server CPU a message\n",
			s.conns, s.octets>>10, s.recipients, float64(n)/elapsed.Seconds(), float64(after.Syncs-before.Syncs)/float64(n), (cpu1-cpu0)/time.Duration(max(n, 1)))
		t.report.add(s.String(), "/s",
			value{"tripost", float64(n) / elapsed.Seconds(), float64((cpu1 - cpu0).Microseconds()) / float64(max(n, 1))})
	}
	return nil
}

func (t *target) storeStatus(ctx context.Context) (s admin.StoreInfo, err error) {
	return s, t.call(ctx, "store/status", struct{}{}, &s)
}

// deliver delivers to this server.
func (t *target) deliver(ctx context.Context, s shape, length time.Duration) (int, time.Duration, error) {
	return mailer{addr: t.smtp, domain: domain, accounts: t.accounts}.deliver(ctx, s, length)
}

// mailer sends mail to a server.
type mailer struct {
	addr     string
	lmtp     bool
	domain   string // of the accounts, user0 and so on
	accounts int
}

// deliver runs conns clients for a time and returns how many messages were
// acknowledged.
func (m mailer) deliver(ctx context.Context, s shape, length time.Duration) (int, time.Duration, error) {
	var (
		mu    sync.Mutex
		total int
		fault error
		wg    sync.WaitGroup
	)
	begin := time.Now()
	for i := range s.conns {
		wg.Go(func() {
			n, err := m.deliverOne(ctx, s, rand.New(rand.NewPCG(1, uint64(i))), begin.Add(length))
			mu.Lock()
			defer mu.Unlock()
			total += n
			fault = errors.Join(fault, err)
		})
	}
	wg.Wait()
	return total, time.Since(begin), fault
}

// deliverOne sends one message after the other on one connection, without
// pipelining: MAIL, RCPT, DATA, the message, each awaited.
func (m mailer) deliverOne(ctx context.Context, s shape, r *rand.Rand, until time.Time) (n int, err error) {
	conn, err := net.Dial("tcp", m.addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	c := lineClient{conn, bufio.NewReader(conn)}
	hello, replies := "EHLO load.test\r\n", 1
	if m.lmtp {
		hello, replies = "LHLO load.test\r\n", s.recipients // RFC 2033 section 4.2
	}
	if err := errors.Join(c.expect("220"), c.say(hello, "250")); err != nil {
		return 0, err
	}
	before, after, _ := bytes.Cut(append(mail(1, s.octets), ".\r\n"...), []byte("Message-ID: <"))
	for time.Now().Before(until) && ctx.Err() == nil {
		if err := c.say("MAIL FROM:<sender@elsewhere.test>\r\n", "250"); err != nil {
			return n, err
		}
		first := r.IntN(m.accounts)
		for i := range s.recipients {
			if err := c.say(fmt.Sprintf("RCPT TO:<user%d@%s>\r\n", (first+i)%m.accounts, m.domain), "250"); err != nil {
				return n, err
			}
		}
		if err := c.say("DATA\r\n", "354"); err != nil {
			return n, err
		}
		// Each has an identifier of its own: Cyrus keeps a message once.
		data := fmt.Appendf(nil, "%sMessage-ID: <%x.%x.%s", before, until.UnixNano(), r.Uint64(), after)
		if err := c.say(string(data), "250"); err != nil {
			return n, err
		}
		for range replies - 1 {
			if err := c.expect("250"); err != nil {
				return n, err
			}
		}
		n++
	}
	return n, c.say("QUIT\r\n", "221")
}

// lineClient speaks a protocol of lines.
type lineClient struct {
	conn net.Conn
	r    *bufio.Reader
}

// say sends text and expects a reply that begins with want.
func (c lineClient) say(text, want string) error {
	if _, err := c.conn.Write([]byte(text)); err != nil {
		return err
	}
	return c.expect(want)
}

// expect reads one SMTP reply, of one or more lines.
func (c lineClient) expect(want string) error {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(line, []byte(want)) {
			return fmt.Errorf("the server answered %q, not %s", line, want)
		}
		if len(line) < 4 || line[3] != '-' {
			return nil
		}
	}
}
