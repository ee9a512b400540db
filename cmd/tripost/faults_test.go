package main

import (
	"fmt"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tripost/store/engine"
	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

// faultConfig is for servers whose disk fails: removed messages leave their files
// at once, so that files are removed as well.
const faultConfig = "mailauth.check = false\nstore.undelete = \"0s\"\nadmin.listen = \"\"\n"

// faultWorld is a server on a disk that fails when it is told to, and what its
// clients were told.
type faultWorld struct {
	*testing.T
	dir  string
	fs   *faultfs.FS
	r    *running
	sent int
	told map[string]bool // subjects: acknowledged, or refused
	gone map[string]bool // removal acknowledged, or refused and so open
	flag string          // the keyword that was acknowledged last
	hope string          // one that was refused after that
}

// newFaultWorld starts a server on a copy of a site.
func newFaultWorld(t *testing.T, site string) *faultWorld {
	t.Helper()
	dir := t.TempDir()
	if err := faultfs.CopyDir(site, dir); err != nil {
		t.Fatal(err)
	}
	w := &faultWorld{T: t, dir: dir, told: map[string]bool{}, gone: map[string]bool{}}
	w.fs = faultfs.New(filepath.Join(dir, "data", "store"))
	if err := w.start(w.ground()); err != nil {
		t.Fatal(err)
	}
	return w
}

// ground makes every kind of operation frequent.
func (w *faultWorld) ground() ground {
	return ground{engine: local.Options{
		FS: w.fs, SegmentSize: 96 << 10, LargeBody: 20 << 10, OverlayBytes: 16 << 10,
		CheckpointEvery: 20 * time.Millisecond, ProbeEvery: 5 * time.Millisecond, IndexMap: 1 << 30, IndexGrow: 64 << 10,
	}}
}

func (w *faultWorld) start(g ground) (err error) {
	w.Helper()
	w.r, err = tryServer(w.T, w.dir, g)
	return err
}

// restart ends the server, which on a bad disk may end with that disk's error,
// and starts it on ground.
func (w *faultWorld) restart(g ground) error {
	w.Helper()
	w.r.end()
	return w.start(g)
}

// end ends a server on a disk that may be bad.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	if err := r.ended(); err != nil && !strings.Contains(err.Error(), engine.ErrReadOnly.Error()) {
		r.t.Errorf("the server ended with %v", err)
	}
}

// work is what clients do in one round. What they are told is noted.
func (w *faultWorld) work() {
	w.Helper()
	w.deliver(300)
	w.deliver(25_000) // has a file of its own
	w.xmit()
	w.imap()
	w.remove()
	tripost(w.T, w.dir, "", "store", "compact") // moves bodies, or says why not
}

// note notes what became of a new message.
func (w *faultWorld) note(reply, yes, no string) {
	w.Helper()
	subject := w.subject()
	switch {
	case strings.HasPrefix(reply, yes):
		w.told[subject] = true
	case strings.HasPrefix(reply, no):
		w.told[subject] = false
	default:
		w.Errorf("%s: the reply is %q, which is neither %q nor %q", subject, reply, yes, no)
	}
}

func (w *faultWorld) subject() string { return fmt.Sprint("message-", w.sent, ".") }

// mail makes the next message.
func (w *faultWorld) mail(size int) string {
	w.sent++
	line := "this is " + w.subject() + "\r\n"
	return "From: ann@company.test\r\nTo: ann@company.test\r\nSubject: " + w.subject() + "\r\n\r\n" + strings.Repeat(line, size/len(line)+1)
}

func (w *faultWorld) deliver(size int) {
	w.Helper()
	text := w.mail(size)
	p := w.r.dial("SMTP", "220 ")
	defer p.Close()
	for _, line := range []string{"MAIL FROM:<a@elsewhere.test>", "RCPT TO:<ann@company.test>", "DATA"} {
		if line == "MAIL FROM:<a@elsewhere.test>" {
			p.say("HELO client.test")
			p.expect("250 ")
		}
		p.say(line)
		if reply := p.line(); !strings.HasPrefix(reply, "2") && !strings.HasPrefix(reply, "354") {
			w.note(reply, "250 ", "4") // refused early
			p.say("NOOP")
			p.expect("250 ")
			return
		}
	}
	p.say(text + ".")
	w.note(p.line(), "250 ", "4")
	p.say("NOOP") // the session goes on
	p.expect("250 ")
}

// pop signs in and returns the session.
func (w *faultWorld) pop() *peer {
	w.Helper()
	p := w.r.dial("POP", "+OK")
	p.say("USER ann")
	p.expect("+OK")
	p.say("PASS secret")
	p.expect("+OK")
	return p
}

func (w *faultWorld) xmit() {
	w.Helper()
	text := w.mail(300)
	p := w.pop()
	defer p.Close()
	p.say("XTND XMIT")
	p.expect("+OK")
	p.say(text + ".")
	w.note(p.line(), "+OK", "-ERR [SYS/TEMP]")
	p.say("NOOP")
	p.expect("+OK")
}

// command gives a command to IMAP and returns its last response.
func (p *peer) command(text string) string {
	p.t.Helper()
	p.say("x " + text)
	for {
		if line := p.line(); strings.HasPrefix(line, "x ") || line == "" {
			return strings.TrimPrefix(line, "x ")
		}
	}
}

// signedIn returns a session of IMAP with INBOX open.
func (w *faultWorld) signedIn() *peer {
	w.Helper()
	p := w.r.dial("IMAP", "* OK")
	for _, text := range []string{"LOGIN ann secret", "SELECT INBOX"} {
		if got := p.command(text); !strings.HasPrefix(got, "OK ") {
			w.Fatalf("%s: %s", text, got)
		}
	}
	return p
}

// imap appends a message and puts a keyword on the first one.
func (w *faultWorld) imap() {
	w.Helper()
	p := w.signedIn()
	defer p.Close()
	text := w.mail(300)
	w.note(p.command(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(text), text)), "OK ", "NO [UNAVAILABLE]")
	keyword := fmt.Sprint("k", w.sent)
	switch got := p.command("UID STORE 1 FLAGS (" + keyword + ")"); {
	case strings.HasPrefix(got, "OK "):
		w.flag, w.hope = keyword, ""
	case strings.HasPrefix(got, "NO [UNAVAILABLE]"):
		w.hope = keyword
	default:
		w.Errorf("STORE: %s", got)
	}
	if got := p.command("NOOP"); !strings.HasPrefix(got, "OK ") {
		w.Errorf("NOOP: %s", got)
	}
}

// remove removes the last messages by POP, a large one among them.
func (w *faultWorld) remove() {
	w.Helper()
	p := w.pop()
	defer p.Close()
	p.say("STAT")
	var n, octets int
	if _, err := fmt.Sscanf(p.line(), "+OK %d %d", &n, &octets); err != nil {
		w.Fatal(err)
	}
	var doomed []string
	for i := max(n-2, 2); i <= n; i++ {
		p.say(fmt.Sprint("TOP ", i, " 0"))
		if line := p.line(); !strings.HasPrefix(line, "+OK") {
			continue // its file cannot be read
		}
		_, rest, _ := strings.Cut(p.text(), "Subject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		p.say(fmt.Sprint("DELE ", i))
		p.expect("+OK")
		doomed = append(doomed, subject)
	}
	p.say("QUIT")
	reply := p.line()
	if !strings.HasPrefix(reply, "+OK") && !strings.HasPrefix(reply, "-ERR [SYS/TEMP]") {
		w.Errorf("QUIT: %s", reply)
	}
	for _, subject := range doomed {
		w.gone[subject] = strings.HasPrefix(reply, "+OK")
	}
}

// text reads a multi-line response.
func (p *peer) text() string {
	p.t.Helper()
	var b strings.Builder
	for {
		line := p.line()
		if line == ".\r\n" || line == "" {
			return b.String()
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

// judge compares what is there with what clients were told. What was refused may
// be there after a start: a sync that failed says nothing of what is on disk.
func (w *faultWorld) judge(when string) {
	w.Helper()
	p := w.pop()
	defer p.Close()
	p.say("STAT")
	var n, octets int
	if _, err := fmt.Sscanf(p.line(), "+OK %d %d", &n, &octets); err != nil {
		w.Fatal(err)
	}
	there := map[string]int{}
	for i := 1; i <= n; i++ {
		p.say(fmt.Sprint("RETR ", i))
		p.expect("+OK")
		text := p.text()
		_, rest, _ := strings.Cut(text, "\r\nSubject: ")
		subject, body, _ := strings.Cut(rest, "\r\n")
		if !strings.HasPrefix(body, "\r\nthis is "+subject+"\r\n") || !strings.HasSuffix(body, "this is "+subject+"\r\n") {
			w.Errorf("%s: message %d is damaged: %.200q", when, i, text)
		}
		there[subject]++
	}
	for subject, taken := range w.told {
		removed, tried := w.gone[subject]
		switch {
		case there[subject] > 1:
			w.Errorf("%s: %s is there %d times", when, subject, there[subject])
		case taken && !tried && there[subject] == 0:
			w.Errorf("%s: %s was acknowledged and is lost", when, subject)
		case removed && there[subject] > 0:
			w.Errorf("%s: %s was removed and is there", when, subject)
		}
	}
	p.say("QUIT")
	p.expect("+OK")
	w.flagIs(when)
}

func (w *faultWorld) flagIs(when string) {
	w.Helper()
	p := w.signedIn()
	defer p.Close()
	p.say("y UID FETCH 1 (FLAGS)")
	line := p.line()
	if !strings.Contains(line, w.flag) && (w.hope == "" || !strings.Contains(line, w.hope)) {
		w.Errorf("%s: message 1 has %q, not the keyword %s", when, line, w.flag)
	}
	p.expect("y OK")
	p.say("z UID FETCH 1 (BODY[TEXT])") // whether it can be marked as seen or not
	p.expect("* 1 FETCH ")
	p.expect("this is message-1.")
	for line := "more"; !strings.HasPrefix(line, "z OK"); {
		if line = p.line(); line == "" {
			w.Fatal("the connection ended")
		}
	}
}

// recovers waits until mail is taken again.
func (w *faultWorld) recovers() {
	w.Helper()
	eventually(w.T, "the server takes mail on a good disk", func() bool {
		w.deliver(300)
		return w.told[w.subject()]
	})
}

// faultSite makes a domain with an account, once for all.
func faultSite(t *testing.T) string {
	t.Helper()
	dir := newSite(t, faultConfig)
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "secret\n", "account", "add", "ann", "--password-stdin")
	return dir
}

// fileKind is what stands for all files of a kind in the names of faults.
func fileKind(name string) string {
	if ext := filepath.Ext(name); ext == ".seg" || ext == ".msg" {
		return "*" + ext
	}
	return name
}

// kindsOfFaults runs the work once and returns what there is to fail, such as
// "write *.seg".
func kindsOfFaults(t *testing.T, site string) []string {
	t.Helper()
	w := newFaultWorld(t, site)
	var mu sync.Mutex
	seen := map[string]bool{}
	w.fs.FailWhen(func(_ int, op faultfs.Op) faultfs.Fault {
		mu.Lock()
		defer mu.Unlock()
		seen[op.Kind+" "+fileKind(op.Name)] = true
		return faultfs.Fault{}
	})
	for _, want := range []string{
		"create *.seg", "write *.seg", "sync *.seg", "create *.msg", "write *.msg", "sync *.msg", "remove *.msg", "remove *.seg",
		"syncdir journal", "syncdir large", "index index.db",
	} {
		for i := 0; ; i++ {
			mu.Lock()
			found := seen[want]
			mu.Unlock()
			if found {
				break
			}
			if i == 50 {
				t.Fatalf("the work has no %q", want)
			}
			w.work()
		}
	}
	w.fs.FailWhen(nil)
	mu.Lock()
	defer mu.Unlock()
	var list []string
	for kind := range seen {
		list = append(list, kind)
	}
	sort.Strings(list)
	return list
}

// TestFaultsUnderServer lets each kind of operation on each kind of file of the
// store fail under a running server, as a bad disk (EIO) and as a full one
// (ENOSPC), until the disk is well again. Clients get clear errors and can read;
// nothing that was acknowledged is lost, neither while the server goes on nor
// when it is started anew on the bad disk, if it starts there, or on the good one.
func TestFaultsUnderServer(t *testing.T) {
	t.Parallel()
	site := faultSite(t)
	kinds := kindsOfFaults(t, site)
	t.Logf("%d kinds: %s", len(kinds), strings.Join(kinds, ", "))
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for _, kind := range kinds {
			t.Run(fmt.Sprintf("%s/%v", strings.NewReplacer(" ", "_", "*", "any").Replace(kind), errno == syscall.ENOSPC), func(t *testing.T) {
				t.Parallel()
				w := newFaultWorld(t, site)
				w.work()
				var hits atomic.Int64
				w.fs.FailWhen(func(_ int, op faultfs.Op) faultfs.Fault {
					if op.Kind+" "+fileKind(op.Name) != kind {
						return faultfs.Fault{}
					}
					hits.Add(1)
					return faultfs.Fault{Err: errno, Short: true, After: errno == syscall.EIO}
				})
				for range 3 {
					w.work()
				}
				w.judge("on a bad disk")
				if err := w.restart(w.ground()); err == nil {
					w.judge("started on a bad disk")
				} else if !strings.Contains(err.Error(), errno.Error()) {
					t.Errorf("the server does not start on a bad disk, and does not say why: %v", err)
				}
				w.fs.FailWhen(nil)
				if w.r == nil {
					if err := w.start(w.ground()); err != nil {
						t.Fatal(err)
					}
				}
				w.recovers()
				w.judge("on a good disk")
				if err := w.restart(ground{}); err != nil {
					t.Fatal(err)
				}
				w.judge("started again")
				w.work()
				w.check()
				if hits.Load() == 0 {
					t.Logf("%s did not happen", kind)
				}
			})
		}
	}
}

// check looks at the whole store.
func (w *faultWorld) check() {
	w.Helper()
	if out := mustRun(w.T, w.dir, "", "store", "check"); !strings.Contains(out, ": 0 faults") {
		w.Errorf("store check: %s", out)
	}
}
