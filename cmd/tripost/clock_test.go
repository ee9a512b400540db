package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tripost/admin"
	"tripost/store/engine/local"
)

// steppedClock is the wall clock of a machine on which somebody sets the time.
type steppedClock struct{ ahead atomic.Int64 }

func (c *steppedClock) now() time.Time {
	return time.Now().Round(0).Add(time.Duration(c.ahead.Load()))
}

// TestClockSteps sets the clock of a running server back by an hour, ahead by a
// year, and right again. Sessions go on, mail comes in, no UID, modseq or
// UIDVALIDITY is given out twice or out of order, and no message waits for a time
// that only the wrong clock knew.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	clock := new(steppedClock)
	dir := newSite(t, "mailauth.check = false\nqueue.retry = [\"2s\"]\nqueue.warn_after = \"8000d\"\nqueue.expire_after = \"8000d\"\n")
	r, err := tryServer(t, dir, ground{now: clock.now, engine: local.Options{Now: clock.now}})
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "secret\n", "account", "add", "ann", "--password-stdin")
	w := &faultWorld{T: t, dir: dir, r: r, told: map[string]bool{}, gone: map[string]bool{}}
	pop, imap := w.pop(), w.signedIn()

	var uid, modseq uint64
	validities := map[uint64]bool{}
	for _, ahead := range []time.Duration{0, -time.Hour, 365 * 24 * time.Hour, 0} {
		clock.ahead.Store(int64(ahead))
		pop.say("STAT")
		pop.expect("+OK")
		if got := imap.command("NOOP"); !strings.HasPrefix(got, "OK ") {
			t.Fatalf("%v ahead: NOOP: %s", ahead, got)
		}
		w.deliver(300)
		if !w.told[w.subject()] {
			t.Errorf("%v ahead: mail is not taken", ahead)
		}
		p := w.signedIn() // neither does the clock keep users out
		text := w.mail(300)
		done := p.command(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(text), text))
		before := uid
		var validity uint64
		if _, err := fmt.Sscanf(done, "OK [APPENDUID %d %d]", &validity, &uid); err != nil || uid <= before {
			t.Errorf("%v ahead: UID %d after %d: %s", ahead, uid, before, done)
		}
		before = modseq
		if modseq = p.status("INBOX", "HIGHESTMODSEQ"); modseq <= before {
			t.Errorf("%v ahead: modseq %d after %d", ahead, modseq, before)
		}
		for range 2 { // a mailbox of the same name, made again
			p.command("CREATE again")
			validity := p.status("again", "UIDVALIDITY")
			if validities[validity] {
				t.Errorf("%v ahead: UIDVALIDITY %d was there before", ahead, validity)
			}
			validities[validity] = true
			p.command("DELETE again")
		}
		p.Close()
		w.leaves()
	}
	// Each look of the sender's comes a minute after the last, by a clock that nobody
	// sets: the next start looks at once.
	if err := w.restart(ground{now: clock.now, engine: local.Options{Now: clock.now}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing waits for a time that only the wrong clock knew", func() bool {
		for _, item := range w.waiting() {
			if item.Next.After(clock.now().Add(time.Hour)) {
				return false
			}
		}
		return true
	})
	if n := len(w.waiting()); n != 4 {
		t.Errorf("%d messages wait, want 4", n)
	}
	w.judge("in the end")
	w.check()
}

// status returns one number of a mailbox's STATUS.
func (p *peer) status(name, item string) (n uint64) {
	p.t.Helper()
	p.say("s STATUS " + name + " (" + item + ")")
	for {
		line := p.line()
		if _, err := fmt.Sscanf(line, "* STATUS "+name+" ("+item+" %d)", &n); err == nil {
			p.expect("s OK")
			return n
		}
		if !strings.HasPrefix(line, "* ") {
			p.t.Fatalf("STATUS %s: %q", item, line)
		}
	}
}

// leaves submits a message for a host that cannot be found, and waits until it was
// tried.
func (w *faultWorld) leaves() {
	w.Helper()
	before := len(w.waiting())
	p := w.r.dial("SMTP", "220 ")
	defer p.Close()
	for _, line := range []string{"HELO client.test", "MAIL FROM:<ann@company.test>", "RCPT TO:<bob@elsewhere.test>"} {
		p.say(line)
		p.expect("250 ")
	}
	p.say("DATA")
	p.expect("354 ")
	p.say("Subject: leaves\r\n\r\ntext\r\n.")
	p.expect("250 ")
	eventually(w.T, "the message was tried", func() bool {
		list := w.waiting()
		return len(list) == before+1 && list[before].Attempts > 0
	})
}

func (w *faultWorld) waiting() (list []admin.QueueItem) {
	w.Helper()
	if err := json.Unmarshal([]byte(mustRun(w.T, w.dir, "", "queue", "list", "--json")), &list); err != nil {
		w.Fatal(err)
	}
	return list
}
