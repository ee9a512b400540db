package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// workloads measures what each of some operations costs the server in CPU time.
func (g *grower) workloads(ctx context.Context) error {
	pop := &popServer{name: "tripost", addr: g.pop, cpu: g.cpu, user: func(box int) string { return stock + "#" + user(box) }}
	imap := &popServer{name: "tripost", addr: g.imap, cpu: g.cpu, user: user}
	const messages = " of 1,000 messages"
	for _, w := range []struct {
		what string
		run  func() (popResult, error)
	}{
		{"delivery by SMTP, 20 connections", func() (popResult, error) { return g.deliveries(ctx) }},
		{"sign-in, STAT, QUIT by POP", func() (popResult, error) { return g.inTurn(pop, "", "") }},
		{"RETR by POP", func() (popResult, error) { return g.inTurn(pop, "RETR %d", "") }},
		{"LIST by POP" + messages, func() (popResult, error) { return g.inTurn(pop, "LIST", "") }},
		{"SELECT by IMAP", func() (popResult, error) { return g.inTurn(imap, "", "SELECT "+stock) }},
		{"FETCH of FLAGS" + messages, func() (popResult, error) { return g.inTurn(imap, "", "FETCH 1:* (FLAGS)") }},
		{"STORE of a flag on one message", func() (popResult, error) { return g.inTurn(imap, "", `STORE %d ±FLAGS.SILENT (\Flagged)`) }},
		{"SEARCH SUBJECT" + messages, func() (popResult, error) { return g.inTurn(imap, "", `SEARCH SUBJECT "number 77"`) }},
		{"SEARCH BODY" + messages, func() (popResult, error) { return g.inTurn(imap, "", `SEARCH BODY "nowhere"`) }},
	} {
		best := 0.0
		for range growRounds {
			r, err := w.run()
			if err != nil {
				return fmt.Errorf("%s: %w", w.what, err)
			}
			if best == 0 || r.each() < best {
				best = r.each()
			}
		}
		g.note(grown{What: w.what, Unit: " us", Factor: 1.5}, best)
	}
	return nil
}

// deliveries delivers to accounts of the whole store, into their INBOX.
func (g *grower) deliveries(ctx context.Context) (r popResult, err error) {
	before, err := g.cpu()
	if err != nil {
		return r, err
	}
	n, took, err := g.deliver(ctx, shape{4096, 1, 20}, g.length/growRounds)
	if err != nil {
		return r, err
	}
	after, err := g.cpu()
	return popResult{done: int64(n), took: took, cpu: after - before}, err
}

// inTurn gives a command of POP or of IMAP to sessions of the sample's accounts in
// turn; with neither it opens POP sessions. See numbered for what may stand in it.
func (g *grower) inTurn(s *popServer, pop, imap string) (popResult, error) {
	var each []func(n int) error
	for _, box := range g.sample {
		switch {
		case pop == "" && imap == "":
			if err := s.poll(box); err != nil { // not timed: the password's check is remembered
				return popResult{}, err
			}
			each = append(each, func(int) error { return s.poll(box) })
		case pop != "":
			c, err := s.signIn(box)
			if err != nil {
				return popResult{}, err
			}
			defer c.nc.Close()
			one := func(n int) error { _, err := c.listing(numbered(pop, n)); return err }
			each = append(each, one)
			if err := seen(pop, one); err != nil {
				return popResult{}, err
			}
		default:
			c, err := s.open(box, stock)
			if err != nil {
				return popResult{}, err
			}
			defer c.conn.Close()
			each = append(each, func(n int) error { _, _, err := c.do(numbered(imap, n)); return err })
		}
	}
	for _, do := range each { // not timed: warms
		if err := do(0); err != nil {
			return popResult{}, err
		}
	}
	return s.timed(g.length/growRounds, func(until time.Time) (done, octets int64, err error) {
		for ; time.Now().Before(until); done++ {
			if err := each[int(done)%len(each)](int(done) / len(each)); err != nil {
				return done, 0, err
			}
		}
		return done, 0, nil
	})
}

// seen has each message read that a command will name: what the first time adds, the
// mark \Seen and its commit, is then over, and every round measures the same.
func seen(command string, do func(n int) error) error {
	if !strings.Contains(command, "%d") {
		return nil
	}
	for n := 0; n < 2*stocked; n += 2 {
		if err := do(n); err != nil {
			return err
		}
	}
	return nil
}

// numbered is a command for the nth time: with a message-number where %d stands, each
// number twice, and a sign where ± stands, so that each second time undoes the one
// before.
func numbered(command string, n int) string {
	number := strconv.Itoa(1 + n/2*37%stocked)
	return strings.NewReplacer("%d", number, "±", []string{"+", "-"}[n%2]).Replace(command)
}
