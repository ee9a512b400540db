package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tripost/store/engine/faultfs"
)

// cutsOfRun is how many power cuts are made out of one recorded run.
const cutsOfRun = 5

// TestPowerCutUnderServer records what a server does to its disk while mail comes
// in by SMTP and XTND XMIT, and is appended, flagged and removed by IMAP and POP,
// all at once. It then starts a server on what the disk might hold had the power
// gone at some moment, and compares that with what clients were told by then. The
// number of cuts is 10, or $TRIPOST_CRASH_ROUNDS.
func TestPowerCutUnderServer(t *testing.T) {
	t.Parallel()
	cuts := 10
	if n, err := strconv.Atoi(os.Getenv("TRIPOST_CRASH_ROUNDS")); err == nil && n > 0 {
		cuts = n
	}
	site := faultSite(t)
	for done := 0; done < cuts; done += cutsOfRun {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			cutRun(t, site, min(cutsOfRun, cuts-done), rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

// cutRun records one run and cuts the power in it again and again.
func cutRun(t *testing.T, site string, cuts int, r *rand.Rand) {
	t.Helper()
	c := newCutWorld(t, site)
	from := c.fs.Events()
	c.work()
	c.r.end()
	for range cuts {
		at := from + r.IntN(c.fs.Events()-from+1)
		c.cut(site, at, r)
		if t.Failed() {
			t.Fatalf("the cut was before event %d of %d to %d", at, from, c.fs.Events())
		}
	}
}

// cutWorld is a server on a disk that records.
type cutWorld struct {
	*faultWorld
	next atomic.Int64 // number of messages made
	told *cutLedger   // filled by the marks that come before a cut
}

// cutLedger is what clients were told before a cut, by subject.
type cutLedger struct {
	taken, tried, gone map[string]bool // tried: a removal was begun; gone: it was acknowledged
	uids               map[string]int
	validity           int    // of INBOX, 0: nobody was told
	keyword, hope      string // of message 1: acknowledged, and begun
}

func newCutWorld(t *testing.T, site string) *cutWorld {
	t.Helper()
	dir := t.TempDir()
	if err := faultfs.CopyDir(site, dir); err != nil {
		t.Fatal(err)
	}
	w := &faultWorld{T: t, dir: dir, fs: faultfs.New(filepath.Join(dir, "data", "store"))}
	if err := w.fs.Record(); err != nil {
		t.Fatal(err)
	}
	if err := w.start(w.ground()); err != nil {
		t.Fatal(err)
	}
	c := &cutWorld{faultWorld: w}
	c.deliver(1, 300)
	return c
}

// mark notes something that is so from now on, for the cuts that come after it.
func (c *cutWorld) mark(note func(*cutLedger)) { c.fs.Mark(func() { note(c.told) }) }

// mail makes the next message.
func (c *cutWorld) mail(size int) (subject, text string) {
	subject = fmt.Sprint("message-", c.next.Add(1), ".")
	line := "this is " + subject + "\r\n"
	return subject, "Subject: " + subject + "\r\n\r\n" + strings.Repeat(line, size/len(line)+1)
}

// work lets clients of all kinds work at the same time, until each is done.
func (c *cutWorld) work() {
	c.Helper()
	var clients sync.WaitGroup
	clients.Go(func() { c.deliver(8, 300) })
	clients.Go(func() { c.deliver(4, 25_000) }) // each has a file of its own
	clients.Go(func() { c.xmit(6) })
	clients.Go(func() { c.drain(3) })
	clients.Go(func() { c.append(8) })
	clients.Go(func() { c.flag(12) })
	clients.Wait()
	if c.Failed() {
		c.FailNow()
	}
}

// deliver hands in mail by SMTP.
func (c *cutWorld) deliver(messages, size int) {
	p := c.r.dial("SMTP", "220 ")
	defer p.Close()
	p.say("HELO client.test")
	p.expect("250 ")
	for range messages {
		subject, text := c.mail(size)
		for _, step := range [][2]string{{"MAIL FROM:<a@elsewhere.test>", "250 "}, {"RCPT TO:<ann@company.test>", "250 "}, {"DATA", "354 "}, {text + ".", "250 "}} {
			p.say(step[0])
			p.expect(step[1])
		}
		c.mark(func(l *cutLedger) { l.taken[subject] = true })
	}
}

// xmit hands in mail by POP.
func (c *cutWorld) xmit(messages int) {
	p := c.pop()
	defer p.Close()
	for range messages {
		subject, text := c.mail(300)
		p.say("XTND XMIT")
		p.expect("+OK")
		p.say("To: ann@company.test\r\n" + text + ".")
		p.expect("+OK")
		c.mark(func(l *cutLedger) { l.taken[subject] = true })
	}
}

// drain removes by POP the two messages behind the first one, again and again.
func (c *cutWorld) drain(sessions int) {
	for range sessions {
		p := c.pop()
		p.say("STAT")
		var n, octets int
		if _, err := fmt.Sscanf(p.line(), "+OK %d %d", &n, &octets); err != nil {
			c.Errorf("STAT: %v", err)
		}
		var doomed []string
		for i := 2; i <= min(n, 3); i++ {
			p.say(fmt.Sprint("TOP ", i, " 0"))
			if line := p.line(); !strings.HasPrefix(line, "+OK") {
				continue // IMAP has removed it
			}
			doomed = append(doomed, subjectIn(p.text()))
			p.say(fmt.Sprint("DELE ", i))
			p.expect("+OK")
		}
		c.removing(doomed, func() {
			p.say("QUIT")
			p.expect("+OK")
		})
		p.Close()
	}
}

// removing marks what is about to be removed, and what was.
func (c *cutWorld) removing(subjects []string, remove func()) {
	note := func(set func(*cutLedger) map[string]bool) {
		c.mark(func(l *cutLedger) {
			for _, s := range subjects {
				set(l)[s] = true
			}
		})
	}
	note(func(l *cutLedger) map[string]bool { return l.tried })
	remove()
	note(func(l *cutLedger) map[string]bool { return l.gone })
}

// append adds messages by IMAP and expunges every other one of them.
func (c *cutWorld) append(messages int) {
	p := c.signedIn()
	defer p.Close()
	for n := range messages {
		subject, text := c.mail(300)
		validity, uid := c.appended(p, text)
		c.mark(func(l *cutLedger) { l.taken[subject], l.uids[subject], l.validity = true, uid, validity })
		if n%2 == 0 {
			continue
		}
		c.removing([]string{subject}, func() {
			c.ok(p, fmt.Sprintf(`UID STORE %d +FLAGS.SILENT (\Deleted)`, uid))
			c.ok(p, fmt.Sprint("UID EXPUNGE ", uid))
		})
	}
}

// appended appends a message and returns what the server says of its UID.
func (c *cutWorld) appended(p *peer, text string) (validity, uid int) {
	c.Helper()
	reply := c.ok(p, fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(text), text))
	if _, err := fmt.Sscanf(reply, "OK [APPENDUID %d %d]", &validity, &uid); err != nil {
		c.Errorf("APPEND: %q: %v", reply, err)
	}
	return validity, uid
}

func (c *cutWorld) ok(p *peer, command string) string {
	c.Helper()
	reply := p.command(command)
	if !strings.HasPrefix(reply, "OK ") {
		c.Errorf("%.60q: %q", command, reply)
	}
	return reply
}

// flag gives the first message one keyword after the other.
func (c *cutWorld) flag(times int) {
	p := c.signedIn()
	defer p.Close()
	for n := range times {
		keyword := fmt.Sprintf("k%d.", n)
		c.mark(func(l *cutLedger) { l.hope = keyword })
		c.ok(p, "UID STORE 1 FLAGS.SILENT ("+keyword+")")
		c.mark(func(l *cutLedger) { l.keyword = keyword })
	}
}

func subjectIn(text string) string {
	_, rest, _ := strings.Cut("\r\n"+text, "\r\nSubject: ")
	subject, _, _ := strings.Cut(rest, "\r\n")
	return subject
}
