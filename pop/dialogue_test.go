package pop

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"

	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"tripost/accounts"
	"tripost/store"
	"tripost/syslog"
)

// TestDialogues replays the conversations in testdata. A file is a txtar
// archive; its sections are:
//
//	setup          one line each: see world.setup
//	ann/INBOX/1    a message in a mailbox, LF standing for CRLF; in order
//	notices        what owners were told, one a line; "..." at its end stands for any text
//	log            texts that must be in the System Log, one a line
//	left ann/INBOX what the mailbox must hold in the end: "UID" or "UID \Seen" a line
//	sent/1         a message that must have been submitted: "From:" and "To:" of
//	               the envelope, an empty line, the message with LF for CRLF
//	anything else  a conversation, replayed in order
//
// The lines of a conversation:
//
//	C: text        is sent as a line; {base64:...} holds a Go string to encode
//	               {apop:password} a digest with the greeting's stamp
//	C+ "text"      is sent as it is: a Go string
//	S: text        must be the next line received; "..." at its end stands for any text,
//	               {uidvalidity} for that of ann's INBOX
//	IN ann         signs in with USER and PASS
//	EOF            the server must close the connection
//	CLOSE          the client closes it
//	TLS            the client does a TLS handshake
//	D: words       something else happens meanwhile: see world.do
//	T: 11m         time passes (the whole dialogue runs in a bubble of fake time)
//	# text         a remark
//
// C2:, S2:, EOF2 and so on are of a second session, up to 9.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no dialogues in testdata")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			must(t, err)
			if regexp.MustCompile(`(?m)^T: `).Match(txtar.Format(archive)) {
				synctest.Test(t, func(t *testing.T) { replay(t, archive, true) })
				return
			}
			t.Parallel()
			replay(t, archive, false)
		})
	}
}

// replay sets a world up, holds the conversations and looks at what is left.
func replay(t *testing.T, archive *txtar.Archive, pipe bool) {
	w := newWorld(t, pipe)
	var conversations []txtar.File
	var left, sent []txtar.File
	var notices, logged string
	for _, f := range archive.Files {
		switch {
		case f.Name == "setup":
			w.setup(string(f.Data))
		case f.Name == "notices":
			notices = string(f.Data)
		case f.Name == "log":
			logged = string(f.Data)
		case strings.HasPrefix(f.Name, "left "):
			left = append(left, f)
		case strings.HasPrefix(f.Name, "sent/"):
			sent = append(sent, f)
		case strings.Contains(f.Name, "/"):
			w.deliver(filepath.Dir(f.Name), crlf(string(f.Data)))
		default:
			conversations = append(conversations, f)
		}
	}
	inLog := func() string { return "" }
	if logged != "" {
		inLog = w.logTo(syslog.Major)
	}
	for _, f := range conversations {
		c := &conversation{world: w, t: t, name: f.Name, clients: make(map[int]*client)}
		for i, line := range strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n") {
			c.line = i + 1
			c.play(line)
		}
		c.close()
	}
	for _, f := range left {
		w.awaitContents(strings.TrimPrefix(f.Name, "left "), string(f.Data))
	}
	w.checkSent(sent)
	w.checkNotices(notices)
	if logged == "" {
		return
	}
	w.stop()
	log := inLog()
	for want := range strings.Lines(logged) {
		if !strings.Contains(log, strings.TrimSuffix(want, "\n")) {
			t.Errorf("%q is not in the log:\n%s", want, log)
		}
	}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// setup configures the world:
//
//	mailbox ann/private        makes a mailbox
//	append ann/INBOX "text"    appends a message: a Go string
//	acl ann/INBOX ID rights
//	cleartext never            passwords without TLS: never, always
//	lock ann
//	password ann WORD
//	legacy ann                 APOP and CRAM-MD5 work for it
//	expire ann 30, delay ann 60s  the policy of an account
//	hold 10 50                 more than 50 % of more than 10 messages of ann's
//	unified club.test          names of this domain are individuals of ann
//	tls off                    no certificate
//	submit off|fails|refuses   the queue
//	line, header, message, recipients, signins, faults N   a limit
func (w *world) setup(text string) {
	w.t.Helper()
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		switch words[0] {
		case "cleartext":
			w.auth.Cleartext = words[1]
		case "lock":
			_, err := w.dir.SetAccount(w.ctx, w.account(words[1]).Address(), func(a *accounts.Account) error {
				a.Locked = true
				return nil
			})
			must(w.t, err)
		case "password":
			must(w.t, w.dir.SetPassword(w.ctx, w.account(words[1]).Address(), words[2]))
		case "legacy":
			w.allowLegacy(words[1])
		case "expire", "delay":
			w.setPolicy(words[0], words[1], words[2])
		case "hold":
			messages, err := strconv.Atoi(words[1])
			must(w.t, err)
			percent, err := strconv.Atoi(words[2])
			must(w.t, err)
			owner := w.account("ann").ID
			w.config.HoldOf = func(_ context.Context, a store.AccountID) Hold {
				if a != owner {
					return Hold{}
				}
				return Hold{Messages: messages, Percent: percent, Keep: 24 * time.Hour}
			}
		case "unified":
			w.router.unified = words[1]
		case "tls":
			w.wire.TLS = nil
		case "submit":
			w.setupQueue(words[1])
		case "line", "header", "message", "recipients", "signins", "faults":
			w.setLimit(words[0], words[1])
		default:
			w.do(line)
		}
	}
}

func (w *world) allowLegacy(name string) {
	w.t.Helper()
	addr := w.account(name).Address()
	_, err := w.dir.SetAccount(w.ctx, addr, func(a *accounts.Account) error {
		a.LegacyAuth = true
		return nil
	})
	must(w.t, err)
	must(w.t, w.dir.SetPassword(w.ctx, addr, annPassword))
}

func (w *world) setPolicy(what, name, value string) {
	w.t.Helper()
	p := w.policy[name]
	var err error
	if what == "expire" {
		p.ExpireDays, err = strconv.Atoi(value)
	} else {
		p.LoginDelay, err = time.ParseDuration(value)
	}
	must(w.t, err)
	w.policy[name] = p
}

func (w *world) setupQueue(how string) {
	w.t.Helper()
	switch how {
	case "off":
		w.config.Submit = nil
	case "fails":
		w.queue.fail = errors.New("disk on fire")
	case "refuses":
		w.queue.fail = fmt.Errorf("submit: %w", &SubmitError{Text: "over quota\r\n+OK"})
	default:
		w.t.Fatalf("setup: submit %s", how)
	}
}

func (w *world) setLimit(name, value string) {
	w.t.Helper()
	n, err := strconv.Atoi(value)
	must(w.t, err)
	l := &w.config.Limits
	switch name {
	case "line":
		l.Line = n
	case "header":
		l.Header = n
	case "message":
		l.Message = int64(n)
	case "recipients":
		l.Recipients = n
	case "signins":
		l.SignIns = n
	case "faults":
		l.Faults = n
	}
}

// do lets something happen to the store that no session of the dialogue does:
//
//	mailbox ann/private
//	append ann/INBOX "text"
//	alert ann@example.test "text"
//	restore ann                what was removed comes back
//	expunge ann/INBOX 2 3
//	acl ann/INBOX bob@other.test lr
//	rename ann/private archive
//	remove ann/private
//	services ann pop,imap      what the account may do
//	unseen ann/INBOX 1         takes the flag away
//	holds ann/INBOX 1\Seen,2   waits until the mailbox holds just this
//	stop                       the server is told to stop
func (w *world) do(line string) {
	w.t.Helper()
	words := strings.Fields(line)
	switch words[0] {
	case "mailbox":
		must(w.t, w.store.Create(w.ctx, store.System(), w.mailbox(words[1]), store.CreateOptions{}))
	case "append":
		text, err := strconv.Unquote(strings.TrimSpace(strings.SplitN(line, words[1], 2)[1]))
		must(w.t, err)
		w.deliver(words[1], text)
	case "alert":
		text, err := strconv.Unquote(strings.TrimSpace(strings.SplitN(line, words[1], 2)[1]))
		must(w.t, err)
		w.alerts.post(words[1], text)
	case "restore":
		w.restore(words[1])
	case "expunge":
		w.expunge(words[1], words[2:]...)
	case "acl":
		w.grant(words[1], words[2], strings.Join(words[3:], ""))
	case "rename":
		must(w.t, w.store.Rename(w.ctx, store.System(), w.mailbox(words[1]), words[2]))
	case "remove":
		must(w.t, w.store.Delete(w.ctx, store.System(), w.mailbox(words[1])))
	case "services":
		_, err := w.dir.SetAccount(w.ctx, w.account(words[1]).Address(), func(a *accounts.Account) (err error) {
			_, err = a.Change("services", words[2])
			return err
		})
		must(w.t, err)
	case "unseen":
		w.unsee(words[1], words[2])
	case "holds":
		want := strings.NewReplacer(",", "\n", `\Seen`, ` \Seen`).Replace(words[2]) + "\n"
		w.awaitContents(words[1], want)
	case "stop":
		w.cancel()
		w.ctx = context.Background() // for what is looked at afterwards
	default:
		w.t.Fatalf("nothing known as %q", line)
	}
}

// checkSent compares what was submitted with the sections.
func (w *world) checkSent(want []txtar.File) {
	w.t.Helper()
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	if len(w.queue.sent) != len(want) {
		w.t.Errorf("%d messages submitted, want %d", len(w.queue.sent), len(want))
		return
	}
	for i, f := range want {
		m := w.queue.sent[i]
		utf8 := ""
		if m.UTF8 {
			utf8 = "SMTPUTF8: yes\n"
		}
		got := "From: " + m.From + "\nTo: " + strings.Join(m.Recipients, ", ") + "\n" + utf8 + "\n" + m.text
		if crlf(string(f.Data)) != crlf(strings.ReplaceAll(got, "\r\n", "\n")) {
			w.t.Errorf("%s: submitted\n%s\nwant\n%s", f.Name, got, f.Data)
		}
	}
}

// checkNotices compares what owners were told with the lines wanted.
func (w *world) checkNotices(want string) {
	w.t.Helper()
	w.alerts.mu.Lock()
	defer w.alerts.mu.Unlock()
	got := strings.Join(append(w.alerts.notices, ""), "\n")
	lines := strings.Split(want, "\n")
	if strings.Count(got, "\n") != strings.Count(want, "\n") {
		w.t.Errorf("the owners were told\n%swant\n%s", got, want)
		return
	}
	for i, text := range w.alerts.notices {
		prefix, open := strings.CutSuffix(lines[i], "...")
		if text != lines[i] && !(open && strings.HasPrefix(text, prefix)) {
			w.t.Errorf("told   %s\nwanted %s", text, lines[i])
		}
	}
}

// conversation is one section that is being replayed.
type conversation struct {
	world   *world
	t       *testing.T
	name    string
	line    int
	clients map[int]*client
}

type client struct {
	nc    net.Conn
	r     *bufio.Reader
	stamp string // of the greeting
}

const patience = 2 * time.Minute // nothing waits so long unless it fails

func (c *conversation) fatalf(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("%s line %d: %s", c.name, c.line, fmt.Sprintf(format, args...))
}

// client returns the connection of a number, opening it at its first use.
func (c *conversation) client(n int) *client {
	if cl := c.clients[n]; cl != nil {
		return cl
	}
	nc := c.world.dial()
	cl := &client{nc: nc, r: bufio.NewReader(nc)}
	c.clients[n] = cl
	return cl
}

func (c *conversation) close() {
	for _, cl := range c.clients {
		cl.nc.Close()
	}
}

var scriptLine = regexp.MustCompile(`^(C|S|IN|EOF|CLOSE|TLS|T|D|#|C\+)([2-9]?)(?::? (.*)|:)?$`)

// play does what one line says.
func (c *conversation) play(line string) {
	c.t.Helper()
	m := scriptLine.FindStringSubmatch(line)
	if m == nil {
		c.fatalf("not a line of a conversation: %q", line)
	}
	n := 1
	if m[2] != "" {
		n, _ = strconv.Atoi(m[2])
	}
	switch text := m[3]; m[1] {
	case "C":
		c.send(n, c.encode(c.digest(n, text))+"\r\n")
	case "C+":
		raw, err := strconv.Unquote(text)
		if err != nil {
			c.fatalf("%q is not a Go string", text)
		}
		c.send(n, raw)
	case "S":
		c.receive(n, c.world.fillIn(c.encode(text)))
	case "IN":
		c.signIn(n, text)
	case "EOF":
		c.receiveEOF(n)
	case "CLOSE":
		c.client(n).nc.Close()
	case "TLS":
		cl := c.client(n)
		cl.nc = tls.Client(cl.nc, &tls.Config{InsecureSkipVerify: true})
		cl.r = bufio.NewReader(cl.nc)
	case "D":
		c.world.do(text)
	case "T":
		d, err := time.ParseDuration(text)
		must(c.t, err)
		time.Sleep(d) // in the bubble
		synctest.Wait()
	}
}

var base64Form = regexp.MustCompile(`\{base64:([^}]*)\}`)

func (c *conversation) encode(text string) string {
	return base64Form.ReplaceAllStringFunc(text, func(s string) string {
		raw, err := strconv.Unquote(`"` + base64Form.FindStringSubmatch(s)[1] + `"`)
		if err != nil {
			c.fatalf("%q is not a Go string", s)
		}
		return base64.StdEncoding.EncodeToString([]byte(raw))
	})
}

var digestForm = regexp.MustCompile(`\{apop:([^}]*)\}`)

// digest puts in the digest of the greeting's stamp and a password.
func (c *conversation) digest(n int, text string) string {
	return digestForm.ReplaceAllStringFunc(text, func(s string) string {
		sum := md5.Sum([]byte(c.client(n).stamp + digestForm.FindStringSubmatch(s)[1]))
		return hex.EncodeToString(sum[:])
	})
}

// send writes without waiting for the server to read: a pipe has no buffer.
func (c *conversation) send(n int, text string) {
	cl := c.client(n)
	cl.nc.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(cl.nc, text); err != nil {
		c.fatalf("send: %v", err)
	}
}

// signIn goes through the greeting, USER and PASS.
func (c *conversation) signIn(n int, name string) {
	c.t.Helper()
	password := annPassword
	if strings.HasSuffix(name, "bob@other.test") {
		password = bobPassword
	}
	c.receive(n, "+OK ...")
	c.send(n, "USER "+name+"\r\n")
	c.receive(n, "+OK ...")
	c.send(n, "PASS "+password+"\r\n")
	c.receive(n, "+OK ...")
}

// fillIn puts the UIDVALIDITY of ann's INBOX into a line.
func (w *world) fillIn(text string) string {
	const form = "{uidvalidity}"
	if !strings.Contains(text, form) {
		return text
	}
	_, state, err := w.store.Mailbox(w.ctx, store.System(), w.mailbox("ann/INBOX"))
	must(w.t, err)
	return strings.ReplaceAll(text, form, strconv.FormatUint(uint64(state.UIDValidity), 10))
}

func (c *conversation) receive(n int, want string) {
	c.t.Helper()
	cl := c.client(n)
	cl.nc.SetReadDeadline(time.Now().Add(patience))
	got, err := cl.r.ReadString('\n')
	if err != nil {
		c.fatalf("waiting for %q: got %q and %v", want, got, err)
	}
	got, ok := strings.CutSuffix(got, "\r\n")
	if i := strings.IndexByte(got, '<'); cl.stamp == "" && i >= 0 && strings.HasPrefix(got, "+OK ") {
		cl.stamp = got[i:]
	}
	if !ok {
		c.fatalf("line %q does not end with CRLF", got)
	}
	prefix, open := strings.CutSuffix(want, "...")
	if got != want && !(open && strings.HasPrefix(got, prefix)) {
		c.fatalf("got  %s\nwant %s", got, want)
	}
}

func (c *conversation) receiveEOF(n int) {
	c.t.Helper()
	cl := c.client(n)
	wait := patience
	if c.world.pipe {
		wait = time.Millisecond // fake time: it has been closed, or will be too late
	}
	cl.nc.SetReadDeadline(time.Now().Add(wait))
	got, err := cl.r.ReadString('\n')
	var timeout net.Error
	if got != "" || err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		c.fatalf("got %q and %v, want the connection closed", got, err)
	}
}
