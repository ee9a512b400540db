package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// corpus is where the mail of the tests is: real mail, and mail made to be hard.
const corpus = "../message/testdata/mail"

// readCorpus returns every mail of the corpus as it is sent: with CRLF line
// ends, and without what no SMTP client can send (a bare CR, NUL). Each begins
// with a number of its own, to find it by.
func readCorpus(t *testing.T) map[string][]byte {
	t.Helper()
	mails := map[string][]byte{}
	err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "README.md" {
			return err
		}
		text, err := os.ReadFile(path)
		mails[path] = sendable(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(mails) < 1500 {
		t.Fatalf("the corpus has only %d mails", len(mails))
	}
	return mails
}

func sendable(text []byte) []byte {
	if bytes.HasPrefix(text, []byte("From ")) { // the line of an mbox file
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	text = bytes.ReplaceAll(text, []byte{0}, nil)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}

// withoutTrace takes out the fields that the server has to take out of a
// message that it delivers: Return-Path and its own X-Real-To.
func withoutTrace(mail []byte) []byte {
	var out []byte
	dropping, header := false, true
	for line := range bytes.Lines(mail) {
		if header && line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			name = bytes.ToLower(bytes.TrimRight(name, " \t"))
			dropping = string(name) == "return-path" || string(name) == "x-real-to"
			if bytes.Equal(line, []byte("\r\n")) || !isField(line) {
				header, dropping = false, false
			}
		}
		if !(header && dropping) {
			out = append(out, line...)
		}
	}
	return out
}

// isField reports whether a line can begin a header field.
func isField(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	return ok && len(name) > 0 && bytes.IndexFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

// TestCorpus sends every mail of the corpus by SMTP and reads it back by POP
// and by IMAP: it must be the same, octet for octet, behind our trace fields.
func TestCorpus(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann")
	mails := readCorpus(t)
	paths := make([]string, 0, len(mails))
	for path := range mails {
		paths = append(paths, path)
	}
	sendAll(t, s, paths, mails)
	check := func(t *testing.T, protocol string, i int, got []byte) {
		t.Helper()
		path := paths[i]
		want := bytes.TrimLeft(withoutTrace(mails[path]), " \t") // which would be part of our own last field
		trace, whole := bytes.CutSuffix(got, want)
		if !whole {
			after := got[max(0, len(got)-len(want)):]
			t.Errorf("%s: %s: differs at octet %d: %s", protocol, path, difference(after, want), around(after, want))
		} else if !isTrace(trace) {
			t.Errorf("%s: %s: not just Return-Path and Received at the head: %q", protocol, path, trace)
		}
	}
	t.Run("POP", func(t *testing.T) {
		c := dialText(t, s.pop)
		c.want("+OK")
		c.send("USER %s", address("ann"))
		c.want("+OK")
		c.send("PASS %s", password)
		c.want("+OK")
		for i := range paths {
			c.send("LIST %d", i+1)
			listed := c.want("+OK")
			c.send("RETR %d", i+1)
			c.want("+OK")
			got := c.dotText()
			check(t, "POP", i, got)
			if want := fmt.Sprintf("+OK %d %d", i+1, len(got)); listed != want {
				t.Errorf("%s: LIST says %q, RETR sent %d octets", paths[i], listed, len(got))
			}
		}
		c.send("QUIT")
		c.want("+OK")
	})
	t.Run("IMAP", func(t *testing.T) {
		c := dialText(t, s.imap)
		c.want("* OK")
		c.send("a LOGIN %s %q", address("ann"), password)
		c.until("a OK")
		c.send("b SELECT INBOX")
		c.until("b OK")
		for i := range paths {
			c.send("c%d FETCH %d (RFC822.SIZE BODYSTRUCTURE BODY.PEEK[])", i, i+1)
			got := c.literalOf("BODY[] ")
			check(t, "IMAP", i, got)
			c.until(fmt.Sprintf("c%d OK", i))
		}
	})
}

func sendAll(t *testing.T, s *server, paths []string, mails map[string][]byte) {
	t.Helper()
	c := dialText(t, s.smtp)
	c.want("220")
	c.send("EHLO client.test")
	c.until("250 ")
	for _, path := range paths {
		c.send("MAIL FROM:<sender@elsewhere.test>")
		c.want("250")
		c.send("RCPT TO:<%s>", address("ann"))
		c.want("250")
		c.send("DATA")
		c.want("354")
		for line := range bytes.Lines(mails[path]) {
			if line[0] == '.' {
				c.w.WriteByte('.')
			}
			c.w.Write(line)
		}
		c.send(".")
		if reply := c.line(); !strings.HasPrefix(reply, "250") {
			t.Fatalf("%s: the server answered %q", path, reply)
		}
	}
	c.send("QUIT")
	c.want("221")
}

// isTrace reports whether text is what the server puts before a message: the
// Return-Path and the Received field, and for a user's mail what it lacks.
func isTrace(text []byte) bool {
	var names []string
	for line := range bytes.Lines(text) {
		if name, _, ok := bytes.Cut(line, []byte(": ")); ok && isField(line) {
			names = append(names, string(name))
		}
	}
	switch strings.Join(names, " ") {
	case "Return-Path Received", "Return-Path Received Date", "Return-Path Received Message-ID", "Return-Path Received Date Message-ID":
		return true
	}
	return false
}

func difference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func around(a, b []byte) string {
	i := difference(a, b)
	cut := func(p []byte) []byte { return p[max(0, min(len(p), i-20)):min(len(p), i+40)] }
	return fmt.Sprintf("%q, want %q", cut(a), cut(b))
}

// textConn speaks a line protocol by hand, where no client says what we want to hear.
type textConn struct {
	t *testing.T
	r *bufio.Reader
	w *bufio.Writer
}

func dialText(t *testing.T, addr string) *textConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &textConn{t, bufio.NewReaderSize(conn, 64<<10), bufio.NewWriter(conn)}
}

func (c *textConn) send(format string, args ...any) {
	c.t.Helper()
	fmt.Fprintf(c.w, format+"\r\n", args...)
	if err := c.w.Flush(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *textConn) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("reading a line after %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// want reads one line, which must begin so.
func (c *textConn) want(prefix string) string {
	c.t.Helper()
	line := c.line()
	if !strings.HasPrefix(line, prefix) {
		c.t.Fatalf("the server said %q, not %q", line, prefix)
	}
	return line
}

// until reads lines to one that begins so, and returns all of them.
func (c *textConn) until(prefix string) (lines []string) {
	c.t.Helper()
	for {
		line := c.line()
		lines = append(lines, line)
		if strings.HasPrefix(line, prefix) {
			return lines
		}
	}
}

// dotText reads a dot-terminated text and takes the stuffing out.
func (c *textConn) dotText() []byte {
	c.t.Helper()
	var text []byte
	for {
		line, err := c.r.ReadBytes('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if string(line) == ".\r\n" {
			return text
		}
		text = append(text, bytes.TrimPrefix(line, []byte("."))...)
	}
}

// literalOf reads an untagged response up to the literal behind name.
func (c *textConn) literalOf(name string) []byte {
	c.t.Helper()
	for {
		line := c.line()
		at := strings.LastIndex(line, "{")
		if at < 0 || !strings.HasSuffix(line, "}") {
			continue
		}
		n, err := strconv.Atoi(line[at+1 : len(line)-1])
		if err != nil {
			c.t.Fatalf("a literal in %q: %v", line, err)
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(c.r, text); err != nil && !errors.Is(err, io.EOF) {
			c.t.Fatal(err)
		}
		if strings.HasSuffix(line[:at], name) {
			return text
		}
	}
}
