package e2e

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
)

// popModel is what a POP session must be like from its begin to its end.
type popModel struct {
	*lineConn
	crowd  *crowd
	sizes  map[int]string
	uids   map[int]string
	marked map[int]bool
}

// popSession is one session of random commands. One in four is cut off without
// a QUIT, and has removed nothing.
func (c *crowd) popSession(r *rand.Rand, steps int) error {
	l, err := dialLines(c.server.pop)
	if err != nil {
		return err
	}
	defer l.Close()
	m := &popModel{lineConn: l, crowd: c, marked: make(map[int]bool)}
	if _, err := l.line(); err != nil {
		return err
	}
	gone := c.gone()
	if err := m.open(gone); err != nil {
		return err
	}
	for range steps {
		if err := m.step(r); err != nil {
			return err
		}
	}
	if r.IntN(4) == 0 {
		return nil
	}
	reply, err := m.ask("QUIT")
	if err != nil || !strings.HasPrefix(reply, "+OK") {
		return fmt.Errorf("QUIT: %s, %w", reply, err)
	}
	for n := range m.marked {
		c.remove(m.uids[n])
	}
	return nil
}

// open signs in and reads the listings, in which nothing may be that was gone.
func (m *popModel) open(gone map[string]bool) (err error) {
	for _, command := range []string{"USER " + address("ann"), "PASS " + password} {
		if reply, err := m.ask(command); err != nil || !strings.HasPrefix(reply, "+OK") {
			return fmt.Errorf("sign-in: %s, %w", reply, err)
		}
	}
	if m.sizes, err = m.list("LIST"); err != nil {
		return err
	}
	if m.uids, err = m.list("UIDL"); err != nil {
		return err
	}
	if len(m.uids) != len(m.sizes) {
		return fmt.Errorf("LIST has %d messages, UIDL %d", len(m.sizes), len(m.uids))
	}
	for n, id := range m.uids {
		_, uid, _ := strings.Cut(id, ".")
		m.uids[n] = uid
		if gone[uid] {
			return fmt.Errorf("message %s was removed and is there again", uid)
		}
	}
	return nil
}

func (m *popModel) ask(command string) (string, error) {
	if err := m.send(command + "\r\n"); err != nil {
		return "", err
	}
	reply, err := m.line()
	if err == nil && !strings.HasPrefix(reply, "+OK") && !strings.HasPrefix(reply, "-ERR") {
		err = fmt.Errorf("%s: %q is no reply", command, reply)
	}
	return reply, err
}

// rest reads a multi-line reply, dots undone.
func (m *popModel) rest() (string, error) {
	var b strings.Builder
	for {
		line, err := m.line()
		if err != nil || line == "." {
			return b.String(), err
		}
		b.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
}

func (m *popModel) list(command string) (map[int]string, error) {
	reply, err := m.ask(command)
	if err != nil || !strings.HasPrefix(reply, "+OK") {
		return nil, fmt.Errorf("%s: %s, %w", command, reply, err)
	}
	text, err := m.rest()
	values := make(map[int]string)
	for line := range strings.Lines(text) {
		number, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(number)
		if err != nil || value == "" || n <= 0 {
			return nil, fmt.Errorf("%s: %q", command, line)
		}
		values[n] = value
	}
	return values, err
}

func (m *popModel) step(r *rand.Rand) error {
	n := 1 + r.IntN(len(m.sizes)+1)
	known := n <= len(m.sizes) && !m.marked[n]
	switch r.IntN(8) {
	case 0, 1, 2:
		return m.retr(n, known)
	case 3:
		return m.dele(n, known)
	case 4:
		return m.same("LIST", m.sizes)
	case 5:
		return m.sameUIDs()
	case 6:
		return m.stat()
	}
	if r.IntN(4) > 0 {
		return nil
	}
	clear(m.marked)
	_, err := m.ask("RSET")
	return err
}

const removedByOther = "removed by another client"

func (m *popModel) dele(n int, known bool) error {
	reply, err := m.ask("DELE " + strconv.Itoa(n))
	ok := strings.HasPrefix(reply, "+OK")
	switch {
	case err != nil:
		return err
	case ok && known:
		m.marked[n] = true
	case ok, known && !strings.Contains(reply, removedByOther):
		return fmt.Errorf("DELE %d: %s", n, reply)
	}
	return nil
}

func (m *popModel) retr(n int, known bool) error {
	reply, err := m.ask("RETR " + strconv.Itoa(n))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(reply, "+OK") {
		if known && !strings.Contains(reply, removedByOther) {
			return fmt.Errorf("RETR %d: %s", n, reply)
		}
		return nil
	}
	text, err := m.rest()
	if err != nil {
		return err
	}
	if !known || strconv.Itoa(len(text)) != m.sizes[n] {
		return fmt.Errorf("RETR %d of %s octets, known %v: %d octets", n, m.sizes[n], known, len(text))
	}
	return m.crowd.check(m.uids[n], text)
}

// same checks a listing against what it was at the begin.
func (m *popModel) same(command string, want map[int]string) error {
	got, err := m.list(command)
	if err != nil {
		return err
	}
	want = maps.Clone(want)
	maps.DeleteFunc(want, func(n int, _ string) bool { return m.marked[n] })
	if !maps.Equal(got, want) {
		return fmt.Errorf("%s has changed from %v to %v", command, want, got)
	}
	return nil
}

func (m *popModel) sameUIDs() error {
	got, err := m.list("UIDL")
	for n, id := range got {
		_, uid, _ := strings.Cut(id, ".")
		if uid != m.uids[n] || m.marked[n] {
			return errors.Join(err, fmt.Errorf("UIDL: message %d is %s, was %s, marked %v", n, uid, m.uids[n], m.marked[n]))
		}
	}
	if err == nil && len(got) != len(m.uids)-len(m.marked) {
		err = fmt.Errorf("UIDL has %d messages of %d with %d marked", len(got), len(m.uids), len(m.marked))
	}
	return err
}

func (m *popModel) stat() error {
	count, octets := 0, 0
	for n, size := range m.sizes {
		if k, _ := strconv.Atoi(size); !m.marked[n] {
			count, octets = count+1, octets+k
		}
	}
	got, err := m.ask("STAT")
	if want := fmt.Sprintf("+OK %d %d", count, octets); err == nil && got != want {
		err = fmt.Errorf("STAT: %s, want %s", got, want)
	}
	return err
}
