package imap

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/tls"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
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
// The lines of a conversation:
//
//	C: text         is sent as a line; {base64:...} holds a Go string to encode, and
//	                {1000*x} stands for a thousand times x
//	C+ "text"       is sent as it is: a Go string, with the same forms
//	S: text         must be the next line received; "..." at its end stands for any text
//	IN ann          reads the greeting and signs in
//	OPEN INBOX      selects a mailbox, whatever is answered
//	EOF             the server must close the connection
//	CLOSE           the client closes it
//	TLS             the client does a TLS handshake
//	DEFLATE         the client begins to compress
//	D: words        something else happens meanwhile: see world.do
//	T: 11m          time passes (the whole dialogue runs in a bubble of fake time)
//	# text          a remark
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
			c := &conversation{world: w, t: t, name: f.Name, clients: make(map[int]*client)}
			for i, line := range strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n") {
				c.line = i + 1
				c.play(line)
			}
			c.close()
			f.Data = []byte(strings.Join(c.written, "\n") + "\n")
		}
	}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// conversation is one section that is being replayed.
type conversation struct {
	world   *world
	t       *testing.T
	name    string
	line    int
	clients map[int]*client
	written []string // the section as it is with -update
}

type client struct {
	nc net.Conn
	r  *bufio.Reader
}

const patience = 2 * time.Minute

// patience is how long the server may take: little of a bubble's time.
func (c *conversation) patience() time.Duration {
	if c.world.pipe {
		return 20 * time.Second
	}
	return patience
}

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
	cl := &client{nc, bufio.NewReader(nc)}
	c.clients[n] = cl
	return cl
}

func (c *conversation) close() {
	for _, cl := range c.clients {
		cl.nc.Close()
	}
}

var scriptLine = regexp.MustCompile(`^(C|S|IN|OPEN|EOF|CLOSE|TLS|DEFLATE|T|D|#|C\+)([2-9]?)(?::? (.*)|:)?$`)

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
	if *update && m[1] == "S" && c.clients[n] != nil {
		return
	}
	c.written = append(c.written, line)
	switch text := m[3]; m[1] {
	case "C":
		c.send(n, c.expand(text)+"\r\n")
		c.record(n, text)
	case "C+":
		raw, err := strconv.Unquote(text)
		if err != nil {
			c.fatalf("%q is not a Go string", text)
		}
		c.send(n, c.expand(raw))
		c.record(n, raw)
	case "S":
		c.receive(n, text)
	case "IN":
		c.receive(n, "* OK [CAPABILITY ...")
		c.send(n, "in LOGIN "+text+" "+password+"\r\n")
		c.receive(n, "in OK [CAPABILITY ...")
	case "OPEN":
		c.send(n, "open SELECT "+text+"\r\n")
		for got := ""; !strings.HasPrefix(got, "open OK"); {
			got = c.next(n, "open OK")
		}
	case "EOF":
		if *update {
			c.written = c.written[:len(c.written)-1]
			c.record(n, "EOF")
			c.written = append(c.written, line)
		}
		c.receiveEOF(n)
	case "CLOSE":
		c.client(n).nc.Close()
	case "TLS":
		cl := c.client(n)
		cl.nc = tls.Client(cl.nc, &tls.Config{InsecureSkipVerify: true})
		cl.r = bufio.NewReader(cl.nc)
	case "DEFLATE":
		cl := c.client(n)
		w, err := flate.NewWriter(cl.nc, flate.BestCompression)
		must(c.t, err)
		cl.nc = deflateConn{cl.nc, w}
		cl.r = bufio.NewReader(flate.NewReader(cl.r))
	case "D":
		c.world.do(text)
	case "T":
		d, err := time.ParseDuration(text)
		must(c.t, err)
		time.Sleep(d) // in the bubble
		synctest.Wait()
	}
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

var (
	base64Form = regexp.MustCompile(`\{base64:([^}]*)\}`)
	repeatForm = regexp.MustCompile(`\{(\d+)\*([^}]*)\}`)
)

func (c *conversation) expand(text string) string {
	text = base64Form.ReplaceAllStringFunc(text, func(s string) string {
		raw, err := strconv.Unquote(`"` + base64Form.FindStringSubmatch(s)[1] + `"`)
		if err != nil {
			c.fatalf("%q is not a Go string", s)
		}
		return base64.StdEncoding.EncodeToString([]byte(raw))
	})
	return repeatForm.ReplaceAllStringFunc(text, func(s string) string {
		m := repeatForm.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[1])
		return strings.Repeat(m[2], n)
	})
}

func (c *conversation) send(n int, text string) {
	cl := c.client(n)
	cl.nc.SetWriteDeadline(time.Now().Add(c.patience()))
	if _, err := io.WriteString(cl.nc, text); err != nil {
		c.fatalf("send: %v", err)
	}
}

// next reads one line.
func (c *conversation) next(n int, want string) string {
	c.t.Helper()
	cl := c.client(n)
	cl.nc.SetReadDeadline(time.Now().Add(c.patience()))
	got, err := cl.r.ReadString('\n')
	if err != nil {
		c.fatalf("waiting for %q: got %q and %v", want, got, err)
	}
	got, ok := strings.CutSuffix(got, "\r\n")
	if !ok {
		c.fatalf("line %q does not end with CRLF", got)
	}
	return got
}

func (c *conversation) receive(n int, want string) {
	c.t.Helper()
	got := c.next(n, want)
	prefix, open := strings.CutSuffix(want, "...")
	if got != want && !(open && strings.HasPrefix(got, prefix)) {
		c.fatalf("got  %s\nwant %s", got, want)
	}
}

// record takes down, with -update, what the server answers: all lines up to the
// tagged response of the last command in the text, or to a continuation request.
func (c *conversation) record(n int, text string) {
	if !*update {
		return
	}
	lines := strings.Split(strings.TrimSuffix(text, "\r\n"), "\n")
	tag, _, _ := strings.Cut(lines[len(lines)-1], " ")
	label := "S"
	if n > 1 {
		label += strconv.Itoa(n)
	}
	cl := c.client(n)
	defer cl.nc.SetReadDeadline(time.Time{})
	for {
		cl.nc.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		got, err := cl.r.ReadString('\n')
		if err != nil {
			return
		}
		got = strings.TrimSuffix(got, "\r\n")
		c.written = append(c.written, label+": "+withoutText(got))
		if strings.HasPrefix(got, "+ ") || strings.HasPrefix(got, tag+" ") {
			return
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

func (c *conversation) receiveEOF(n int) {
	c.t.Helper()
	cl := c.client(n)
	cl.nc.SetReadDeadline(time.Now().Add(c.patience()))
	got, err := cl.r.ReadString('\n')
	if err == nil {
		c.fatalf("want the end of the connection, got %q", got)
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		c.fatalf("the connection is still open")
	}
}
