package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"tripost/admin"
)

// memoryAfterStart restarts the server with 200 accounts and reads its size.
func memoryAfterStart(ctx context.Context, t *target) error {
	if err := t.addAccounts(ctx, 200); err != nil {
		return err
	}
	if err := t.restart(ctx); err != nil {
		return err
	}
	rss, err := t.resident()
	if err != nil {
		return err
	}
	fmt.Printf("memory: %.1f MiB resident after start with 200 accounts\n", float64(rss)/(1<<20))
	t.report.alone("after start, with 200 accounts", " MiB", float64(rss)/(1<<20))
	return memoryWithAccounts(ctx, t)
}

// manyAccounts is an organisation that has outgrown its first machine.
const manyAccounts = 10_000

// memoryWithAccounts makes many accounts beside the 200, and reads the size of a
// server that has just routed to each of them, and of the same one with 200.
func memoryWithAccounts(ctx context.Context, t *target) error {
	few, err := t.afterRouting(ctx, 200)
	if err != nil {
		return err
	}
	if err := t.inParallel(200, manyAccounts, func(i int) error {
		var ignored any
		return t.call(ctx, "account/add", map[string]string{"name": user(i)}, &ignored)
	}); err != nil {
		return err
	}
	if err := t.restart(ctx); err != nil {
		return err
	}
	many, err := t.afterRouting(ctx, manyAccounts)
	if err != nil {
		return err
	}
	fmt.Printf("memory: %.1f MiB resident after routing to 200 accounts, %.1f MiB after routing to %d: %+.1f MiB\n",
		float64(few)/(1<<20), float64(many)/(1<<20), manyAccounts, float64(many-few)/(1<<20))
	t.report.alone("after routing to 200 accounts", " MiB", float64(few)/(1<<20))
	t.report.alone("for each further account that was routed to", " octets", float64(many-few)/(manyAccounts-200))
	return nil
}

// afterRouting routes to each account, and reads the server's size when it has
// settled.
func (t *target) afterRouting(ctx context.Context, n int) (int64, error) {
	err := t.inParallel(0, n, func(i int) error {
		var ignored any
		return t.call(ctx, "route/test", map[string]string{"address": user(i)}, &ignored)
	})
	if err != nil {
		return 0, err
	}
	return t.settled()
}

// inParallel calls fn for the numbers from lo to below hi, several at once, and
// returns one of the errors.
func (t *target) inParallel(lo, hi int, fn func(int) error) error {
	const workers = 32
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for w := range workers {
		wg.Go(func() {
			for i := lo + w; i < hi; i += workers {
				if err := fn(i); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// idleConnections measures what a signed-in idle connection adds.
func idleConnections(ctx context.Context, t *target) error {
	if err := t.addAccounts(ctx, 20); err != nil {
		return err
	}
	for i := range 20 {
		if err := t.importMessages(ctx, user(i), "INBOX", 100, 600); err != nil {
			return err
		}
	}
	for _, k := range []struct {
		name   string
		addr   string
		secure bool
		signIn func(net.Conn, int) error
	}{
		{"POP, plain", t.pop, false, popSignIn},
		{"POP, TLS", t.popTLS, true, popSignIn},
		{"IMAP, plain", t.imap, false, imapSignIn},
		{"IMAP, TLS", t.imapTLS, true, imapSignIn},
	} {
		if !strings.Contains(k.name, t.match) {
			continue
		}
		if err := t.restart(ctx); err != nil {
			return err
		}
		per, err := t.idle(k.addr, k.secure, k.signIn)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		fmt.Printf("idle: %-12s %5.1f KiB a connection, of %d\n", k.name, per/1024, t.connections)
		t.report.alone(fmt.Sprintf("%s, of %d", k.name, t.connections), " KiB", per/1024)
	}
	return nil
}

// idleFirst is how many connections bring the process to its working size; they
// are not counted.
const idleFirst = 50

func (t *target) idle(addr string, secure bool, signIn func(net.Conn, int) error) (perConn float64, err error) {
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	open := func(n int) error {
		var mu sync.Mutex
		var wg sync.WaitGroup
		var fault error
		for w := range 4 {
			wg.Go(func() {
				for i := w; i < n; i += 4 {
					c, err := dial(addr, secure)
					if err == nil {
						err = signIn(c, i%20)
					}
					mu.Lock()
					if err != nil {
						fault = err
					}
					if c != nil {
						conns = append(conns, c)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return fault
	}
	if err := open(idleFirst); err != nil {
		return 0, err
	}
	before, err := t.settled()
	if err != nil {
		return 0, err
	}
	if err := open(t.connections); err != nil {
		return 0, err
	}
	after, err := t.settled()
	return float64(after-before) / float64(t.connections), err
}

// settled waits until the server's size has stopped shrinking: the runtime
// gives freed memory back over some seconds.
func (t *target) settled() (int64, error) {
	least, err := t.resident()
	for quiet := 0; err == nil && quiet < 15; quiet++ {
		time.Sleep(time.Second)
		var now int64
		if now, err = t.resident(); now < least-(256<<10) {
			least, quiet = now, 0
		}
	}
	return least, err
}

func popSignIn(conn net.Conn, i int) error {
	c := lineClient{conn, bufio.NewReader(conn)}
	if err := c.expect("+OK"); err != nil {
		return err
	}
	for _, line := range []string{"USER " + user(i), "PASS " + password, "STAT"} {
		if err := c.say(line+"\r\n", "+OK"); err != nil {
			return err
		}
	}
	return nil
}

func imapSignIn(conn net.Conn, i int) error {
	c := &imapClient{conn: conn, r: bufio.NewReader(conn)}
	if _, err := c.r.ReadSlice('\n'); err != nil {
		return err
	}
	if err := c.login(i); err != nil {
		return err
	}
	_, _, err := c.do("SELECT INBOX")
	return err
}

// restart stops the server and starts it again on the same data.
func (t *target) restart(ctx context.Context) error {
	if err := t.terminate(ctx); err != nil {
		return err
	}
	if err := t.cmd.Wait(); err != nil {
		return fmt.Errorf("the server ended with %w: %s", err, t.output.String())
	}
	return t.launch(ctx)
}

// terminate asks the server to end, by the process id that it tells: not that
// of the command, when another program runs it.
func (t *target) terminate(ctx context.Context) error {
	var info admin.ServerInfo
	if err := t.call(ctx, "server/status", struct{}{}, &info); err != nil {
		return err
	}
	t.http.CloseIdleConnections()
	return syscall.Kill(info.PID, syscall.SIGTERM)
}
