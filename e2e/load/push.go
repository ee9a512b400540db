package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// pushes measures the time from the end of a RETR by POP to the news of \Seen
// in an IMAP session that idles: the commit's sync is in it.
func pushes(ctx context.Context, t *target) error {
	const messages = 200
	if err := t.addAccounts(ctx, 1); err != nil {
		return err
	}
	if err := t.importMessages(ctx, user(0), "INBOX", messages, 4096); err != nil {
		return err
	}
	idle, err := dialIMAP(t.imap, false)
	if err != nil {
		return err
	}
	defer idle.conn.Close()
	if err := idle.login(0); err != nil {
		return err
	}
	if _, _, err := idle.do("SELECT INBOX"); err != nil {
		return err
	}
	if _, err := idle.conn.Write([]byte("i IDLE\r\n")); err != nil {
		return err
	}
	if _, err := idle.r.ReadString('\n'); err != nil {
		return err
	}
	conn, err := net.Dial("tcp", t.pop)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := popSignIn(conn, 0); err != nil {
		return err
	}
	pop := lineClient{conn, bufio.NewReader(conn)}
	times := make([]time.Duration, 0, messages)
	for i := 1; i <= messages; i++ {
		if err := pop.say(fmt.Sprintf("RETR %d\r\n", i), "+OK"); err != nil {
			return err
		}
		for line := ""; line != ".\r\n"; {
			if line, err = pop.r.ReadString('\n'); err != nil {
				return err
			}
		}
		begin := time.Now()
		line, err := idle.r.ReadString('\n')
		if err != nil {
			return err
		}
		times = append(times, time.Since(begin))
		if want := fmt.Sprintf("* %d FETCH (", i); !strings.HasPrefix(line, want) || !strings.Contains(line, `\Seen`) {
			return fmt.Errorf("after RETR %d the idling session heard %q", i, line)
		}
	}
	slices.Sort(times)
	fmt.Printf("push: RETR to \\Seen in IDLE: median %s, 99th percentile %s, longest %s\n", times[messages/2], times[messages*99/100], times[messages-1])
	t.report.alone(`from RETR by POP to \Seen in an IMAP session, median`, " ms", milliseconds(times[messages/2]))
	return t.crowdPushes(ctx)
}

// A crowd of sessions idles, some of them on the mailbox in which something happens.
const (
	crowd     = 2000
	concerned = 100
)

// crowdPushes measures the time from the STORE of a flag to the news of it in each of
// the sessions that idle on the mailbox: from when the command is sent, with the
// commit's sync, and from when it is answered.
func (t *target) crowdPushes(ctx context.Context) error {
	const changes, others = 200, 10
	var ignored any
	for i := 1; i <= others; i++ {
		q := map[string]string{"name": user(i), "password": password}
		if err := t.call(ctx, "account/add", q, &ignored); err != nil {
			return err
		}
	}
	arrived := make(chan time.Time, concerned)
	failed := make(chan error, concerned)
	for i := range crowd {
		c, err := t.idler(place(i, others))
		if err != nil {
			return err
		}
		defer c.conn.Close()
		if i >= concerned {
			continue
		}
		go func() {
			for range changes {
				if _, err := c.r.ReadString('\n'); err != nil {
					failed <- err
					return
				}
				arrived <- time.Now()
			}
		}()
	}
	c, err := dialIMAP(t.imap, false)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	if err := c.login(0); err != nil {
		return err
	}
	if _, _, err := c.do("SELECT INBOX"); err != nil {
		return err
	}
	var sent, answered []time.Duration
	for i := range changes {
		begin := time.Now()
		if _, _, err := c.do(fmt.Sprintf(`STORE %d %sFLAGS.SILENT (\Flagged)`, 1+i/2, []string{"+", "-"}[i%2])); err != nil {
			return err
		}
		done := time.Now()
		for range concerned {
			select {
			case at := <-arrived:
				sent, answered = append(sent, at.Sub(begin)), append(answered, max(0, at.Sub(done)))
			case err := <-failed:
				return err
			case <-time.After(30 * time.Second):
				return errors.New("a session that idles was not told")
			}
		}
	}
	tell := func(what string, times []time.Duration) {
		slices.Sort(times)
		n := len(times)
		fmt.Printf("push: %d of %d idle sessions, %s: median %s, 99th percentile %s, longest %s\n",
			concerned, crowd, what, times[n/2], times[n*99/100], times[n-1])
		t.report.alone(fmt.Sprintf("%d of %d idle sessions, %s, median", concerned, crowd, what), " ms", milliseconds(times[n/2]))
		t.report.alone(fmt.Sprintf("%d of %d idle sessions, %s, 99th percentile", concerned, crowd, what), " ms", milliseconds(times[n*99/100]))
	}
	tell("from the command", sent)
	tell("from its answer", answered)
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// place is the account of an idle session: the first few are those concerned.
func place(i, others int) int {
	if i < concerned {
		return 0
	}
	return 1 + i%others
}

// idler returns a session that idles on an account's INBOX.
func (t *target) idler(account int) (*imapClient, error) {
	c, err := dialIMAP(t.imap, false)
	if err != nil {
		return nil, err
	}
	if err := c.login(account); err != nil {
		return nil, err
	}
	if _, _, err := c.do("SELECT INBOX"); err != nil {
		return nil, err
	}
	if _, err := c.conn.Write([]byte("i IDLE\r\n")); err != nil {
		return nil, err
	}
	_, err = c.r.ReadString('\n')
	return c, err
}
