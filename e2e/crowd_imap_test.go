package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// imapModel is what an IMAP session has been told of its mailbox.
type imapModel struct {
	*lineConn
	crowd   *crowd
	uids    []string // by sequence number less 1; "": not told yet
	tag     int
	gone    map[string]bool // known to be removed when the mailbox was opened
	command string          // the one under way
}

// imapSession is one session of random commands.
func (c *crowd) imapSession(r *rand.Rand, steps int) error {
	l, err := dialLines(c.server.imap)
	if err != nil {
		return err
	}
	defer l.Close()
	m := &imapModel{lineConn: l, crowd: c, gone: c.gone()}
	if _, err := l.line(); err != nil {
		return err
	}
	for _, command := range []string{
		fmt.Sprintf("LOGIN %s %q", address("ann"), password), "SELECT INBOX", "FETCH 1:* (UID)",
	} {
		if err := m.do(command); err != nil {
			return err
		}
	}
	for range steps {
		if err := m.do(m.random(r)); err != nil {
			return err
		}
	}
	// At rest the picture is complete: each number has its UID.
	for _, command := range []string{"NOOP", "UID FETCH 1:* (FLAGS)", "NOOP"} {
		if err := m.do(command); err != nil {
			return err
		}
	}
	return m.do("LOGOUT")
}

func (m *imapModel) random(r *rand.Rand) string {
	n := 1 + r.IntN(max(1, len(m.uids)))
	if len(m.uids) == 0 {
		return "NOOP"
	}
	switch r.IntN(12) {
	case 0:
		return fmt.Sprintf(`STORE %d +FLAGS (\Deleted)`, n)
	case 1:
		return fmt.Sprintf(`STORE %d FLAGS (\Seen \Flagged)`, n)
	case 2:
		return fmt.Sprintf(`STORE %d -FLAGS.SILENT (\Seen)`, n)
	case 3:
		if r.IntN(3) == 0 {
			return "EXPUNGE"
		}
		return "NOOP"
	case 4:
		return "NOOP"
	case 5:
		return fmt.Sprintf("FETCH %d (UID RFC822.SIZE BODY.PEEK[])", n)
	case 6:
		return fmt.Sprintf("FETCH %d:* (UID FLAGS)", n)
	case 7:
		return "SEARCH UNSEEN"
	case 8:
		return "UID FETCH 1:* (FLAGS)"
	case 9, 10:
		text := "Subject: appended\r\n\r\n" + strings.Repeat(".line\r\n", r.IntN(100))
		return fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(text), text)
	}
	return "UID SEARCH DELETED"
}

// do sends a command and takes note of all that comes before its end.
func (m *imapModel) do(command string) error {
	m.tag++
	m.command = command
	tag := "t" + strconv.Itoa(m.tag) + " "
	if err := m.send(tag + command + "\r\n"); err != nil {
		return err
	}
	for {
		line, literal, err := m.response()
		if err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		if status, ok := strings.CutPrefix(line, tag); ok {
			return m.status(status)
		}
		if err := m.untagged(line, literal); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
	}
}

// status takes a tagged response. Messages that others have removed are no
// longer to be had, which is all that may go wrong.
func (m *imapModel) status(status string) error {
	if strings.HasPrefix(status, "OK") || strings.HasPrefix(status, "NO [EXPUNGEISSUED]") {
		return nil
	}
	return fmt.Errorf("%s: %s", m.command, status)
}

// response reads a response with the literal in it, if there is one.
func (m *imapModel) response() (line, literal string, err error) {
	for {
		part, err := m.line()
		if err != nil {
			return "", "", err
		}
		line += part
		found := literalForm.FindStringSubmatch(part)
		if found == nil {
			return line, literal, nil
		}
		n, _ := strconv.Atoi(found[1])
		b := make([]byte, n)
		if _, err := io.ReadFull(m.r, b); err != nil {
			return "", "", err
		}
		literal = string(b)
	}
}

var (
	literalForm  = regexp.MustCompile(`\{(\d+)\}$`)
	untaggedForm = regexp.MustCompile(`^\* (\d+) (EXISTS|EXPUNGE|FETCH)(.*)$`)
	uidForm      = regexp.MustCompile(`\bUID (\d+)`)
	sizeForm     = regexp.MustCompile(`\bRFC822\.SIZE (\d+)`)
)

// untagged takes an untagged response into the picture.
func (m *imapModel) untagged(line, literal string) error {
	f := untaggedForm.FindStringSubmatch(line)
	if f == nil {
		return nil
	}
	n, err := strconv.Atoi(f[1])
	if err != nil {
		return err
	}
	switch f[2] {
	case "EXISTS":
		if n < len(m.uids) {
			return fmt.Errorf("%s after %d messages", line, len(m.uids))
		}
		m.uids = append(m.uids, make([]string, n-len(m.uids))...)
	case "EXPUNGE":
		return m.expunged(n, line)
	case "FETCH":
		return m.fetched(n, f[3], literal)
	}
	return nil
}

// expunged takes a message out. RFC 9051 section 7.5.1: not during FETCH, STORE
// and SEARCH, whose numbers would be in doubt.
func (m *imapModel) expunged(n int, line string) error {
	if n < 1 || n > len(m.uids) {
		return fmt.Errorf("%s of %d messages", line, len(m.uids))
	}
	verb, _, _ := strings.Cut(m.command, " ")
	if slices.Contains([]string{"FETCH", "STORE", "SEARCH"}, verb) {
		return fmt.Errorf("%s is not allowed here", line)
	}
	if uid := m.uids[n-1]; uid != "" {
		m.crowd.remove(uid)
	}
	m.uids = slices.Delete(m.uids, n-1, n)
	return nil
}

// fetched checks what is told of a message: a number keeps its UID, and UIDs
// ascend.
func (m *imapModel) fetched(n int, items, literal string) error {
	if n < 1 || n > len(m.uids) {
		return fmt.Errorf("FETCH of message %d of %d", n, len(m.uids))
	}
	f := uidForm.FindStringSubmatch(items)
	if f == nil {
		return nil
	}
	uid := f[1]
	if was := m.uids[n-1]; was != "" && was != uid {
		return fmt.Errorf("message %d is UID %s, was %s", n, uid, was)
	}
	if m.gone[uid] {
		return fmt.Errorf("UID %s was removed and is there again", uid)
	}
	m.uids[n-1] = uid
	if n > 1 && m.uids[n-2] != "" && number(m.uids[n-2]) >= number(uid) {
		return fmt.Errorf("UID %s follows %s", uid, m.uids[n-2])
	}
	if literal == "" {
		return nil
	}
	if size := sizeForm.FindStringSubmatch(items); size != nil && number(size[1]) != len(literal) {
		return fmt.Errorf("UID %s: RFC822.SIZE %s of %d octets", uid, size[1], len(literal))
	}
	return m.crowd.check(uid, literal)
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
