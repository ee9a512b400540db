package pop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"tripost/store"
)

// Many sessions, deliveries and another kind of client at one mailbox at once.
// Each session checks that what it is told obeys RFC 1939 to the letter: its
// numbers, sizes and unique-ids never change, a unique-id always names the same
// octets, and what it deleted is gone afterwards.
func TestCrowd(t *testing.T) {
	t.Parallel()
	const sessions, rounds, steps = 8, 4, 30
	w := newWorld(t, false)
	crowd := &crowd{world: w, texts: make(map[string]string), removed: make(map[string]bool)}
	for range 20 {
		w.deliver("ann/INBOX", randomMessage(rand.N[int]))
	}
	w.run()
	other := w.open("ann/INBOX")
	var users sync.WaitGroup
	for i := range sessions {
		users.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range rounds {
				crowd.session(r, steps)
			}
		})
	}
	done := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { crowd.deliver(done) })
	others.Go(func() { crowd.otherClient(other, done) })
	users.Wait()
	close(done)
	others.Wait()
	last := w.signedIn("ann", annPassword)
	for _, uid := range last.list("UIDL") {
		if crowd.removed[uid] {
			t.Errorf("%s was deleted and is there again", uid)
		}
	}
}

type crowd struct {
	world *world

	mu      sync.Mutex // guards what follows
	texts   map[string]string
	removed map[string]bool // unique-ids whose removal was confirmed
}

func randomMessage(n func(int) int) string {
	return fmt.Sprintf("Subject: %d\r\n\r\n", n(1000)) + strings.Repeat(fmt.Sprintf(".line %d\r\n", n(1000)), n(400))
}

func (c *crowd) deliver(done chan struct{}) {
	ref := c.world.mailbox("ann/INBOX")
	for {
		select {
		case <-done:
			return
		default:
		}
		if _, err := c.world.append(ref, strings.NewReader(randomMessage(rand.N[int]))); err != nil {
			c.world.t.Errorf("deliver: %v", err)
		}
	}
}

// otherClient does what an IMAP client does: it changes flags and expunges.
func (c *crowd) otherClient(v *store.View, done chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		if _, err := v.Refresh(c.world.ctx, false); err != nil {
			c.world.t.Errorf("refresh: %v", err)
			return
		}
		if v.Len() == 0 {
			continue
		}
		u := v.At(1 + i%v.Len()).UID
		set := store.UIDSet{{Lo: u, Hi: u}}
		var err error
		if i%7 == 0 {
			_, err = v.Expunge(c.world.ctx, set, true)
		} else {
			_, _, err = v.SetFlags(c.world.ctx, set, store.FlagOp(1+i%2), store.FlagSet{System: store.FlagSeen | store.FlagFlagged}, 0)
		}
		if err != nil {
			c.world.t.Errorf("another client: %v", err)
		}
	}
}

// session is one POP session of random commands.
func (c *crowd) session(r *rand.Rand, steps int) {
	cl := c.world.signedIn("ann", annPassword)
	defer cl.nc.Close()
	m := model{
		t: c.world.t, crowd: c, client: cl, marked: make(map[int]bool),
		sizes: cl.list("LIST"), uids: cl.list("UIDL"),
	}
	if len(m.sizes) != len(m.uids) {
		c.world.t.Errorf("LIST has %d messages, UIDL %d", len(m.sizes), len(m.uids))
		return
	}
	for range steps {
		m.step(r)
	}
	if r.IntN(4) == 0 {
		return // gone without QUIT: nothing may be removed
	}
	if got := cl.ask("QUIT"); !strings.HasPrefix(got, "+OK") {
		c.world.t.Errorf("QUIT: %s", got)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range m.marked {
		c.removed[m.uids[n]] = true
	}
}

// model is what a session must be like.
type model struct {
	t      testing.TB
	crowd  *crowd
	client *popClient
	sizes  map[int]string
	uids   map[int]string
	marked map[int]bool
}

func (m *model) step(r *rand.Rand) {
	n := 1 + r.IntN(len(m.sizes)+1)
	known := n <= len(m.sizes) && !m.marked[n]
	switch r.IntN(8) {
	case 0, 1, 2:
		m.retr(n, known)
	case 3:
		reply := m.client.ask("DELE " + strconv.Itoa(n))
		switch {
		case strings.HasPrefix(reply, "+OK") && known:
			m.marked[n] = true
		case strings.HasPrefix(reply, "+OK"), known && !strings.Contains(reply, "removed by another client"):
			m.t.Errorf("DELE %d: %s", n, reply)
		}
	case 4:
		m.same("LIST", m.sizes)
	case 5:
		m.same("UIDL", m.uids)
	case 6:
		m.stat()
	case 7:
		if r.IntN(4) == 0 {
			m.client.do("RSET")
			clear(m.marked)
		}
	}
}

// same checks a listing against what it was at the begin.
func (m *model) same(command string, want map[int]string) {
	got := m.client.list(command)
	if len(got) != len(want)-len(m.marked) {
		m.t.Errorf("%s has %d messages of %d with %d marked", command, len(got), len(want), len(m.marked))
	}
	for n, v := range got {
		if m.marked[n] || v != want[n] {
			m.t.Errorf("%s: %d is %s, was %s, marked %v", command, n, v, want[n], m.marked[n])
		}
	}
}

func (m *model) stat() {
	count, octets := 0, 0
	for n, size := range m.sizes {
		if !m.marked[n] {
			k, _ := strconv.Atoi(size)
			count, octets = count+1, octets+k
		}
	}
	if got, want := m.client.do("STAT"), fmt.Sprintf("%d %d", count, octets); got != want {
		m.t.Errorf("STAT: %s, want %s", got, want)
	}
}

func (m *model) retr(n int, known bool) {
	reply := m.client.ask("RETR " + strconv.Itoa(n))
	if !strings.HasPrefix(reply, "+OK") {
		if known && !strings.Contains(reply, "removed by another client") {
			m.t.Errorf("RETR %d: %s", n, reply)
		}
		return
	}
	text := m.client.rest()
	if !known || reply != "+OK "+m.sizes[n]+" octets" || strconv.Itoa(len(text)) != m.sizes[n] {
		m.t.Errorf("RETR %d of %s octets, known %v: %s and %d octets", n, m.sizes[n], known, reply, len(text))
	}
	m.crowd.mu.Lock()
	defer m.crowd.mu.Unlock()
	uid := m.uids[n]
	if was, ok := m.crowd.texts[uid]; ok && was != text {
		m.t.Errorf("%s is not what it was", uid)
	}
	m.crowd.texts[uid] = text
}

// What sessions that pipeline are told is not mixed with what others are.
func TestPipelinedSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	for i := range 50 {
		w.deliver("ann/INBOX", fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", i, strings.Repeat("x", i)))
	}
	w.run()
	var all sync.WaitGroup
	for range 10 {
		c := w.signedIn("ann", annPassword)
		all.Go(func() {
			var commands bytes.Buffer
			for n := 1; n <= 50; n++ {
				fmt.Fprintf(&commands, "RETR %d\r\n", n)
			}
			c.nc.Write(commands.Bytes())
			for i := range 50 {
				c.line()
				if got, want := c.rest(), fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", i, strings.Repeat("x", i)); got != want {
					t.Errorf("message %d: %q", i+1, got)
				}
			}
		})
	}
	all.Wait()
	var want strings.Builder
	for n := 1; n <= 50; n++ {
		fmt.Fprintf(&want, "%d \\Seen\n", n)
	}
	w.awaitContents("ann/INBOX", want.String())
}
