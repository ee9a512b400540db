package pop

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"

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
	"tripost/wire/wiretest"
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
// The lines of a conversation are those of wiretest.Script, and:
//
//	IN ann         signs in with USER and PASS
//	D: words       something else happens meanwhile: see world.do
//
// Its forms are {apop:password}, a digest with the greeting's stamp, and
// {uidvalidity:ann/INBOX}.
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
		w.script().Talk(t, f.Name, string(f.Data))
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

// script is how the conversations with a world are read.
func (w *world) script() *wiretest.Script {
	s := &wiretest.Script{
		Dial: w.dial,
		Verbs: map[string]func(*wiretest.Conversation, int, string){
			"IN": signIn,
			"D":  func(_ *wiretest.Conversation, _ int, words string) { w.do(words) },
		},
		Forms: map[string]func(*wiretest.Conversation, int, string) string{
			"apop": digest,
			"uidvalidity": func(_ *wiretest.Conversation, _ int, box string) string {
				_, state, err := w.store.Mailbox(w.ctx, store.System(), w.mailbox(box))
				must(w.t, err)
				return strconv.FormatUint(uint64(state.UIDValidity), 10)
			},
		},
	}
	if w.pipe {
		s.End = time.Millisecond // fake time: it has been closed, or will be too late
	}
	return s
}

// digest is that of the greeting's stamp and a password (RFC 1939 section 7).
func digest(c *wiretest.Conversation, n int, password string) string {
	_, stamp, _ := strings.Cut(c.Greeting(n), "<")
	sum := md5.Sum([]byte("<" + stamp + password))
	return hex.EncodeToString(sum[:])
}

// signIn goes through the greeting, USER and PASS.
func signIn(c *wiretest.Conversation, n int, name string) {
	password := annPassword
	if strings.HasSuffix(name, "bob@other.test") {
		password = bobPassword
	}
	c.Receive(n, "+OK ...")
	c.Send(n, "USER "+name+"\r\n")
	c.Receive(n, "+OK ...")
	c.Send(n, "PASS "+password+"\r\n")
	c.Receive(n, "+OK ...")
}
