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
	"testing"
	"time"
)

// TestKill kills the server again and again while 20 SMTP connections deliver,
// and compares what was acknowledged with what is there afterwards. The number
// of rounds is 10, or $TRIPOST_CRASH_ROUNDS.
func TestKill(t *testing.T) {
	rounds := 10
	if n, err := strconv.Atoi(os.Getenv("TRIPOST_CRASH_ROUNDS")); err == nil && n > 0 {
		rounds = n
	}
	const connections, accounts = 20, 5
	names := make([]string, accounts)
	for i := range names {
		names[i] = fmt.Sprint("user", i)
	}
	s := newServer(t, "security.per_address = 0\nlog.level = 3\n", names...)
	acknowledged := map[string]bool{} // by subject
	sent := 0
	random := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range connections {
			sender := fmt.Sprintf("r%d.c%d", round, sent)
			sent++
			wg.Go(func() {
				deliverUntilKilled(s.smtp, sender, accounts, func(subject string) {
					mu.Lock()
					defer mu.Unlock()
					acknowledged[subject] = true
				})
			})
		}
		time.Sleep(time.Duration(50+random.IntN(400)) * time.Millisecond) // the moment of the kill is the point
		s.kill()
		wg.Wait()
		if out := s.run("store", "check"); !strings.Contains(out, ": 0 faults") {
			t.Fatalf("round %d: %s", round, out)
		}
		s.start()
	}
	if len(acknowledged) < rounds*connections {
		t.Fatalf("only %d messages were acknowledged in %d rounds", len(acknowledged), rounds)
	}
	there := map[string]int{}
	for i := range accounts {
		countWhole(t, s, fmt.Sprint("user", i), there)
	}
	lost := 0
	for subject := range acknowledged {
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
	t.Logf("%d kills, %d acknowledged, %d lost, %d there", rounds, len(acknowledged), lost, len(there))
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
