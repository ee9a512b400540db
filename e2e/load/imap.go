package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// imapClient is just enough of a client to time a server.
type imapClient struct {
	conn net.Conn
	r    *bufio.Reader
	tag  int
}

func dialIMAP(addr string, secure bool) (*imapClient, error) {
	conn, err := dial(addr, secure)
	if err != nil {
		return nil, err
	}
	c := &imapClient{conn: conn, r: bufio.NewReaderSize(conn, 256<<10)}
	_, err = c.r.ReadSlice('\n')
	return c, err
}

// dial connects, with TLS when asked for; the server's certificate is self-signed.
func dial(addr string, secure bool) (net.Conn, error) {
	if secure {
		return tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	}
	return net.Dial("tcp", addr)
}

// do sends a command and reads to its tagged OK, and counts lines and octets.
func (c *imapClient) do(command string) (lines, octets int, err error) {
	c.tag++
	tag := fmt.Sprintf("a%d ", c.tag)
	if _, err := c.conn.Write([]byte(tag + command + "\r\n")); err != nil {
		return 0, 0, err
	}
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return lines, octets, err
		}
		lines, octets = lines+1, octets+len(line)
		if strings.HasPrefix(string(line[:min(len(line), len(tag))]), tag) {
			if !strings.HasPrefix(string(line[len(tag):]), "OK") {
				return lines, octets, fmt.Errorf("%s: %s", command, line)
			}
			return lines - 1, octets, nil
		}
	}
}

func (c *imapClient) login(i int) error {
	_, _, err := c.do(fmt.Sprintf("LOGIN %s %q", user(i), password))
	return err
}

// fetches measures FETCH over 50,000 messages, in lines a second of server CPU.
func fetches(ctx context.Context, t *target) error {
	const messages = 50_000
	if err := t.addAccounts(ctx, 1); err != nil {
		return err
	}
	if err := t.importMessages(ctx, user(0), "INBOX", messages, 1024); err != nil {
		return err
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
	for _, items := range []string{"(UID FLAGS)", "(ENVELOPE)", "(BODYSTRUCTURE)", "(BODY.PEEK[])"} {
		if err := t.fetch(c, items, messages); err != nil {
			return err
		}
	}
	return nil
}

func (t *target) fetch(c *imapClient, items string, messages int) error {
	if _, _, err := c.do("FETCH 1:* " + items); err != nil { // not timed: warms
		return err
	}
	cpu0, err := t.cpu()
	if err != nil {
		return err
	}
	begin, total, octets := time.Now(), 0, 0
	for time.Since(begin) < t.length {
		_, n, err := c.do("FETCH 1:* " + items)
		if err != nil {
			return err
		}
		total, octets = total+messages, octets+n
	}
	elapsed := time.Since(begin)
	cpu1, err := t.cpu()
	if err != nil {
		return err
	}
	fmt.Printf("fetch: 1:* %-16s of %d: %.2f million/s of server CPU, %.2f million/s, %.0f MB/s\n", items, messages,
		float64(total)/(cpu1-cpu0).Seconds()/1e6, float64(total)/elapsed.Seconds()/1e6, float64(octets)/elapsed.Seconds()/1e6)
	return nil
}

// openings compares SELECT, STATUS and POP STAT of a small and a large mailbox.
func openings(ctx context.Context, t *target) error {
	if err := t.addAccounts(ctx, 2); err != nil {
		return err
	}
	sizes := []int{100, 100_000}
	for i, n := range sizes {
		if err := t.importMessages(ctx, user(i), "INBOX", n, 600); err != nil {
			return err
		}
	}
	for _, command := range []string{"STATUS INBOX (MESSAGES UNSEEN UIDNEXT)", "SELECT INBOX"} {
		var took [2]time.Duration
		for i := range sizes {
			c, err := dialIMAP(t.imap, false)
			if err != nil {
				return err
			}
			defer c.conn.Close()
			if err := c.login(i); err != nil {
				return err
			}
			if took[i], err = median(func() error { _, _, err := c.do(command); return err }); err != nil {
				return err
			}
		}
		fmt.Printf("open: %-40s %8s with %d messages, %8s with %d: %.2f times\n", command, took[0], sizes[0], took[1], sizes[1], float64(took[1])/float64(took[0]))
	}
	return popOpenings(t, sizes)
}

// popOpenings times the sign-in with STAT. Both carry the same password check,
// which would hide the rest, so it is timed from the PASS of a name to the
// answer of STAT less the same for the small mailbox.
func popOpenings(t *target, sizes []int) error {
	var took [2]time.Duration
	for i := range sizes {
		var err error
		if took[i], err = median(func() error { return popStat(t.pop, i) }); err != nil {
			return err
		}
	}
	fmt.Printf("open: %-40s %8s with %d messages, %8s with %d: %.2f times (with the password check)\n", "POP sign-in, STAT, QUIT", took[0], sizes[0], took[1], sizes[1], float64(took[1])/float64(took[0]))
	return nil
}

func popStat(addr string, i int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := lineClient{conn, bufio.NewReader(conn)}
	if err := c.expect("+OK"); err != nil {
		return err
	}
	for _, line := range []string{"USER " + user(i), "PASS " + password, "STAT", "QUIT"} {
		if err := c.say(line+"\r\n", "+OK"); err != nil {
			return err
		}
	}
	return nil
}

// median times fn 51 times.
func median(fn func() error) (time.Duration, error) {
	times := make([]time.Duration, 51)
	for i := range times {
		begin := time.Now()
		if err := fn(); err != nil {
			return 0, err
		}
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
