package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKill kills the server again and again while mail comes in by SMTP and by
// XTND XMIT, POP sessions drain their mailboxes, and IMAP sessions append, flag,
// move and expunge. What each client was told is compared with what is there
// afterwards: acknowledged mail and changes are, nothing is there twice, and no
// UID or unique-id ever stands for another message. The number of rounds is 50,
// or $TRIPOST_CRASH_ROUNDS.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds := 50
	if n, err := strconv.Atoi(os.Getenv("TRIPOST_CRASH_ROUNDS")); err == nil && n > 0 {
		rounds = n
	}
	const connections, accounts, readers = 8, 3, 2
	var names []string
	for i := range accounts {
		names = append(names, fmt.Sprint("user", i))
	}
	progress := new(progress)
	var workers []worker
	for i := range readers {
		drain, sort := fmt.Sprint("drain", i), fmt.Sprint("sort", i)
		names = append(names, drain, sort)
		workers = append(workers, newDrainer(drain, progress), newSorter(sort, progress))
	}
	s := newServer(t, "security.per_address = 0\nlog.level = 3\n", names...)
	sent := &sentMail{acknowledged: map[string]bool{}, progress: progress}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		var wg sync.WaitGroup
		for n := range connections {
			id := fmt.Sprintf("r%d.c%d", round, n)
			if n == 0 {
				wg.Go(func() { xmitUntilKilled(s.pop, id, sent.add) })
			} else {
				wg.Go(func() { deliverUntilKilled(s.smtp, id, accounts, sent.add) })
			}
		}
		for _, w := range workers {
			wg.Go(func() {
				if err := w.work(s, round); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		// The moment of the kill is the point: somewhere in the middle of the work.
		progress.await(t, 30+random.Int64N(300))
		s.kill()
		wg.Wait()
		if t.Failed() {
			t.FailNow()
		}
		if round%10 == 9 || round == rounds-1 {
			if out := s.run("store", "check"); !strings.Contains(out, ": 0 faults") {
				t.Fatalf("round %d: %s", round, out)
			}
		}
		s.start()
	}
	done := 0
	for _, w := range workers {
		changes, err := w.judge(s)
		if err != nil {
			t.Error(err)
		}
		done += changes
	}
	lost, there := sent.judge(t, s, accounts)
	if len(sent.acknowledged) < rounds || done < rounds {
		t.Errorf("only %d messages and %d changes were acknowledged in %d rounds", len(sent.acknowledged), done, rounds)
	}
	t.Logf("%d kills, %d messages acknowledged, %d lost, %d there; %d changes acknowledged", rounds, len(sent.acknowledged), lost, there, done)
}

// progress counts what clients were told is done.
type progress struct{ atomic.Int64 }

// await waits until so much more is done. A mailbox's owner is slow to begin, as
// each password is hashed anew after a kill.
func (p *progress) await(t *testing.T, more int64) {
	t.Helper()
	goal, deadline := p.Load()+more, time.Now().Add(patience)
	for p.Load() < goal {
		if time.Now().After(deadline) {
			t.Fatal("the server does nothing")
		}
		time.Sleep(time.Millisecond) // clients of another process count: nothing to wait on
	}
}

// worker changes mailboxes that nobody else changes.
type worker interface {
	// work judges what the last round left, and goes on until the server is
	// gone. Its error is something that must not be.
	work(s *server, round int) error
	// judge compares what is there with what was acknowledged, and returns how
	// many changes that were.
	judge(s *server) (int, error)
}

// sentMail is what senders were told.
type sentMail struct {
	progress     *progress
	mu           sync.Mutex
	acknowledged map[string]bool // by subject
}

func (m *sentMail) add(subject string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acknowledged[subject] = true
	m.progress.Add(1)
}

func (m *sentMail) judge(t *testing.T, s *server, accounts int) (lost, found int) {
	t.Helper()
	there := map[string]int{}
	for i := range accounts {
		countWhole(t, s, fmt.Sprint("user", i), there)
	}
	for subject := range m.acknowledged {
		if there[subject] == 0 {
			lost++
			t.Errorf("acknowledged and not there, or damaged: %s", subject)
		}
	}
	for subject, n := range there {
		if n > 1 {
			t.Errorf("%s is there %d times", subject, n)
		}
	}
	return lost, len(there)
}

// xmitUntilKilled sends one message after the other over POP.
func xmitUntilKilled(addr, sender string, ack func(subject string)) {
	l, err := dialLines(addr)
	if err != nil {
		return
	}
	defer l.Close()
	ok := func(text string) bool {
		if l.send(text) != nil {
			return false
		}
		line, err := l.line()
		return err == nil && strings.HasPrefix(line, "+OK")
	}
	if !ok("") || !ok("USER "+address("user0")+"\r\n") || !ok("PASS "+password+"\r\n") {
		return
	}
	for i := 0; ; i++ {
		subject := fmt.Sprintf("%s.%d", sender, i)
		head := "From: " + address("user0") + "\r\nTo: " + address("user1") + "\r\nDate: Mon, 2 Mar 2026 10:00:00 +0000\r\nMessage-ID: <" + subject + "@" + domain + ">\r\n"
		if !ok("XTND XMIT\r\n") || !ok(head+killMail(subject)+".\r\n") {
			return
		}
		ack(subject)
	}
}

// deliverUntilKilled delivers one message after the other and reports those
// that were acknowledged, until the connection breaks.
func deliverUntilKilled(addr, sender string, accounts int, ack func(subject string)) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	say := func(text, want string) bool {
		if _, err := conn.Write([]byte(text)); err != nil {
			return false
		}
		for {
			line, err := r.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, want) {
				return false
			}
			if line[3] != '-' {
				return true
			}
		}
	}
	if !say("", "220") || !say("EHLO client.test\r\n", "250") {
		return
	}
	for i := 0; ; i++ {
		subject := fmt.Sprintf("%s.%d", sender, i)
		ok := say("MAIL FROM:<sender@elsewhere.test>\r\n", "250") &&
			say(fmt.Sprintf("RCPT TO:<user%d@%s>\r\n", i%accounts, domain), "250") &&
			say("DATA\r\n", "354") &&
			say(killMail(subject)+".\r\n", "250")
		if !ok {
			return
		}
		ack(subject)
	}
}

// killMail makes a mail whose text follows from its subject, so that damage
// shows. Some are large enough to have a file of their own.
func killMail(subject string) string {
	text := strings.Repeat("the text of "+subject+"\r\n", 40)
	if strings.HasSuffix(subject, "7") && len(subject)%3 == 0 {
		text = strings.Repeat(text, 300)
	}
	return "Subject: " + subject + "\r\n\r\n" + text
}

// countWhole reads a mailbox and counts the messages that are whole.
func countWhole(t *testing.T, s *server, name string, there map[string]int) {
	t.Helper()
	c := dialText(t, s.pop)
	c.want("+OK")
	c.send("USER %s", address(name))
	c.want("+OK")
	c.send("PASS %s", password)
	greeting := c.want("+OK")
	n, err := strconv.Atoi(strings.Fields(greeting)[1])
	if err != nil {
		t.Fatalf("no count in %q", greeting)
	}
	for i := 1; i <= n; i++ {
		c.send("RETR %d", i)
		c.want("+OK")
		mail := string(c.dotText())
		_, rest, _ := strings.Cut(mail, "\r\nSubject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		if !strings.HasSuffix(mail, killMail(subject)) {
			t.Errorf("%s: message %d (%s) is damaged", name, i, subject)
			continue
		}
		there[subject]++
	}
	c.send("QUIT")
	c.want("+OK")
}
