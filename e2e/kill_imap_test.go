package e2e

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
)

// sorter is one IMAP client with two mailboxes of its own: it appends messages,
// flags them, moves them and expunges them.
type sorter struct {
	name     string
	progress *progress
	random   *rand.Rand
	mail     map[string]fate // by subject, what was acknowledged
	next     map[string]fate // what a command that was not answered would have made of it
	seen     map[string]string
	ready    bool // the second mailbox is there
	changes  int
}

// fate is where a message is and whether it is flagged. The zero value is that
// it is in no mailbox.
type fate struct {
	place   string
	uid     string
	flagged bool
}

const archive = "Archive"

func newSorter(name string, p *progress) *sorter {
	return &sorter{
		name: name, progress: p, random: rand.New(rand.NewPCG(7, uint64(len(name)))),
		mail: map[string]fate{}, next: map[string]fate{}, seen: map[string]string{},
	}
}

func (c *sorter) work(s *server, round int) error {
	err := c.session(s, func(l *sortConn) error {
		if err := c.prepare(l); err != nil {
			return err
		}
		for n := 0; ; n++ {
			if err := c.step(l, fmt.Sprintf("%s.%d.%d", c.name, round, n)); err != nil {
				return err
			}
		}
	})
	if errors.Is(err, errKilled) {
		return nil
	}
	return fmt.Errorf("%s: %w", c.name, err)
}

func (c *sorter) judge(s *server) (int, error) {
	if err := c.session(s, func(*sortConn) error { return nil }); err != nil {
		return 0, fmt.Errorf("%s: %w", c.name, err)
	}
	return c.changes, nil
}

// session signs in, compares both mailboxes with what was acknowledged, and goes
// on with what it is given, INBOX being selected.
func (c *sorter) session(s *server, then func(*sortConn) error) error {
	l, err := dialLines(s.imap)
	if err != nil {
		return errKilled
	}
	defer l.Close()
	conn := &sortConn{lineConn: l}
	if _, err := l.line(); err != nil {
		return errKilled
	}
	if _, err := conn.do(fmt.Sprintf("LOGIN %s %q", address(c.name), password)); err != nil {
		return err
	}
	there := map[string]fate{}
	for _, place := range []string{archive, "INBOX"} {
		if place == archive && !c.ready {
			continue
		}
		if err := c.read(conn, place, there); err != nil {
			return err
		}
	}
	if err := c.compare(there); err != nil {
		return err
	}
	return then(conn)
}

// prepare makes the second mailbox. One that a killed command has made is as
// good.
func (c *sorter) prepare(l *sortConn) error {
	if c.ready {
		return nil
	}
	_, err := l.do("CREATE " + archive)
	if err != nil && !strings.Contains(err.Error(), "ALREADYEXISTS") {
		return err
	}
	c.ready = true
	return nil
}

var sortForm = regexp.MustCompile(`^\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) BODY`)

// read notes what is in a mailbox, which stays selected.
func (c *sorter) read(l *sortConn, place string, there map[string]fate) error {
	lines, err := l.do("SELECT " + place)
	if err != nil {
		return err
	}
	validity := ""
	for _, line := range lines {
		if _, rest, ok := strings.Cut(line, "[UIDVALIDITY "); ok {
			validity, _, _ = strings.Cut(rest, "]")
		}
	}
	lines, err = l.do("UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
	if err != nil {
		return err
	}
	for _, line := range lines {
		f := sortForm.FindStringSubmatch(line)
		if f == nil {
			continue
		}
		_, rest, _ := strings.Cut(line, "Subject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		key := place + " " + validity + " " + f[1]
		if before, ok := c.seen[key]; ok && before != subject {
			return fmt.Errorf("UID %s was of %s and is of %s", key, before, subject)
		}
		c.seen[key] = subject
		if other, ok := there[subject]; ok {
			return fmt.Errorf("%s is in %s as %s and in %s as %s", subject, other.place, other.uid, place, f[1])
		}
		there[subject] = fate{place, f[1], strings.Contains(f[2], `\Flagged`)}
	}
	return nil
}

// compare holds what is there against what was acknowledged, or else against
// what the command in flight would have made of it.
func (c *sorter) compare(there map[string]fate) error {
	for subject := range c.next {
		if _, ok := c.mail[subject]; !ok {
			c.mail[subject] = fate{}
		}
	}
	for subject, was := range c.mail {
		is, next := there[subject], c.next[subject]
		_, pending := c.next[subject]
		if was.uid == "" {
			was.uid = is.uid // its place was acknowledged without the UID, or never
		}
		next.uid = is.uid
		if is != was && !(pending && is == next) {
			return fmt.Errorf("%s is %+v, acknowledged was %+v, in flight %+v (%v)", subject, is, was, next, pending)
		}
		c.mail[subject] = is
	}
	for subject := range there {
		if _, ok := c.mail[subject]; !ok {
			return fmt.Errorf("%s is there and was never sent", subject)
		}
	}
	clear(c.next)
	return nil
}

var (
	appendUID = regexp.MustCompile(`\[APPENDUID \d+ (\d+)\]`)
	copyUID   = regexp.MustCompile(`\[COPYUID \d+ \d+ (\d+)\]`)
)

// step makes one change to one message.
func (c *sorter) step(l *sortConn, fresh string) error {
	subject := ""
	for s, f := range c.mail {
		if f.place == "INBOX" && c.random.IntN(3) > 0 {
			subject = s
			break
		}
	}
	if subject == "" {
		return c.append(l, fresh)
	}
	f := c.mail[subject]
	var command string
	next := f
	switch c.random.IntN(4) {
	case 0:
		command, next = "UID MOVE "+f.uid+" "+archive, fate{place: archive, flagged: f.flagged}
	case 1:
		command, next = "UID STORE "+f.uid+` +FLAGS.SILENT (\Deleted)`, f
		if _, err := l.do(command); err != nil {
			return err
		}
		command, next = "UID EXPUNGE "+f.uid, fate{}
	default:
		sign := "+"
		if next.flagged = !f.flagged; !next.flagged {
			sign = "-"
		}
		command = "UID STORE " + f.uid + " " + sign + `FLAGS (\Flagged)`
	}
	c.next[subject] = next
	lines, err := l.do(command)
	if err != nil {
		return err
	}
	if next.place == archive {
		next.uid = firstMatch(copyUID, lines)
	}
	c.done(subject, next)
	return nil
}

func (c *sorter) append(l *sortConn, subject string) error {
	c.next[subject] = fate{place: "INBOX"}
	mail := killMail(subject)
	lines, err := l.do(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(mail), mail))
	if err != nil {
		return err
	}
	c.done(subject, fate{place: "INBOX", uid: firstMatch(appendUID, lines)})
	return nil
}

// done notes that a change was acknowledged.
func (c *sorter) done(subject string, f fate) {
	delete(c.next, subject)
	c.mail[subject] = f
	c.changes++
	c.progress.Add(10)
}

func firstMatch(form *regexp.Regexp, lines []string) string {
	for _, line := range lines {
		if f := form.FindStringSubmatch(line); f != nil {
			return f[1]
		}
	}
	return ""
}

// sortConn is an IMAP connection on which one command follows the other.
type sortConn struct {
	*lineConn
	tag int
}

// do sends a command and returns the responses, the tagged one last, each with
// the octets of its literals in it.
func (l *sortConn) do(command string) ([]string, error) {
	l.tag++
	tag := "k" + strconv.Itoa(l.tag) + " "
	if l.send(tag+command+"\r\n") != nil {
		return nil, errKilled
	}
	var lines []string
	for {
		line, err := l.whole()
		if err != nil {
			return lines, errKilled
		}
		lines = append(lines, line)
		if status, ok := strings.CutPrefix(line, tag); ok {
			if !strings.HasPrefix(status, "OK") {
				return lines, fmt.Errorf("%.60q was answered with %q", command, status)
			}
			return lines, nil
		}
		if strings.HasPrefix(line, "* BYE") {
			return lines, errKilled
		}
	}
}

// whole reads one response with its literals.
func (l *sortConn) whole() (string, error) {
	var text strings.Builder
	for {
		part, err := l.line()
		if err != nil {
			return "", err
		}
		text.WriteString(part)
		f := literalForm.FindStringSubmatch(part)
		if f == nil {
			return text.String(), nil
		}
		n, _ := strconv.Atoi(f[1])
		if _, err := io.CopyN(&text, l.r, int64(n)); err != nil {
			return "", err
		}
	}
}
