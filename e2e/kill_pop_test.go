package e2e

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// drainer fills a mailbox by SMTP and empties it by POP, over and over.
type drainer struct {
	name     string
	progress *progress
	mail     map[string]bool   // subjects: true: there; false: there or not
	gone     map[string]bool   // subjects whose removal was acknowledged
	seen     map[string]string // the subject of each unique-id
	changes  int
}

func newDrainer(name string, p *progress) *drainer {
	return &drainer{name: name, progress: p, mail: map[string]bool{}, gone: map[string]bool{}, seen: map[string]string{}}
}

// errKilled is the end of a connection, which is what is expected.
var errKilled = errors.New("the server is gone")

func (d *drainer) work(s *server, round int) error {
	for n := 0; ; n++ {
		err := d.session(s, 4)
		if err == nil {
			err = d.fill(s, fmt.Sprintf("%s.%d.%d", d.name, round, n), 5)
		}
		if errors.Is(err, errKilled) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
}

func (d *drainer) judge(s *server) (int, error) {
	if err := d.session(s, 0); err != nil {
		return 0, fmt.Errorf("%s: %w", d.name, err)
	}
	for subject, sure := range d.mail {
		if sure {
			return 0, fmt.Errorf("%s: %s was acknowledged and is not there", d.name, subject)
		}
	}
	return d.changes, nil
}

// fill delivers some messages.
func (d *drainer) fill(s *server, id string, count int) error {
	l, err := dialLines(s.smtp)
	if err != nil {
		return errKilled
	}
	defer l.Close()
	for _, step := range []string{"", "EHLO client.test\r\n"} {
		if err := l.reply(step, "2"); err != nil {
			return err
		}
	}
	for n := range count {
		subject := fmt.Sprint(id, ".", n)
		d.mail[subject] = false
		for _, step := range [][2]string{
			{"MAIL FROM:<sender@elsewhere.test>\r\n", "250"}, {"RCPT TO:<" + address(d.name) + ">\r\n", "250"},
			{"DATA\r\n", "354"}, {killMail(subject) + ".\r\n", "250"},
		} {
			if err := l.reply(step[0], step[1]); err != nil {
				return err
			}
		}
		d.mail[subject] = true
	}
	return nil
}

// reply sends a text and reads a reply of SMTP or a line of POP, which has to
// begin with want.
func (l *lineConn) reply(text, want string) error {
	if l.send(text) != nil {
		return errKilled
	}
	for {
		line, err := l.line()
		switch {
		case err != nil:
			return errKilled
		case !strings.HasPrefix(line, want):
			return fmt.Errorf("%.40q was answered with %q", text, line)
		case len(line) < 4 || line[3] != '-':
			return nil
		}
	}
}

// session looks at the whole mailbox, which must be what was acknowledged, and
// removes some messages.
func (d *drainer) session(s *server, remove int) error {
	l, err := dialLines(s.pop)
	if err != nil {
		return errKilled
	}
	defer l.Close()
	for _, step := range []string{"", "USER " + address(d.name) + "\r\n", "PASS " + password + "\r\n"} {
		if err := l.reply(step, "+OK"); err != nil {
			return err
		}
	}
	subjects, err := d.look(l)
	if err != nil {
		return err
	}
	for subject, sure := range d.mail {
		switch there := subjects[subject] > 0; {
		case sure && !there:
			return fmt.Errorf("%s was acknowledged and is not there", subject)
		case !sure && !there:
			delete(d.mail, subject)
		default:
			d.mail[subject] = true
		}
	}
	var chosen []string
	for subject, number := range subjects {
		if len(chosen) == remove {
			break
		}
		if err := l.reply("DELE "+strconv.Itoa(number)+"\r\n", "+OK"); err != nil {
			return err
		}
		chosen = append(chosen, subject)
	}
	for _, subject := range chosen {
		d.mail[subject] = false // from QUIT on
	}
	if err := l.reply("QUIT\r\n", "+OK"); err != nil {
		return err
	}
	for _, subject := range chosen {
		delete(d.mail, subject)
		d.gone[subject] = true
	}
	d.changes += len(chosen)
	d.progress.Add(int64(10 * len(chosen)))
	if remove == 0 {
		clear(d.mail) // all of it was found
	}
	return nil
}

// look returns the number of each message by its subject.
func (d *drainer) look(l *lineConn) (map[string]int, error) {
	ids, err := l.multiline("UIDL\r\n")
	if err != nil {
		return nil, err
	}
	subjects := map[string]int{}
	for _, line := range ids {
		number, id, _ := strings.Cut(line, " ")
		head, err := l.multiline("TOP " + number + " 0\r\n")
		if err != nil {
			return nil, err
		}
		subject := ""
		for _, field := range head {
			if text, ok := strings.CutPrefix(field, "Subject: "); ok {
				subject = text
			}
		}
		if before, ok := d.seen[id]; ok && before != subject {
			return nil, fmt.Errorf("unique-id %s was of %s and is of %s", id, before, subject)
		}
		d.seen[id] = subject
		_, known := d.mail[subject]
		switch {
		case d.gone[subject]:
			return nil, fmt.Errorf("%s was removed and is there again", subject)
		case !known:
			return nil, fmt.Errorf("%s is there twice, or was never sent", subject)
		case subjects[subject] > 0:
			return nil, fmt.Errorf("%s is there twice", subject)
		}
		subjects[subject], _ = strconv.Atoi(number)
	}
	return subjects, nil
}

// multiline reads a reply of several lines.
func (l *lineConn) multiline(command string) (lines []string, err error) {
	if err := l.reply(command, "+OK"); err != nil {
		return nil, err
	}
	for {
		line, err := l.line()
		if err != nil {
			return nil, errKilled
		}
		if line == "." {
			return lines, nil
		}
		lines = append(lines, line)
	}
}
