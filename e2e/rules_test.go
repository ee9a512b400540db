package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRules lets swaks write to accounts with rules, and reads by curl what the
// rules have made of it.
func TestRules(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann", "bob", "carl")
	s.run("rule", "add", address("ann"), `shops: if from ends "@shop.test" then file "shops/new", mark flagged, stop`)
	s.run("rule", "add", address("ann"), `bob: if subject contains "for bob" then forward `+address("bob"))
	s.run("rule", "add", address("bob"), `away: vacation "Back in May.\n-- \nBob"`)
	send := func(from, to, subject string) {
		t.Helper()
		tool(t, "", "swaks", "--timeout", "200", "--server", s.smtp, "--from", from, "--to", to, "--h-Subject", subject)
	}
	send("news@shop.test", address("ann"), "an offer")
	send(address("carl"), address("ann"), "this is for bob")
	send(address("carl"), address("bob"), "to bob himself")
	send(address("carl"), address("bob"), "to bob again")

	read := func(who, mailbox, what string) string {
		return tool(t, "", "curl", "-sS", "--url", "imap://"+s.imap+"/"+mailbox+what, "--user", address(who)+":"+password)
	}
	if got := read("ann", "shops%2Fnew", ";MAILINDEX=1"); !strings.Contains(got, "Subject: an offer") {
		t.Errorf("filed: %s", got)
	}
	flags := tool(t, "", "curl", "-sS", "--url", "imap://"+s.imap+"/shops%2Fnew", "--user", address("ann")+":"+password, "-X", "FETCH 1 (FLAGS)")
	if !strings.Contains(flags, `\Flagged`) {
		t.Errorf("flags: %s", flags)
	}
	got := read("bob", "INBOX", ";MAILINDEX=1")
	for _, want := range []string{"Subject: this is for bob", "Delivered-To: <" + address("ann") + ">", "Return-Path: <" + address("carl") + ">"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in what was forwarded:\n%s", want, got)
		}
	}
	// The forwarded message names ann and not bob, so that it is not answered.
	got = read("carl", "INBOX", ";MAILINDEX=1")
	for _, want := range []string{"Subject: Auto: to bob himself", "Auto-Submitted: auto-replied", "Return-Path: <>", "Back in May.\r\n--=20\r\nBob\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the reply:\n%s", want, got)
		}
	}
	s.holdsMail("ann", 0)
	s.holdsMail("bob", 3)
	s.holdsMail("carl", 1)
}

// holdsMail checks how many messages an INBOX has.
func (s *server) holdsMail(who string, want int) {
	s.t.Helper()
	if got := strings.Count(s.run("message", "export", address(who), "INBOX", "-"), "\nSubject: "); got != want {
		s.t.Errorf("%s has %d messages, want %d", who, got, want)
	}
}

// TestKillRules kills the server while mail comes in that a rule forwards: each
// message that was acknowledged is where it was forwarded to, and once.
func TestKillRules(t *testing.T) {
	t.Parallel()
	s := newServer(t, "log.level = 3\n", "user0", "bob")
	s.run("rule", "add", address("user0"), "all: forward "+address("bob")+", file copies")
	acknowledged := map[string]bool{}
	for round := range 5 {
		var mu sync.Mutex
		enough := make(chan struct{})
		var once sync.Once
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				deliverUntilKilled(s.smtp, fmt.Sprintf("r%d.c%d", round, n), 1, func(id string) {
					mu.Lock()
					defer mu.Unlock()
					if acknowledged[id] = true; len(acknowledged) >= 40*(round+1) {
						once.Do(func() { close(enough) })
					}
				})
			})
		}
		select {
		case <-enough:
		case <-time.After(patience):
			t.Fatal("no mail goes in")
		}
		s.kill()
		wg.Wait()
		s.start()
	}
	for _, place := range [][2]string{{"bob", "INBOX"}, {"user0", "copies"}} {
		mail := s.run("message", "export", address(place[0]), place[1], "-")
		for id := range acknowledged {
			if n := strings.Count(mail, "\nSubject: "+id+"\n"); n != 1 {
				t.Errorf("%s is %d times in %s of %s", id, n, place[1], place[0])
			}
		}
	}
	if out := s.run("store", "check"); !strings.Contains(out, ": 0 faults") {
		t.Error(out)
	}
}
