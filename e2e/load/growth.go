package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	stocked    = 1000 // messages of a mailbox in the growth run
	stockSize  = 2048 // octets of each
	stock      = "stock"
	waste      = "waste" // a mailbox that is removed
	samples    = 10      // accounts whose mailboxes are read
	growRounds = 3       // of each workload and start, of which the best counts
)

// parseStages reads sizes of the store, such as "10000/10,100000/1000": messages and
// accounts.
func parseStages(text string) (list []stage, err error) {
	for _, one := range strings.Split(text, ",") {
		messages, accounts, _ := strings.Cut(one, "/")
		m, err1 := strconv.Atoi(messages)
		a, err2 := strconv.Atoi(accounts)
		s := stage{m, a}
		switch {
		case errors.Join(err1, err2) != nil, m < samples*stocked, a < m/stocked:
			return nil, fmt.Errorf("stage %q: want messages/accounts, at least %d messages, and an account for each %d of them", one, samples*stocked, stocked)
		case len(list) > 0 && (m < list[len(list)-1].Messages+samples*stocked || a < list[len(list)-1].Accounts):
			return nil, fmt.Errorf("stage %q: want more messages than before it", one)
		}
		list = append(list, s)
	}
	return list, nil
}

// grows measures the same workloads on one store while it grows.
func grows(ctx context.Context, t *target) error {
	stages, err := parseStages(t.stages)
	if err != nil {
		return err
	}
	config, err := os.ReadFile(t.config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(t.config, append(config, "[store]\nundelete = \"1s\"\n"...), 0o600); err != nil {
		return err
	}
	g := &grower{target: t, growth: &growth{}}
	if err := errors.Join(t.restart(ctx), t.addAccounts(ctx, 0)); err != nil {
		return err
	}
	for _, s := range stages {
		if err := g.stage(ctx, s); err != nil {
			return fmt.Errorf("%d messages: %w", s.Messages, err)
		}
		t.report.grown(g.growth)
	}
	return nil
}

// grower is one growth run.
type grower struct {
	*target
	growth   *growth
	messages int   // in the store
	sample   []int // accounts that can sign in, and have a stock
}

// stage lets the store grow to a size, and measures.
func (g *grower) stage(ctx context.Context, s stage) error {
	begin := time.Now()
	added := s.Messages - g.messages
	if err := g.fill(ctx, s); err != nil {
		return err
	}
	fmt.Printf("growth: %d messages, %d accounts: %d stored at %.0f a second\n", s.Messages, s.Accounts, added, float64(added)/time.Since(begin).Seconds())
	g.growth.Stages = append(g.growth.Stages, s)
	for _, part := range []func(context.Context) error{g.stops, g.workloads, g.killed, g.space} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// note prints and keeps a figure.
func (g *grower) note(row grown, amount float64) {
	fmt.Printf("growth: %8d messages: %-46s %s%s\n", g.messages, row.What, number(amount), row.Unit)
	g.growth.note(row, amount)
}

// fill adds accounts and messages. Some of the new accounts are those that are read
// from now on; they also get mail that is removed again, among all the other.
func (g *grower) fill(ctx context.Context, s stage) error {
	from, to := g.messages/stocked, s.Messages/stocked
	step := (to - from) / samples
	g.sample = nil
	wasteful := map[int]bool{}
	for i := range samples {
		g.sample = append(g.sample, from+i*step)
		wasteful[from+i*step] = true
	}
	known := g.accounts
	g.messages, g.accounts = s.Messages, s.Accounts
	return g.inParallel(from, s.Accounts, func(i int) error {
		account := map[string]string{"name": user(i)}
		if wasteful[i] {
			account["password"] = password
		}
		var ignored any
		if i >= known {
			if err := g.call(ctx, "account/add", account, &ignored); err != nil {
				return err
			}
		} else if wasteful[i] {
			if err := g.call(ctx, "account/password", account, &ignored); err != nil {
				return err
			}
		}
		if i >= to {
			return nil
		}
		if wasteful[i] {
			if err := g.importMessages(ctx, user(i), waste, step*stocked/3, stockSize); err != nil {
				return err
			}
		}
		return g.importMessages(ctx, user(i), stock, stocked, stockSize)
	})
}

// stops ends the server gracefully and starts it again, a few times.
func (g *grower) stops(ctx context.Context) error {
	best := time.Hour
	for range growRounds {
		if err := g.terminate(ctx); err != nil {
			return err
		}
		if err := g.cmd.Wait(); err != nil {
			return fmt.Errorf("the server ended with %w: %s", err, g.output.String())
		}
		begin := time.Now()
		if err := g.launch(ctx); err != nil {
			return err
		}
		best = min(best, time.Since(begin))
	}
	g.note(grown{What: "start after a clean stop", Unit: " s", Most: 1, UpTo: 1_000_000}, best.Seconds())
	rss, err := g.settled()
	if err != nil {
		return err
	}
	own, err := g.memory("RssAnon")
	g.note(grown{What: "memory of its own, idle", Unit: " MiB"}, float64(own)/(1<<20))
	g.note(grown{What: "resident, with the pages of the index in the system's cache", Unit: " MiB"}, float64(rss)/(1<<20))
	return err
}

// killed kills the server while mail comes in, and starts it again.
func (g *grower) killed(ctx context.Context) error {
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		// The clients see their connections break.
		_, _, _ = g.deliver(ctx, shape{4096, 1, 20}, time.Minute)
	}()
	select {
	case <-time.After(g.length):
	case <-ctx.Done():
	}
	if err := g.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	_ = g.cmd.Wait() // it was killed
	<-busy
	g.http.CloseIdleConnections()
	begin := time.Now()
	if err := g.launch(ctx); err != nil {
		return err
	}
	g.note(grown{What: "start after a kill under load", Unit: " s", Most: 10, UpTo: 1_000_000}, time.Since(begin).Seconds())
	return nil
}

// space removes a third of what was added, compacts, and looks at the disk.
func (g *grower) space(ctx context.Context) error {
	for _, i := range g.sample {
		var ignored any
		if err := g.call(ctx, "mailbox/remove", map[string]string{"account": user(i), "mailbox": waste}, &ignored); err != nil {
			return err
		}
	}
	before, err := g.storeStatus(ctx)
	if err != nil {
		return err
	}
	now := before
	for deadline := time.Now().Add(3 * time.Minute); ; {
		if err := g.restart(ctx); err != nil { // what has come of age goes at the start
			return err
		}
		time.Sleep(5 * time.Second)
		last := now.LiveOctets
		if now, err = g.storeStatus(ctx); err != nil {
			return err
		}
		if now.LiveOctets < before.LiveOctets && now.LiveOctets == last || time.Now().After(deadline) {
			break
		}
	}
	var freed any
	if err := g.call(ctx, "store/compact", struct{}{}, &freed); err != nil {
		return err
	}
	total, index, err := g.files()
	if err != nil {
		return err
	}
	live := float64(now.LiveOctets)
	g.note(grown{What: "index, for each message", Unit: " octets", Factor: 1.5}, float64(index)/float64(g.messages))
	g.note(grown{What: "disk after compaction, for each live octet", Most: 1.3}, float64(total)/(live+float64(index)))
	return nil
}

// files returns how many octets the store's files have, and its index among them.
func (g *grower) files() (total, index int64, err error) {
	err = filepath.WalkDir(filepath.Join(g.dir, "data", "store"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it has just gone
		}
		if err == nil {
			total += info.Size()
			if d.Name() == "index.db" {
				index = info.Size()
			}
		}
		return err
	})
	return total, index, err
}
