package imap

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sessionKind is what the client of a session understands.
type sessionKind int

const (
	simple      sessionKind = iota
	conditional             // CONDSTORE
	quick                   // QRESYNC
	newer                   // IMAP4rev2
	notified                // NOTIFY; removals wait for a command
	numberless              // UIDONLY
	prompted                // UIDONLY and NOTIFY; removals are told at once
	sessionKinds
)

// conditions says whether such a client is told mod-sequences.
func (k sessionKind) conditions() bool { return k == conditional || k == quick }

// vanishes says whether it is told VANISHED in place of EXPUNGE.
func (k sessionKind) vanishes() bool { return k == quick || k.uidOnly() }

// uidOnly says whether it knows no sequence numbers.
func (k sessionKind) uidOnly() bool { return k == numberless || k == prompted }

// fetchAll is how such a client fetches what there is to know of all messages.
func (k sessionKind) fetchAll() string {
	switch {
	case k.uidOnly():
		return "UID FETCH 1:* (FLAGS)"
	case k.conditions():
		return "FETCH 1:* (UID FLAGS MODSEQ)"
	}
	return "FETCH 1:* (UID FLAGS)"
}

// connect signs the session in.
func (s *modelSession) connect() {
	s.c = s.world.connect("ann")
	s.c.t = s.t
	switch s.kind {
	case conditional:
		s.c.do("ENABLE CONDSTORE")
	case quick:
		s.c.do("ENABLE QRESYNC")
	case newer:
		s.c.do("ENABLE IMAP4rev2")
	case numberless, prompted:
		s.c.do("ENABLE UIDONLY")
	}
	switch s.kind {
	case notified:
		s.c.do("NOTIFY SET (selected-delayed (MessageNew (UID FLAGS) MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge FlagChange MailboxName))")
	case prompted:
		s.c.do("NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))")
	}
}

// syncState is what a client keeps of a mailbox for the time it is away.
type syncState struct {
	validity int
	highest  int // mod-sequence
}

// settle takes in what a command's responses say of the highest mod-sequence, by
// the rules of RFC 7162 section 6.
func (y *syncState) settle(responses []response) {
	told, code := y.highest, 0
	for _, r := range responses {
		switch {
		case r.word(1) == "FETCH":
			for i, list := 0, r.fields[2].list; i+1 < len(list); i += 2 {
				if list[i].text == "MODSEQ" {
					n, _ := strconv.Atoi(list[i+1].list[0].text)
					told = max(told, n)
				}
			}
		case strings.HasPrefix(r.word(1), "HIGHESTMODSEQ "):
			code, _ = strconv.Atoi(strings.TrimPrefix(r.word(1), "HIGHESTMODSEQ "))
		case strings.HasPrefix(r.word(1), "UIDVALIDITY "):
			y.validity, _ = strconv.Atoi(strings.TrimPrefix(r.word(1), "UIDVALIDITY "))
		}
	}
	if y.highest = told; code != 0 {
		y.highest = code
	}
}

// takeVanished takes in VANISHED: each UID must be one that the session has been
// shown, and perhaps not told yet.
func (s *modelSession) takeVanished(command string, r response, expunges bool) {
	s.t.Helper()
	if len(r.fields) == 3 {
		return // EARLIER, which changes no numbers
	}
	if !expunges && s.kind != prompted || !s.kind.vanishes() {
		s.t.Fatalf("%s: %v", command, r)
	}
	for _, uid := range numbers(s.t, r.fields[1].text) {
		s.vanish(command, uid)
	}
}

// vanish finds the message that has vanished. The client knows the order, so a
// message of which it does not know the UID lies between those that it does know.
func (s *modelSession) vanish(command string, uid int) {
	s.t.Helper()
	at := -1
	for i, m := range s.messages {
		if m.uid > uid {
			break
		}
		if m.uid == uid || m.uid == 0 {
			at = i // of several unknown neighbours it may be any
		} else {
			at = -1
		}
		if m.uid == uid {
			break
		}
	}
	if at < 0 {
		s.t.Fatalf("%s: VANISHED %d, which was not there", command, uid)
	}
	s.messages = slices.Delete(s.messages, at, at+1)
}

// numbers takes a set such as 1:3,5 apart.
func numbers(t testing.TB, set string) []int {
	t.Helper()
	var list []int
	for part := range strings.SplitSeq(set, ",") {
		from, to, found := strings.Cut(part, ":")
		if !found {
			to = from
		}
		lo, err := strconv.Atoi(from)
		must(t, err)
		hi, err := strconv.Atoi(to)
		must(t, err)
		for n := lo; n <= hi; n++ {
			list = append(list, n)
		}
	}
	return list
}

// condition chooses the condition of a STORE: nothing, or that nobody has changed
// the messages since the session was told of their flags.
func (s *modelSession) condition(chosen []*told) string {
	if !s.kind.conditions() || s.rand.IntN(2) == 0 {
		return ""
	}
	since := math.MaxInt
	for _, m := range chosen {
		since = min(since, m.modSeq)
	}
	if since == 0 {
		return ""
	}
	return fmt.Sprintf("(UNCHANGEDSINCE %d) ", since)
}

// modified finds the messages that a STORE left alone.
func (s *modelSession) modified(prefix, set string, chosen []*told, status response) map[*told]bool {
	s.t.Helper()
	refused := make(map[*told]bool)
	list, found := strings.CutPrefix(status.word(1), "MODIFIED ")
	if !found {
		return refused
	}
	first := numbers(s.t, set)[0]
	for _, n := range numbers(s.t, list) {
		for i, m := range chosen {
			if prefix == "" && n == first+i || prefix != "" && n == m.uid {
				refused[m] = true
			}
		}
	}
	if len(refused) != len(numbers(s.t, list)) {
		s.t.Fatalf("MODIFIED %s of %s", list, set)
	}
	return refused
}

// asTold makes sure that what a STORE on condition has changed was what the session
// had been told.
func (s *modelSession) asTold(uid int, op string, flags []string, before, truth map[string]bool) {
	s.t.Helper()
	if op == "" && !maps.Equal(before, truth) {
		s.t.Fatalf("UID %d was changed on condition, but had %v where %v was known", uid, truth, before)
	}
	for _, f := range flags {
		if before[f] != truth[f] {
			s.t.Fatalf("UID %d was changed on condition, but had %v where %v was known", uid, truth, before)
		}
	}
}

// memory is what a client has kept while it was away: all messages up to a UID.
type memory struct {
	syncState
	upTo  int
	flags map[int]map[string]bool
	uids  []int // by sequence number
}

// goAway breaks the connection off. What the client keeps is what it has been told,
// as far as it knows every message.
func (s *modelSession) goAway() memory {
	k := memory{syncState: s.sync, flags: make(map[int]map[string]bool)}
	for _, m := range s.messages {
		if m.uid == 0 || m.flags == nil {
			break
		}
		k.upTo = m.uid
		k.flags[m.uid] = maps.Clone(m.flags)
		k.uids = append(k.uids, m.uid)
	}
	s.c.nc.Close()
	s.messages = nil
	return k
}

// comeBack opens the mailbox with what the client has kept, and compares what it
// then knows with the truth.
func (s *modelSession) comeBack(k memory) {
	s.t.Helper()
	// While it was away others went on.
	for range s.rand.IntN(30) {
		if other := s.sessions[s.rand.IntN(len(s.sessions))]; other != s {
			s.step(other)
		}
	}
	if s.rand.IntN(4) == 0 {
		s.forget()
	}
	s.connect()
	s.resync(&k)
	for uid, truth := range s.flags {
		if uid <= k.upTo && !maps.Equal(truth, k.flags[uid]) {
			s.t.Fatalf("since %d: UID %d has flags %v, the client that came back knows %v", k.highest, uid, truth, k.flags[uid])
		}
	}
	for uid := range k.flags {
		if s.flags[uid] == nil {
			s.t.Fatalf("since %d: the client that came back still has UID %d", k.highest, uid)
		}
	}
	s.verify()
}

// resync selects the mailbox and brings what the client has kept to the present.
func (s *modelSession) resync(k *memory) {
	s.t.Helper()
	params := fmt.Sprintf("%d %d", k.validity, k.highest)
	if k.upTo > 0 && s.rand.IntN(2) == 0 {
		params += fmt.Sprintf(" 1:%d", k.upTo)
	}
	if n := len(k.uids); n > 0 && s.rand.IntN(2) == 0 {
		some := 1 + s.rand.IntN(n)
		params += fmt.Sprintf(" (%d,%d %d,%d)", some, n+1, k.uids[some-1], k.upTo+1)
	}
	s.messages, s.sync = nil, syncState{}
	for _, r := range s.run("SELECT INBOX (QRESYNC ("+params+"))", true) {
		switch {
		case r.word(0) == "VANISHED" && len(r.fields) == 3:
			for _, uid := range numbers(s.t, r.fields[2].text) {
				delete(k.flags, uid)
			}
		case r.word(0) == "VANISHED":
			for _, uid := range numbers(s.t, r.fields[1].text) {
				delete(k.flags, uid)
			}
		case r.word(1) == "FETCH":
			var m told
			s.takeFetch("SELECT", &m, fetched(s.t, r))
			if m.uid <= k.upTo {
				k.flags[m.uid] = m.flags
			}
		}
	}
	s.number(k)
}

// number finds the sequence numbers of the messages that the client has kept: they
// are the first ones.
func (s *modelSession) number(k *memory) {
	s.t.Helper()
	for i, uid := range slices.Sorted(maps.Keys(k.flags)) {
		if i >= len(s.messages) || s.messages[i].uid != 0 && s.messages[i].uid != uid {
			s.t.Fatalf("message %d has not the UID %d of a client that came back", i+1, uid)
		}
		s.messages[i].uid = uid
		s.messages[i].flags = maps.Clone(k.flags[uid])
	}
}

// forget makes the store forget what has changed, for which a month must pass.
func (m *model) forget() {
	if years := m.world.later.Load() / int64(365*24*time.Hour); years < 50 {
		m.world.do("forget")
	}
}

// TestResyncConcurrently lets clients work on one mailbox at the same time while
// another is cut off again and again and comes back. What it knows in the end must
// be what is there.
func TestResyncConcurrently(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.setLimit("bad", 1<<30)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rounds := 40
	sessions := make([]*modelSession, 3)
	for i := range sessions {
		sessions[i] = &modelSession{
			kind:  sessionKind(i),
			model: &model{t: t, world: w, rand: rand.New(rand.NewPCG(seed, uint64(i))), flags: make(map[int]map[string]bool), next: 1},
		}
		sessions[i].connect()
		sessions[i].run("SELECT INBOX", false)
	}
	var last memory
	t.Run("at once", func(t *testing.T) {
		for _, s := range sessions {
			t.Run("session", func(t *testing.T) {
				t.Parallel()
				s.t, s.c.t = t, t
				if s.kind == quick {
					last = s.cutOff(rounds)
					return
				}
				for range 10 * rounds {
					s.alone()
				}
			})
		}
	})
	s := sessions[quick]
	s.t = t
	s.connect()
	s.resync(&last)
	s.messages = nil
	there := make(map[int]bool)
	for _, r := range s.c.do("UID FETCH 1:* (FLAGS)") {
		if r.word(1) != "FETCH" {
			continue
		}
		var m told
		s.takeFetch("UID FETCH", &m, fetched(t, r))
		there[m.uid] = true
		if m.uid <= last.upTo && !maps.Equal(m.flags, last.flags[m.uid]) {
			t.Errorf("UID %d has flags %v, the client knows %v", m.uid, m.flags, last.flags[m.uid])
		}
	}
	for uid := range last.flags {
		if !there[uid] {
			t.Errorf("the client still has UID %d", uid)
		}
	}
}

// cutOff works a little, is cut off, and comes back, again and again. In the end it
// is away, with what it remembers.
func (s *modelSession) cutOff(rounds int) memory {
	s.t.Helper()
	var k memory
	for range rounds {
		for range s.rand.IntN(8) {
			s.alone()
		}
		if len(s.messages) > 0 && s.rand.IntN(2) == 0 {
			s.run(s.kind.fetchAll(), false)
		}
		if k = s.goAway(); s.t.Failed() {
			return k
		}
		s.connect()
		s.resync(&k)
	}
	s.run("NOOP", true)
	if len(s.messages) > 0 {
		s.run(s.kind.fetchAll(), false)
	}
	return s.goAway()
}
