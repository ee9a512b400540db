package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"tripost/store/engine/faultfs"
)

// cut starts a server on what a power cut before an event leaves, and judges it.
func (c *cutWorld) cut(site string, at int, r *rand.Rand) {
	c.Helper()
	dir := c.TempDir()
	if err := faultfs.CopyDir(site, dir); err != nil {
		c.Fatal(err)
	}
	store := filepath.Join(dir, "data", "store")
	if err := os.RemoveAll(store); err != nil {
		c.Fatal(err)
	}
	c.told = &cutLedger{taken: map[string]bool{}, tried: map[string]bool{}, gone: map[string]bool{}, uids: map[string]int{}}
	if err := c.fs.Cut(store, at, r); err != nil {
		c.Fatal(err)
	}
	after := &cutWorld{faultWorld: &faultWorld{T: c.T, dir: dir}, told: c.told}
	if err := after.start(ground{}); err != nil {
		c.Fatalf("the server does not start after the power cut: %v", err)
	}
	after.judge()
	after.check()
	after.r.end()
}

// judge compares what is there with what clients were told.
func (c *cutWorld) judge() {
	c.Helper()
	there := c.messages()
	for subject := range c.told.taken {
		if there[subject] == 0 && !c.told.tried[subject] {
			c.Errorf("%s was acknowledged and is lost", subject)
		}
	}
	for subject := range c.told.gone {
		if there[subject] > 0 {
			c.Errorf("%s was removed and is there", subject)
		}
	}
	c.uidsAreKept()
	c.Logf("%d messages acknowledged, %d removed, %d there", len(c.told.taken), len(c.told.gone), len(there))
}

// messages reads the mailbox by POP: each message is whole, and there once.
func (c *cutWorld) messages() map[string]int {
	c.Helper()
	p := c.pop()
	defer p.Close()
	p.say("STAT")
	var n, octets int
	if _, err := fmt.Sscanf(p.line(), "+OK %d %d", &n, &octets); err != nil {
		c.Fatal(err)
	}
	there := map[string]int{}
	for i := 1; i <= n; i++ {
		p.say(fmt.Sprint("RETR ", i))
		p.expect("+OK")
		text := p.text()
		subject := subjectIn(text)
		_, body, _ := strings.Cut(text, "\r\n\r\n")
		line := "this is " + subject + "\r\n"
		if subject == "" || body == "" || strings.ReplaceAll(body, line, "") != "" {
			c.Errorf("message %d is damaged: %.200q", i, text)
		}
		there[subject]++
	}
	for subject, times := range there {
		if times > 1 {
			c.Errorf("%s is there %d times", subject, times)
		}
	}
	return there
}

// uidsAreKept compares UIDs and the keyword of message 1 with what IMAP clients
// were told, and appends a message, whose UID must be none of theirs.
func (c *cutWorld) uidsAreKept() {
	c.Helper()
	p := c.signedIn()
	defer p.Close()
	p.say("y UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
	subject, flags := map[int]string{}, ""
	uid := 0
	for line := p.line(); !strings.HasPrefix(line, "y "); line = p.line() {
		if line == "" {
			c.Fatal("the connection ended")
		}
		if _, rest, ok := strings.Cut(line, "(UID "); ok {
			if _, err := fmt.Sscanf(rest, "%d", &uid); err != nil {
				c.Fatalf("%q: %v", line, err)
			}
			if uid == 1 {
				flags = line
			}
		} else if name, ok := strings.CutPrefix(line, "Subject: "); ok {
			subject[uid] = strings.TrimSpace(name)
		}
	}
	last := 0
	for name, told := range c.told.uids {
		last = max(last, told)
		if s, there := subject[told]; there && s != name {
			c.Errorf("UID %d was that of %s, and is that of %s", told, name, s)
		} else if !there && !c.told.tried[name] {
			c.Errorf("UID %d of %s is gone", told, name)
		}
	}
	if !holds(flags, c.told.keyword) && !holds(flags, c.told.hope) {
		c.Errorf("message 1 has %q, neither the keyword %q nor %q", flags, c.told.keyword, c.told.hope)
	}
	_, text := c.mail(300)
	if validity, uid := c.appended(p, text); uid <= last || c.told.validity != 0 && validity != c.told.validity {
		c.Errorf("the next UID is %d of %d, after %d of %d", uid, validity, last, c.told.validity)
	}
}

// holds tells whether flags have a keyword; no keyword is always there.
func holds(flags, keyword string) bool { return strings.Contains(flags, keyword) }
