package imap

import (
	"bufio"
	"bytes"
	"compress/flate"
	"flag"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"tripost/wire/wiretest"
)

var update = flag.Bool("update", false, "write the server's responses into the dialogues, to be read before they are kept")

// TestDialogues replays the conversations in testdata. A file is a txtar archive;
// its sections are:
//
//	setup           one line each: see world.setup
//	ann/INBOX/1     a message in a mailbox, LF standing for CRLF; words after the
//	                name are its flags
//	anything else   a conversation, replayed in order
//
// The lines of a conversation are those of wiretest.Script, and:
//
//	IN ann          reads the greeting and signs in
//	OPEN INBOX      selects a mailbox, whatever is answered
//	DEFLATE         the client begins to compress
//	D: words        something else happens meanwhile: see world.do
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
			if *update && !t.Failed() && !bytes.Contains(archive.Comment, []byte("IDLE")) {
				must(t, os.WriteFile(file, txtar.Format(archive), 0o644))
			}
		})
	}
}

// replay sets a world up and holds the conversations.
func replay(t *testing.T, archive *txtar.Archive, pipe bool) {
	w := newWorld(t, pipe)
	for i := range archive.Files {
		f := &archive.Files[i]
		switch name, flags, _ := strings.Cut(f.Name, " "); {
		case f.Name == "setup":
			w.setup(string(f.Data))
		case strings.Contains(name, "/"):
			w.deliver(path.Dir(name), crlf(string(f.Data)), strings.Fields(flags)...)
		default:
			if *update {
				f.Data = []byte(rewritten(w.script().Begin(t, f.Name), string(f.Data)))
				continue
			}
			w.script().Talk(t, f.Name, string(f.Data))
		}
	}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// script is how the conversations with a world are read.
func (w *world) script() *wiretest.Script {
	s := &wiretest.Script{
		Dial: w.dial,
		Verbs: map[string]func(*wiretest.Conversation, int, string){
			"IN":      signIn,
			"OPEN":    openMailbox,
			"DEFLATE": deflate,
			"D":       func(_ *wiretest.Conversation, _ int, words string) { w.do(words) },
		},
	}
	if w.pipe {
		s.Patience = 20 * time.Second // little of a bubble's time
	}
	return s
}

func signIn(c *wiretest.Conversation, n int, name string) {
	c.Receive(n, "* OK [CAPABILITY ...")
	c.Send(n, "in LOGIN "+name+" "+password+"\r\n")
	c.Receive(n, "in OK [CAPABILITY ...")
}

func openMailbox(c *wiretest.Conversation, n int, name string) {
	c.Send(n, "open SELECT "+name+"\r\n")
	for got := ""; !strings.HasPrefix(got, "open OK"); {
		got = c.Next(n, "open OK")
	}
}

func deflate(c *wiretest.Conversation, n int, _ string) {
	c.Replace(n, func(nc net.Conn, r *bufio.Reader) (net.Conn, *bufio.Reader) {
		w, err := flate.NewWriter(nc, flate.BestCompression)
		must(c.T, err)
		return deflateConn{nc, w}, bufio.NewReader(flate.NewReader(r))
	})
}

// deflateConn compresses what a client sends.
type deflateConn struct {
	net.Conn
	w *flate.Writer
}

func (d deflateConn) Write(p []byte) (int, error) {
	if _, err := d.w.Write(p); err != nil {
		return 0, err
	}
	return len(p), d.w.Flush()
}

// rewritten holds a conversation for -update, and returns it with the lines that
// the server sent in place of those it had.
func rewritten(c *wiretest.Conversation, text string) string {
	defer c.Close()
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		l, ok := wiretest.Parse(line)
		if ok && l.Verb == "S" && c.Open(l.Connection) {
			continue
		}
		if l.Verb == "EOF" {
			lines = append(lines, answered(c, l.Connection, "EOF")...)
		}
		lines = append(lines, line)
		c.Play(line)
		if l.Verb == "C" || l.Verb == "C+" {
			lines = append(lines, answered(c, l.Connection, l.Text)...)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// answered is what the server answers: all lines up to the tagged response of
// the last command in the text, or to a continuation request.
func answered(c *wiretest.Conversation, n int, text string) []string {
	commands := strings.Split(strings.TrimSuffix(strings.Trim(text, `"`), `\r\n`), `\n`)
	tag, _, _ := strings.Cut(commands[len(commands)-1], " ")
	label := "S"
	if n > 1 {
		label += strconv.Itoa(n)
	}
	var lines []string
	for {
		got, err := c.Read(n, time.Now().Add(300*time.Millisecond))
		if err != nil {
			return lines
		}
		lines = append(lines, label+": "+withoutText(got))
		if strings.HasPrefix(got, "+ ") || strings.HasPrefix(got, tag+" ") {
			return lines
		}
	}
}

var statusLine = regexp.MustCompile(`^(\S+ (?:OK|NO|BAD|BYE)(?: \[[^]]*\])?) .*$`)

// withoutText leaves the human part of a status response open.
func withoutText(line string) string {
	if strings.HasPrefix(line, "+ ") {
		return "+ ..."
	}
	if before, _, found := strings.Cut(line, "OK [CAPABILITY "); found {
		return before + "OK [CAPABILITY ..."
	}
	return statusLine.ReplaceAllString(line, "$1 ...")
}
