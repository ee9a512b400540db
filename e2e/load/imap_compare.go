package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// imapBoxes are the mailboxes of the IMAP run, by number. One message in ten is
// unseen.
func imapBoxes() []popBox { return []popBox{{10_000, 4 << 10}, {100_000, 600}} }

// imapMeasure is one figure, taken of each server in turn.
type imapMeasure struct {
	name string
	box  int
	run  func(s *popServer, box int, d time.Duration) (popResult, error)
}

// imaps measures the IMAP module, and those of Dovecot and Cyrus beside it where
// they are there and this is root: the same messages, the same client, in turns.
func imaps(ctx context.Context, t *target) error {
	boxes := imapBoxes()
	measures := imapMeasures(t.match)
	if !slices.ContainsFunc(measures, func(m imapMeasure) bool { return m.box == 1 }) {
		boxes = boxes[:1] // the large one takes minutes to fill
	}
	if err := t.addAccounts(ctx, len(boxes)); err != nil {
		return err
	}
	for i, b := range boxes {
		if err := t.importMessages(ctx, user(i), "INBOX", b.messages, b.size); err != nil {
			return err
		}
	}
	others, stop, err := besides(ctx, "imap", boxes)
	if err != nil {
		return err
	}
	defer stop()
	servers := append([]*popServer{{name: "tripost", addr: t.imap, user: user, cpu: t.cpu}}, others...)
	for _, s := range servers {
		for i, b := range boxes {
			if err := s.markUnseen(i, b.messages); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	for _, m := range measures {
		if err := compareIMAP(m, servers, t.asked); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// open signs in to a server and opens a mailbox of one of the boxes.
func (s *popServer) open(box int, mailbox string) (*imapClient, error) {
	c, err := dialIMAP(s.addr, false)
	if err != nil {
		return nil, err
	}
	for _, command := range []string{fmt.Sprintf("LOGIN %s %q", s.user(box), password), "SELECT " + mailbox} {
		if _, _, err := c.do(command); err != nil {
			c.conn.Close()
			return nil, err
		}
	}
	return c, nil
}

// markUnseen leaves one message in ten unseen.
func (s *popServer) markUnseen(box, messages int) error {
	c, err := s.open(box, "INBOX")
	if err != nil {
		return err
	}
	defer c.conn.Close()
	if _, _, err := c.do(`STORE 1:* +FLAGS.SILENT (\Seen)`); err != nil {
		return err
	}
	for from := 1; from <= messages; from += 5000 {
		var set []string
		for n := from; n < from+5000 && n <= messages; n += 10 {
			set = append(set, fmt.Sprint(n))
		}
		if _, _, err := c.do("STORE " + strings.Join(set, ",") + ` -FLAGS.SILENT (\Seen)`); err != nil {
			return err
		}
	}
	return nil
}

// imapMeasures returns those with match, or of several parts of it with "|" between
// them one, in their names.
func imapMeasures(match string) []imapMeasure {
	var all []imapMeasure
	add := func(name string, box int, run func(*popServer, int, time.Duration) (popResult, error)) {
		all = append(all, imapMeasure{name, box, run})
	}
	each := func(name string, box int, commands ...string) {
		add(name, box, func(s *popServer, box int, d time.Duration) (popResult, error) {
			return s.repeat(box, 1, commands, d)
		})
	}
	fetch := func(name string, box int, items string) {
		add(name, box, func(s *popServer, box int, d time.Duration) (popResult, error) {
			return s.repeat(box, imapBoxes()[box].messages, []string{"FETCH 1:* " + items}, d)
		})
	}
	for box, name := range []string{"10,000", "100,000"} {
		fetch("FETCH FLAGS of "+name, box, "(FLAGS)")
		fetch("FETCH ENVELOPE of "+name, box, "(ENVELOPE)")
		each("SEARCH UNSEEN in "+name, box, "SEARCH UNSEEN")
		each("SEARCH FROM in "+name, box, "SEARCH FROM sender77")
		each("SEARCH SUBJECT in "+name, box, `SEARCH SUBJECT "number 777"`)
		each("SELECT of "+name, box, "SELECT INBOX")
		each("SORT by subject of "+name, box, "SORT (SUBJECT) UTF-8 ALL")
		each("THREAD by references of "+name, box, "THREAD REFERENCES UTF-8 ALL")
		each("STORE one flag on "+name, box, `STORE 1:* +FLAGS.SILENT (\Flagged)`, `STORE 1:* -FLAGS.SILENT (\Flagged)`)
	}
	for box, name := range []string{"10,000", "100,000"} {
		fetch("FETCH BODYSTRUCTURE of "+name, box, "(BODYSTRUCTURE)")
		fetch("FETCH BODY.PEEK[] of "+name, box, "(BODY.PEEK[])")
		each("SEARCH HEADER, a field that none has, in "+name, box, "SEARCH HEADER X-Nothing x")
		each("SEARCH HEADER, a field that all have, in "+name, box, "SEARCH HEADER MIME-Version x")
		each("SEARCH BODY, nothing, in "+name, box, "SEARCH BODY nowhere")
		add("STORE one flag on random messages of "+name, box, (*popServer).randomStores)
	}
	each("SEARCH BODY, everything, in 10,000", 0, `SEARCH BODY "lazy dog"`)
	each("SEARCH TEXT, nothing, in 10,000", 0, "SEARCH TEXT nowhere")
	for _, command := range []string{"COPY", "MOVE", "EXPUNGE"} {
		add(command+" of 10,000", 0, func(s *popServer, box int, d time.Duration) (popResult, error) {
			return s.churn(box, command, d)
		})
	}
	for _, n := range []int{1, 20} {
		add(fmt.Sprintf("APPEND of 4 KB, %d connections", n), 0, func(s *popServer, box int, d time.Duration) (popResult, error) {
			return s.appends(box, n, d)
		})
	}
	parts := strings.Split(match, "|")
	return slices.DeleteFunc(all, func(m imapMeasure) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(m.name, part) })
	})
}

// repeat gives commands in turn on an open mailbox, each of which does something to
// so many things.
func (s *popServer) repeat(box, things int, commands []string, d time.Duration) (popResult, error) {
	c, err := s.open(box, "INBOX")
	if err != nil {
		return popResult{}, err
	}
	defer c.conn.Close()
	for _, command := range commands { // warms
		if _, _, err := c.do(command); err != nil {
			return popResult{}, err
		}
	}
	return s.timed(d, func(until time.Time) (done, octets int64, err error) {
		for i := 0; i == 0 || time.Now().Before(until); i++ {
			_, n, err := c.do(commands[i%len(commands)])
			if err != nil {
				return done, octets, err
			}
			done, octets = done+int64(things), octets+int64(n)
		}
		return done, octets, nil
	})
}

// randomStores changes a flag of one message after the other.
func (s *popServer) randomStores(box int, d time.Duration) (popResult, error) {
	c, err := s.open(box, "INBOX")
	if err != nil {
		return popResult{}, err
	}
	defer c.conn.Close()
	return s.timed(d, func(until time.Time) (done, octets int64, err error) {
		for ; time.Now().Before(until); done++ {
			sign := []string{"+", "-"}[done%2]
			if _, _, err := c.do(fmt.Sprintf(`STORE %d %sFLAGS (\Flagged)`, 1+rand.IntN(imapBoxes()[box].messages), sign)); err != nil {
				return done, 0, err
			}
		}
		return done, 0, nil
	})
}

// churn copies a mailbox, moves the copy and removes it, and times one of these.
func (s *popServer) churn(box int, timed string, d time.Duration) (popResult, error) {
	c, err := s.open(box, "INBOX")
	if err != nil {
		return popResult{}, err
	}
	defer c.conn.Close()
	var r popResult
	for r.took < d {
		for _, command := range []string{
			"CREATE copied", "CREATE moved", "SELECT INBOX", "COPY 1:* copied", "SELECT copied", "MOVE 1:* moved", "SELECT moved",
			`STORE 1:* +FLAGS.SILENT (\Deleted)`, "EXPUNGE", "SELECT INBOX", "DELETE copied", "DELETE moved",
		} {
			begin := time.Now()
			if _, _, err := c.do(command); err != nil {
				return r, err
			}
			if strings.HasPrefix(command, timed) {
				r.took += time.Since(begin)
				r.done += int64(imapBoxes()[box].messages)
			}
		}
	}
	return r, nil
}

// appends lets several clients append messages, each the next when the last is
// answered.
func (s *popServer) appends(box, connections int, d time.Duration) (popResult, error) {
	admin, err := s.open(box, "INBOX")
	if err != nil {
		return popResult{}, err
	}
	defer admin.conn.Close()
	if _, _, err := admin.do("CREATE appended"); err != nil {
		return popResult{}, err
	}
	text := string(mail(1, 4<<10))
	command := fmt.Sprintf("APPEND appended {%d+}\r\n%s", len(text), text)
	r, err := s.timed(d, func(until time.Time) (int64, int64, error) {
		var done atomic.Int64
		var all sync.WaitGroup
		errs := make([]error, connections)
		for i := range connections {
			all.Go(func() {
				n, err := s.appendFor(box, command, until)
				done.Add(n)
				errs[i] = err
			})
		}
		all.Wait()
		return done.Load(), 0, errors.Join(errs...)
	})
	if err == nil {
		_, _, err = admin.do("DELETE appended")
	}
	return r, err
}

func (s *popServer) appendFor(box int, command string, end time.Time) (n int64, err error) {
	c, err := s.open(box, "INBOX")
	if err != nil {
		return 0, err
	}
	defer c.conn.Close()
	for ; time.Now().Before(end); n++ {
		if _, _, err := c.do(command); err != nil {
			return n, err
		}
	}
	return n, nil
}

// compareIMAP takes a figure of all servers, twice in turns, and prints the better
// of each, and what the first does against the best of the others.
func compareIMAP(m imapMeasure, servers []*popServer, a asked) error {
	best := make([]popResult, len(servers))
	for range 2 {
		for i, s := range servers {
			r, err := m.run(s, m.box, a.length/2)
			if err := missed(m.name, i, s.name, err); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if err == nil && (best[i].done == 0 || r.rate() > best[i].rate()) {
				best[i] = r
			}
		}
	}
	line := fmt.Sprintf("imap: %-36s", m.name)
	rival := 0.0
	for i, r := range best {
		if r.done == 0 {
			continue
		}
		line += fmt.Sprintf(" %s %.4g/s", servers[i].name, r.rate())
		if i > 0 {
			rival = max(rival, r.rate())
		}
	}
	if rival > 0 {
		line += fmt.Sprintf(": %.1f times", best[0].rate()/rival)
	}
	fmt.Println(line)
	a.report.add(m.name, "/s", values(servers, best)...)
	return nil
}
