package imap

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestModel lets sessions work on one mailbox at random, one command at a time, and
// follows what each of them is told. What a session has been told must at all times
// fit together (numbers exist, UIDs stay with their messages), and after a NOOP be
// the truth. There is a session of each kind: see resync_test.go. TRIPOST_IMAP_ROUNDS sets how many commands are sent.
func TestModel(t *testing.T) {
	t.Parallel()
	commands := 3000
	if n, err := strconv.Atoi(os.Getenv("TRIPOST_IMAP_ROUNDS")); err == nil {
		commands = n
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	m := &model{
		t: t, rand: rand.New(rand.NewPCG(seed, 0)), world: newWorld(t, false), exact: true,
		flags: make(map[int]map[string]bool), next: 1,
	}
	w := m.world
	w.setLimit("bad", 1<<30)
	for kind := range sessionKinds {
		s := &modelSession{model: m, kind: kind}
		s.connect()
		s.open()
		m.sessions = append(m.sessions, s)
	}
	for range commands {
		m.step(m.sessions[m.rand.IntN(len(m.sessions))])
		if m.rand.IntN(400) == 0 {
			m.forget()
		}
	}
	for _, s := range m.sessions {
		s.verify()
	}
}

// model is what is in the mailbox.
type model struct {
	t        *testing.T
	rand     *rand.Rand
	world    *world
	flags    map[int]map[string]bool // by UID
	next     int                     // UIDNEXT
	exact    bool                    // this is the truth: the sessions work one at a time
	sessions []*modelSession
}

var modelFlags = []string{`\Seen`, `\Flagged`, `\Deleted`, `\Answered`, "kw1", "kw2", "kw3"}

func (m *model) step(s *modelSession) {
	switch n := m.rand.IntN(100); {
	case n < 20:
		s.append()
	case n < 55:
		s.store()
	case n < 62:
		s.expunge()
	case n < 67:
		s.move()
	case n < 72:
		s.copy()
	case n < 82:
		s.fetch()
	case n < 87 && !s.kind.uidOnly():
		s.run("SEARCH DELETED", false)
	case n < 92:
		s.run("UID SEARCH DELETED", true)
	case n < 93:
		s.open()
	case n < 96 && s.kind == quick:
		s.comeBack(s.goAway())
	case n < 96:
		s.idle()
	default:
		s.verify()
	}
}

// told is what a session knows of one message; uid and modSeq 0, flags nil: not
// told yet.
type told struct {
	uid    int
	flags  map[string]bool
	modSeq int // as it was when the flags were told
}

type modelSession struct {
	*model
	kind     sessionKind
	c        *rawClient
	messages []*told
	sync     syncState
}

// run sends a command and takes in what is told with it. expunges says whether
// EXPUNGE may be among it.
func (s *modelSession) run(command string, expunges bool) []response {
	s.t.Helper()
	responses, status := s.try(command, expunges)
	if status.word(0) != "OK" {
		s.t.Fatalf("%.200s: %s", command, status.fields)
	}
	return responses
}

// try is run for a command that may be refused.
func (s *modelSession) try(command string, expunges bool) ([]response, response) {
	s.t.Helper()
	responses, status := s.c.try(command)
	for _, r := range responses {
		s.take(command, r, expunges)
	}
	s.sync.settle(append(responses, status))
	return responses, status
}

func (s *modelSession) take(command string, r response, expunges bool) {
	s.t.Helper()
	if r.word(0) == "VANISHED" {
		s.takeVanished(command, r, expunges)
		return
	}
	if r.word(0) == "OK" && r.word(1) == "CLOSED" {
		if command != "SELECT INBOX" {
			s.t.Fatalf("%s: %v", command, r)
		}
		s.messages = nil // what was told before it is of the mailbox selected before
	}
	n, err := strconv.Atoi(r.word(0))
	if err != nil {
		return
	}
	if r.word(1) == "UIDFETCH" {
		s.takeUIDFetch(command, n, r)
		return
	}
	switch what := r.word(1); {
	case what == "EXISTS":
		if n < len(s.messages) {
			s.t.Fatalf("%s: %d EXISTS after %d, without EXPUNGE", command, n, len(s.messages))
		}
		for len(s.messages) < n {
			s.messages = append(s.messages, &told{})
		}
	case what == "RECENT":
	case n < 1 || n > len(s.messages), s.kind.uidOnly():
		s.t.Fatalf("%s: %v in a mailbox of %d", command, r, len(s.messages))
	case what == "EXPUNGE":
		if !expunges || s.kind.vanishes() {
			s.t.Fatalf("%s: %v", command, r)
		}
		s.messages = slices.Delete(s.messages, n-1, n)
	case what == "FETCH":
		s.takeFetch(command, s.messages[n-1], fetched(s.t, r))
	}
}

// takeUIDFetch takes in what is told of a message without its number. One that the
// session knows nothing of yet has its place when all messages are told in turn:
// the first that is free. Told by itself it might be any of those.
func (s *modelSession) takeUIDFetch(command string, uid int, r response) {
	s.t.Helper()
	if !s.kind.uidOnly() {
		s.t.Fatalf("%s: %v", command, r)
	}
	i := slices.IndexFunc(s.messages, func(m *told) bool { return m.uid == uid })
	if i < 0 && command == s.kind.fetchAll() {
		if i = slices.IndexFunc(s.messages, func(m *told) bool { return m.uid == 0 }); i < 0 {
			s.t.Fatalf("%s: %v is one more than the session was told of", command, r)
		}
		s.messages[i].uid = uid
	}
	if i >= 0 {
		s.takeFetch(command, s.messages[i], fetched(s.t, r))
	}
}

func (s *modelSession) takeFetch(command string, m *told, items map[string]value) {
	s.t.Helper()
	if v, found := items["UID"]; found {
		uid, _ := strconv.Atoi(v.text)
		if m.uid != 0 && m.uid != uid {
			s.t.Fatalf("%s: a message has UID %d, had %d", command, uid, m.uid)
		}
		m.uid = uid
	}
	if v, found := items["MODSEQ"]; found {
		m.modSeq, _ = strconv.Atoi(v.list[0].text)
	}
	if v, found := items["FLAGS"]; found {
		m.flags = make(map[string]bool)
		for _, f := range v.list {
			if f.text != `\Recent` {
				m.flags[f.text] = true
			}
		}
	}
}

func (s *modelSession) open() {
	s.sync = syncState{}
	s.run("SELECT INBOX", s.kind == prompted)
	s.verify()
}

// verify brings the session up to date and compares what it was told with the
// truth, then what it can fetch.
func (s *modelSession) verify() {
	s.t.Helper()
	s.run("NOOP", true)
	uids := slices.Sorted(maps.Keys(s.flags))
	if len(uids) != len(s.messages) {
		s.t.Fatalf("a session was told of %d messages, there are %d", len(s.messages), len(uids))
	}
	for pass := range 2 {
		for i, m := range s.messages {
			if m.uid != 0 && m.uid != uids[i] || pass == 1 && m.uid == 0 {
				s.t.Fatalf("message %d has UID %d, want %d", i+1, m.uid, uids[i])
			}
			if m.flags != nil && !maps.Equal(m.flags, s.flags[uids[i]]) {
				s.t.Fatalf("UID %d has flags %v, want %v (pass %d)", uids[i], m.flags, s.flags[uids[i]], pass)
			}
		}
		switch {
		case pass > 0:
		case len(s.messages) > 0:
			s.run(s.kind.fetchAll(), false)
		default: // has the server look at the messages too: it cannot follow a session that never did past what is forgotten
			s.run("UID SEARCH ALL", true)
		}
	}
}

func (s *modelSession) append() {
	flags := s.someFlags()
	s.run(fmt.Sprintf("APPEND INBOX (%s) {1+}\r\nx", strings.Join(flags, " ")), true)
	s.add(flags)
}

func (m *model) add(flags []string) {
	m.flags[m.next] = make(map[string]bool)
	for _, f := range flags {
		m.flags[m.next][f] = true
	}
	m.next++
}

func (m *model) someFlags() []string {
	var flags []string
	for _, f := range modelFlags {
		if m.rand.IntN(4) == 0 {
			flags = append(flags, f)
		}
	}
	return flags
}

// pick chooses a range of messages by number or, if all have been told, by UID.
func (s *modelSession) pick() (prefix, set string, chosen []*told) {
	if len(s.messages) == 0 {
		return "", "", nil
	}
	from := s.rand.IntN(len(s.messages))
	to := min(len(s.messages)-1, from+s.rand.IntN(4))
	chosen = s.messages[from : to+1]
	for _, m := range chosen {
		if m.uid == 0 {
			return "", "", nil
		}
	}
	if s.rand.IntN(2) == 0 && !s.kind.uidOnly() {
		return "", fmt.Sprintf("%d:%d", from+1, to+1), slices.Clone(chosen)
	}
	return "UID ", fmt.Sprintf("%d:%d", chosen[0].uid, chosen[len(chosen)-1].uid), slices.Clone(chosen)
}

func (s *modelSession) store() {
	prefix, set, chosen := s.pick()
	if chosen == nil {
		return
	}
	op := []string{"", "+", "-"}[s.rand.IntN(3)]
	silent := s.rand.IntN(2) == 0
	flags := s.someFlags()
	name := "FLAGS"
	if silent {
		name += ".SILENT"
	}
	condition := s.condition(chosen)
	before := make(map[*told]map[string]bool)
	for _, m := range chosen {
		before[m] = maps.Clone(m.flags)
	}
	_, status := s.try(fmt.Sprintf("%sSTORE %s %s%s%s (%s)", prefix, set, condition, op, name, strings.Join(flags, " ")), prefix != "")
	refused := s.modified(prefix, set, chosen, status)
	for _, m := range chosen {
		truth := s.flags[m.uid]
		if refused[m] {
			continue
		}
		if truth != nil && condition != "" && s.exact {
			s.asTold(m.uid, op, flags, before[m], truth)
		}
		if truth != nil {
			apply(truth, op, flags)
		}
		if silent && m.flags != nil {
			apply(m.flags, op, flags)
		}
	}
}

func apply(flags map[string]bool, op string, names []string) {
	if op == "" {
		clear(flags)
	}
	for _, f := range names {
		if op == "-" {
			delete(flags, f)
		} else {
			flags[f] = true
		}
	}
}

func (s *modelSession) expunge() {
	if s.rand.IntN(2) == 0 {
		s.remove(slices.Collect(maps.Keys(s.flags)))
		s.run("EXPUNGE", true)
		return
	}
	_, _, chosen := s.pick()
	if chosen == nil {
		return
	}
	var uids []int
	for _, m := range chosen {
		uids = append(uids, m.uid)
	}
	s.remove(uids)
	s.run(fmt.Sprintf("UID EXPUNGE %d:%d", uids[0], uids[len(uids)-1]), true)
}

// remove takes those of the messages away that are marked deleted.
func (m *model) remove(uids []int) {
	for _, uid := range uids {
		if m.flags[uid][`\Deleted`] {
			delete(m.flags, uid)
		}
	}
}

func (s *modelSession) move() {
	prefix, set, chosen := s.pick()
	if chosen == nil {
		return
	}
	for _, m := range chosen {
		delete(s.flags, m.uid)
	}
	s.run(prefix+"MOVE "+set+" Trash", true)
}

// copy puts copies of messages into the same mailbox.
func (s *modelSession) copy() {
	prefix, set, chosen := s.pick()
	if chosen == nil || len(s.flags) > 200 {
		return
	}
	for _, m := range chosen {
		if truth := s.flags[m.uid]; truth != nil {
			s.add(slices.Collect(maps.Keys(truth)))
		}
	}
	s.run(prefix+"COPY "+set+" INBOX", true)
}

// fetch reads texts, which sets \Seen.
func (s *modelSession) fetch() {
	prefix, set, chosen := s.pick()
	if chosen == nil {
		return
	}
	for _, m := range chosen {
		if truth := s.flags[m.uid]; truth != nil {
			truth[`\Seen`] = true
		}
	}
	command := prefix + "FETCH " + set + " (UID BODY[TEXT])"
	s.try(command, prefix != "") // NO, when messages have been removed
}

// idle hears of all changes while it lasts.
func (s *modelSession) idle() {
	s.run("IDLE\r\nDONE", true)
}
