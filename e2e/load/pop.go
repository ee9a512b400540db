package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// popServer is a POP server to be measured.
type popServer struct {
	name string
	addr string
	user func(box int) string // whose INBOX is one of the boxes below
	cpu  func() (time.Duration, error)
	// exclusive: it opens a mailbox for one POP session at a time, as RFC 1939
	// section 4 has it.
	exclusive bool
}

// popBox is a mailbox for the POP runs: so many messages of so many octets.
type popBox struct{ messages, size int }

// popBoxes are the mailboxes of every server, by number.
func popBoxes() []popBox {
	return []popBox{{2000, 4 << 10}, {50, 1 << 20}, {6, 10 << 20}, {100_000, 600}}
}

// popMeasure is one figure, taken of each server in turn.
type popMeasure struct {
	name  string
	box   int
	large bool // beside a plain copy of as many octets
	many  bool // sessions of one mailbox
	run   func(s *popServer, box int, d time.Duration) (popResult, error)
}

// popResult is what one run of a measure saw.
type popResult struct {
	done   int64 // messages, listings or sessions
	octets int64
	took   time.Duration
	cpu    time.Duration // the server's
}

func (r popResult) rate() float64 { return float64(r.done) / r.took.Seconds() }
func (r popResult) mbs() float64  { return float64(r.octets) / r.took.Seconds() / 1e6 }
func (r popResult) each() float64 { return float64(r.cpu.Microseconds()) / float64(max(r.done, 1)) }

// pops measures the POP module, and those of Dovecot and Cyrus beside it where
// they are there and this is root: the same messages, the same client, in turns.
func pops(ctx context.Context, t *target) error {
	if err := t.addAccounts(ctx, len(popBoxes())); err != nil {
		return err
	}
	measures := popMeasures(t.match)
	boxes := popBoxes()
	for i, b := range boxes {
		if !slices.ContainsFunc(measures, func(m popMeasure) bool { return m.box == i }) {
			boxes[i].messages = 0 // nobody asks for it, and filling takes time
			continue
		}
		if err := t.importMessages(ctx, user(i), "INBOX", b.messages, b.size); err != nil {
			return err
		}
	}
	others, stop, err := besides(ctx, "pop3", boxes)
	if err != nil {
		return err
	}
	defer stop()
	servers := append([]*popServer{{name: "tripost", addr: t.pop, user: user, cpu: t.cpu}}, others...)
	for _, m := range measures {
		if err := compare(m, servers, t.asked); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// popMeasures returns those with match in their names.
func popMeasures(match string) []popMeasure {
	retr := func(connections int, pipelined bool) func(*popServer, int, time.Duration) (popResult, error) {
		return func(s *popServer, box int, d time.Duration) (popResult, error) {
			return s.retrieve(box, connections, pipelined, d)
		}
	}
	sessions := func(atOnce int) func(*popServer, int, time.Duration) (popResult, error) {
		return func(s *popServer, box int, d time.Duration) (popResult, error) { return s.sessions(box, atOnce, d) }
	}
	listing := func(command string) func(*popServer, int, time.Duration) (popResult, error) {
		return func(s *popServer, box int, d time.Duration) (popResult, error) { return s.listings(box, command, d) }
	}
	all := []popMeasure{
		{"sign-in, STAT, QUIT of 2,000 messages", 0, false, false, sessions(1)},
		{"sign-in, STAT, QUIT, 10 at once", 0, false, true, sessions(10)},
		{"sign-in, STAT, QUIT of 100,000 messages", 3, false, false, sessions(1)},
		{"LIST of 100,000 messages", 3, false, false, listing("LIST")},
		{"UIDL of 100,000 messages", 3, false, false, listing("UIDL")},
		{"RETR of 4 KB, 1 connection, one by one", 0, false, false, retr(1, false)},
		{"RETR of 4 KB, 10 connections, one by one", 0, false, true, retr(10, false)},
		{"RETR of 4 KB, 1 connection, pipelined", 0, false, false, retr(1, true)},
		{"RETR of 4 KB, 10 connections, pipelined", 0, false, true, retr(10, true)},
		{"RETR of 1 MB, 1 connection", 1, true, false, retr(1, false)},
		{"RETR of 10 MB, 1 connection", 2, true, false, retr(1, false)},
	}
	return slices.DeleteFunc(all, func(m popMeasure) bool { return !strings.Contains(m.name, match) })
}

// compare takes a figure of all servers, twice in turns so that what else the
// machine does hits all alike, and prints the better of each, the ratios to the
// first, and to a plain copy in the same turns.
func compare(m popMeasure, servers []*popServer, a asked) error {
	best := make([]popResult, len(servers))
	plain, err := startPlainCopy()
	if err != nil {
		return err
	}
	var most float64
	for range 2 {
		if size := popBoxes()[m.box].size; m.large {
			mbs, err := plain.mbs(size, a.length/2)
			if err != nil {
				return err
			}
			most = max(most, mbs)
		}
		for i, s := range servers {
			if m.many && s.exclusive {
				continue
			}
			r, err := m.run(s, m.box, a.length/2)
			if err := missed(m.name, i, s.name, err); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if err == nil && (best[i].done == 0 || r.rate() > best[i].rate()) {
				best[i] = r
			}
		}
	}
	for i, r := range best {
		if r.done == 0 {
			continue
		}
		fmt.Printf("pop: %-42s %-16s %9.0f/s %7.0f MB/s %8.0f us of CPU each", m.name, servers[i].name, r.rate(), r.mbs(), r.each())
		if m.large {
			fmt.Printf("; %.0f %% of a plain copy", r.mbs()/most*100)
		}
		if i > 0 {
			fmt.Printf("; tripost: %.1f times the rate, %.2f of the CPU", best[0].rate()/r.rate(), best[0].each()/r.each())
		}
		fmt.Println()
	}
	a.report.add(m.name, "/s", values(servers, best)...)
	if m.large {
		a.report.alone(m.name+", of a plain copy", " %", best[0].mbs()/most*100)
	}
	return plain.stop()
}

// values returns what each server did that was asked, for the report.
func values(servers []*popServer, results []popResult) []value {
	var list []value
	for i, r := range results {
		if r.done > 0 {
			list = append(list, value{servers[i].name, r.rate(), r.each()})
		}
	}
	return list
}

// timed runs what for about d and takes the server's CPU time with it.
func (s *popServer) timed(d time.Duration, what func(until time.Time) (done, octets int64, err error)) (popResult, error) {
	before, err := s.cpu()
	if err != nil {
		return popResult{}, err
	}
	begin := time.Now()
	done, octets, err := what(begin.Add(d))
	r := popResult{done: done, octets: octets, took: time.Since(begin)}
	if err != nil {
		return r, err
	}
	after, err := s.cpu()
	r.cpu = after - before
	return r, err
}

// sessions has some clients poll a mailbox again and again.
func (s *popServer) sessions(box, atOnce int, d time.Duration) (popResult, error) {
	return s.timed(d, func(until time.Time) (int64, int64, error) {
		var done atomic.Int64
		var all sync.WaitGroup
		errs := make([]error, atOnce)
		for i := range atOnce {
			all.Go(func() {
				for errs[i] == nil && time.Now().Before(until) {
					errs[i] = s.poll(box)
					done.Add(1)
				}
			})
		}
		all.Wait()
		return done.Load(), 0, errors.Join(errs...)
	})
}

// poll is one short session.
func (s *popServer) poll(box int) error {
	c, err := s.signIn(box)
	if err != nil {
		return err
	}
	defer c.nc.Close()
	for _, command := range []string{"STAT", "QUIT"} {
		if _, err := c.do(command); err != nil {
			return err
		}
	}
	return nil
}

// listings reads a listing of a mailbox again and again in one session.
func (s *popServer) listings(box int, command string, d time.Duration) (popResult, error) {
	c, err := s.signIn(box)
	if err != nil {
		return popResult{}, err
	}
	defer c.nc.Close()
	if _, err := c.listing(command); err != nil { // not timed: reads the index
		return popResult{}, err
	}
	return s.timed(d, func(until time.Time) (n, octets int64, err error) {
		for ; time.Now().Before(until); n++ {
			size, err := c.listing(command)
			if err != nil {
				return n, octets, err
			}
			octets += size
		}
		return n, octets, nil
	})
}

// retrieve fetches the messages of a mailbox again and again over some
// connections.
func (s *popServer) retrieve(box, connections int, pipelined bool, d time.Duration) (popResult, error) {
	clients := make([]*popClient, connections)
	for i := range clients {
		c, err := s.signIn(box)
		if err != nil {
			return popResult{}, err
		}
		defer c.nc.Close()
		if err := c.readSizes(); err != nil {
			return popResult{}, err
		}
		clients[i] = c
	}
	messages := popBoxes()[box].messages
	if _, _, err := clients[0].retrieve(messages, pipelined, time.Now().Add(time.Second)); err != nil { // not timed: warms
		return popResult{}, err
	}
	return s.timed(d, func(until time.Time) (int64, int64, error) {
		var done, octets atomic.Int64
		var all sync.WaitGroup
		errs := make([]error, connections)
		for i, c := range clients {
			all.Go(func() {
				n, size, err := c.retrieve(messages, pipelined, until)
				done.Add(n)
				octets.Add(size)
				errs[i] = err
			})
		}
		all.Wait()
		return done.Load(), octets.Load(), errors.Join(errs...)
	})
}

// popClient is just enough of a client to time a server.
type popClient struct {
	nc    net.Conn
	r     *bufio.Reader
	sizes []int // of the messages that it retrieves
}

// signIn opens a mailbox. A server that opens it for one session at a time may
// not have noticed yet that the last one has ended.
func (s *popServer) signIn(box int) (*popClient, error) {
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := s.trySignIn(box)
		if err == nil || !s.exclusive || !strings.Contains(err.Error(), "[IN-USE]") || time.Now().After(deadline) {
			return c, err
		}
		time.Sleep(time.Millisecond)
	}
}

func (s *popServer) trySignIn(box int) (*popClient, error) {
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	c := &popClient{nc: nc, r: bufio.NewReaderSize(nc, 256<<10)}
	_, err = c.reply()
	for _, command := range []string{"USER " + s.user(box), "PASS " + password} {
		if err == nil {
			_, err = c.do(command)
		}
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("sign in to %s: %w", s.name, err)
	}
	return c, nil
}

func (c *popClient) do(command string) (string, error) {
	if _, err := io.WriteString(c.nc, command+"\r\n"); err != nil {
		return "", err
	}
	return c.reply()
}

func (c *popClient) reply() (string, error) {
	line, err := c.r.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "+OK") {
		err = errors.New(strings.TrimSpace(line))
	}
	return line, err
}

// listing reads a listing and counts its octets.
func (c *popClient) listing(command string) (octets int64, err error) {
	if _, err := c.do(command); err != nil {
		return 0, err
	}
	for {
		line, err := c.r.ReadSlice('\n')
		octets += int64(len(line))
		if err != nil || len(line) == 3 && line[0] == '.' {
			return octets, err
		}
	}
}

const pipelineDepth = 50

// retrieve fetches messages 1 to n, in rounds, until the time is over.
func (c *popClient) retrieve(n int, pipelined bool, until time.Time) (done, octets int64, err error) {
	depth := 1
	if pipelined {
		depth = pipelineDepth
	}
	var commands []byte
	for next := 0; time.Now().Before(until); {
		commands = commands[:0]
		for i := range depth {
			commands = append(commands, "RETR "...)
			commands = strconv.AppendInt(commands, int64(1+(next+i)%n), 10)
			commands = append(commands, "\r\n"...)
		}
		if _, err := c.nc.Write(commands); err != nil {
			return done, octets, err
		}
		for i := range depth {
			size := c.sizes[(next+i)%n]
			if err := c.message(size); err != nil {
				return done, octets, err
			}
			done++
			octets += int64(size)
		}
		next = (next + depth) % n
	}
	return done, octets, nil
}

// readSizes asks for the size of each message.
func (c *popClient) readSizes() error {
	if _, err := c.do("LIST"); err != nil {
		return err
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return err
		}
		var number, size int
		if _, err := fmt.Sscanf(line, "%d %d", &number, &size); err != nil {
			return fmt.Errorf("LIST: %q: %w", line, err)
		}
		c.sizes = append(c.sizes, size)
	}
}

// message reads the reply to RETR of a message of so many octets, which has no
// dots to be stuffed.
func (c *popClient) message(size int) error {
	if _, err := c.reply(); err != nil {
		return err
	}
	if _, err := c.r.Discard(size); err != nil {
		return err
	}
	end, err := c.r.ReadString('\n')
	if err == nil && end != ".\r\n" {
		err = fmt.Errorf("a message of %d octets ends with %q", size, end)
	}
	return err
}

// plainCopy is what the machine can do at most: the same client reads octets
// that are written as they are.
type plainCopy struct {
	nc     net.Conn
	r      *bufio.Reader
	served chan error
}

func startPlainCopy() (*plainCopy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	p := &plainCopy{served: make(chan error, 1)}
	accepted := make(chan struct{})
	go func() { p.served <- servePlain(ln, accepted) }()
	if p.nc, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		return nil, err
	}
	<-accepted
	p.r = bufio.NewReaderSize(p.nc, 256<<10)
	return p, nil
}

func (p *plainCopy) stop() error { return errors.Join(p.nc.Close(), <-p.served) }

// mbs returns the millions of octets a second when they come in pieces of a size.
func (p *plainCopy) mbs(size int, d time.Duration) (float64, error) {
	begin, octets := time.Now(), 0
	for time.Since(begin) < d {
		if _, err := fmt.Fprintf(p.nc, "%d\n", size); err != nil {
			return 0, err
		}
		if _, err := p.r.Discard(size); err != nil {
			return 0, err
		}
		octets += size
	}
	return float64(octets) / time.Since(begin).Seconds() / 1e6, nil
}

// servePlain writes as many octets as each line of one connection asks for.
func servePlain(ln net.Listener, accepted chan<- struct{}) error {
	nc, err := ln.Accept()
	close(accepted)
	if err != nil {
		return err
	}
	defer nc.Close()
	r, block := bufio.NewReader(nc), make([]byte, 64<<10)
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		n, bad := strconv.Atoi(strings.TrimSpace(line))
		if err = errors.Join(err, bad); err != nil {
			return err
		}
		for n > 0 {
			piece := min(n, len(block))
			if _, err := nc.Write(block[:piece]); err != nil {
				return err
			}
			n -= piece
		}
	}
}
