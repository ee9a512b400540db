package main

import (
	"bufio"
	"context"
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
	return nil
}
