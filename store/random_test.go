package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
	"tripost/store/storetest"
)

// TestRandomOperations does what clients do, in any order and through several
// views at once, and compares everything that can be seen with a plain model.
// Every second round runs all transactions twice.
// TRIPOST_STORE_ROUNDS asks for more rounds.
func TestRandomOperations(t *testing.T) {
	rounds := 12
	if n, err := strconv.Atoi(os.Getenv("TRIPOST_STORE_ROUNDS")); err == nil {
		rounds = n
	}
	for seed := range rounds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			newRun(t, uint64(seed)).do(250)
		})
	}
}

// twice runs the function of every Update twice and undoes the first run, as an
// engine may that met a conflict.
type twice struct{ engine.Engine }

func (e twice) Update(ctx context.Context, fn func(engine.Tx) error) error {
	again := errors.New("again")
	err := e.Engine.Update(ctx, func(tx engine.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return again
	})
	if err != again {
		return err
	}
	return e.Engine.Update(ctx, fn)
}

// run is one random test.
type run struct {
	twice   bool
	t       *testing.T
	r       *rand.Rand
	dir     string
	s       *store.Store
	ann     store.Identity
	m       *model
	clients []*client
	n       int // appended messages
	step    string
}

// client is a session's view, and beside it what an IMAP client would know from
// the changes that it was told.
type client struct {
	v   *store.View
	box *modelBox
	// known is the client's list, one "uid[flags]" for each message; nil while
	// the view is not loaded.
	known []string
	now   string // the mailbox when a view that is not loaded was opened
}

func newRun(t *testing.T, seed uint64) *run {
	r := &run{twice: seed%2 == 1, t: t, r: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(), m: newModel()}
	r.start()
	r.ann = newAccount(t, r.s, "ann")
	pooled(t, r.s, r.ann) // which the check at the end counts after
	r.identify()
	t.Cleanup(func() {
		if r.s != nil {
			r.stop()
		}
	})
	return r
}

func (r *run) start() {
	e, err := local.Open(r.dir, local.Options{OverlayBytes: 1 << 16, SegmentSize: 1 << 18})
	if err != nil {
		r.t.Fatal(err)
	}
	var under engine.Engine = e
	if r.twice {
		under = twice{e}
	}
	if r.s, err = store.New(ctx, under, store.Options{Undelete: time.Hour, KeepChanges: 20, IndexOctets: 4096}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) stop() {
	for _, c := range r.clients {
		c.v.Close()
	}
	r.clients = nil
	storetest.Check(r.t, r.s)
	if err := r.s.Close(); err != nil {
		r.t.Error(err)
	}
	r.s = nil
}

func (r *run) do(steps int) {
	ops := []struct {
		weight int
		name   string
		fn     func()
	}{
		{20, "append", r.append}, {25, "setFlags", r.setFlags}, {20, "refresh", r.refresh},
		{10, "expunge", r.expunge}, {8, "copy", func() { r.transfer(false) }}, {8, "move", func() { r.transfer(true) }},
		{8, "open", r.open}, {5, "close", r.close}, {6, "create", r.create}, {4, "delete", r.delete},
		{6, "rename", r.rename}, {2, "restore", r.restore}, {1, "restart", r.restart}, {2, "tidy", r.tidy},
	}
	total := 0
	for _, op := range ops {
		total += op.weight
	}
	for i := range steps {
		n := r.r.IntN(total)
		for _, op := range ops {
			if n -= op.weight; n < 0 {
				r.step = fmt.Sprintf("step %d, %s", i, op.name)
				op.fn()
				break
			}
		}
		if r.t.Failed() {
			r.t.FailNow()
		}
		if i%25 == 24 {
			r.compare()
		}
	}
	r.compare()
}

func (r *run) fail(format string, args ...any) {
	r.t.Helper()
	r.t.Fatalf("%s: %s", r.step, fmt.Sprintf(format, args...))
}

// expect compares an error with whether there should be one.
func (r *run) expect(err error, ok bool) {
	r.t.Helper()
	if (err == nil) != ok {
		r.fail("error %v, should succeed: %t", err, ok)
	}
}

func (r *run) ref(name string) store.MailboxRef { return box(r.ann, name) }

// identify learns the ids of new mailboxes.
func (r *run) identify() {
	list, err := r.s.Mailboxes(ctx, r.ann, r.ann.Account)
	if err != nil {
		r.fail("%v", err)
	}
	for _, m := range list {
		b := r.m.names[m.Name]
		if b == nil {
			r.fail("%q should not be there", m.Name)
		}
		if b.id != 0 && b.id != m.ID {
			r.fail("%q changed its id", m.Name)
		}
		if b.validity != 0 && b.validity != m.UIDValidity {
			r.fail("%q changed its UIDVALIDITY", m.Name)
		}
		b.id, b.validity = m.ID, m.UIDValidity
	}
	if got, want := names(r.t, r.s, r.ann, r.ann.Account), r.m.list(); got != want {
		r.fail("mailboxes\n got %s\nwant %s", got, want)
	}
}

var someNames = []string{"INBOX", "a", "b", "a/x", "a/x/y", "b/z", "INBOX/old", "c d", "c"}

func (r *run) name() string { return someNames[r.r.IntN(len(someNames))] }

// selectable returns a name that holds messages.
func (r *run) selectable() string {
	for {
		if n := r.name(); r.m.names[n] != nil && r.m.names[n].selectable {
			return n
		}
	}
}

var someFlags = []string{"S", "A", "F", "D", "T", "work", "$Junk", "home"}

func (r *run) flags() (text string, set store.FlagSet) {
	for i, f := range someFlags {
		if r.r.IntN(4) > 0 {
			continue
		}
		text = changeFlags(text, store.FlagsAdd, f)
		if i < 5 {
			set.System |= 1 << i
		} else {
			set.Keywords = append(set.Keywords, f)
		}
	}
	return text, set
}

func (r *run) append() {
	name := r.selectable()
	text, set := r.flags()
	r.n++
	subject := fmt.Sprint("message ", r.n)
	if u, want := appendTo(r.t, r.s, r.ann, r.ref(name), to(individualsOf(subject), subject), set), r.m.names[name].add(text, subject); u != want {
		r.fail("UID %d, want %d", u, want)
	}
}

// individualsOf says whom a message is for, by its subject: one in three is for
// jim, one in five for kate.
func individualsOf(subject string) string {
	n, _ := strconv.Atoi(subject[strings.LastIndexByte(subject, ' ')+1:])
	var names []string
	if n%3 == 0 {
		names = append(names, "jim")
	}
	if n%5 == 0 {
		names = append(names, "kate")
	}
	return strings.Join(names, ", ")
}

func (r *run) open() {
	if len(r.clients) >= 6 {
		return
	}
	name := r.selectable()
	v, err := r.s.Open(ctx, r.ann, r.ref(name), false)
	if err != nil {
		r.fail("%v", err)
	}
	c := &client{v: v, box: r.m.names[name], now: r.m.names[name].show()}
	r.clients = append(r.clients, c)
	if r.r.IntN(2) == 0 {
		r.load(c)
	}
}

// load reads the view's messages: as they were at its opening.
func (r *run) load(c *client) bool {
	if c.known != nil {
		return true
	}
	err := c.v.Load(ctx)
	if c.box.removed && errors.Is(err, store.ErrNoMailbox) || errors.Is(err, store.ErrTooLate) {
		r.drop(c)
		return false
	}
	r.expect(err, true)
	if got, want := bare(show(c.v)), bare(c.now); got != want {
		r.fail("loaded as of the opening\n got %s\nwant %s", got, want)
	}
	c.known = c.list()
	return true
}

// bare leaves the UIDs of what show wrote.
func bare(s string) string {
	s = regexp.MustCompile(`\[[^]]*\]`).ReplaceAllString(s, "")
	return strings.ReplaceAll(s, "-", "")
}

// list is the view as a client that was told everything knows it.
func (c *client) list() []string {
	list := make([]string, c.v.Len())
	for i := range list {
		list[i] = c.entry(i + 1)
	}
	return list
}

func (c *client) entry(seq int) string {
	m := c.v.At(seq)
	return fmt.Sprintf("%d%v", m.UID, flagNames(c.v.Keywords(), m.Flags))
}

func (r *run) drop(c *client) {
	c.v.Close()
	r.clients = slices.DeleteFunc(r.clients, func(x *client) bool { return x == c })
}

func (r *run) close() {
	if c := r.client(); c != nil {
		r.drop(c)
	}
}

func (r *run) client() *client {
	if len(r.clients) == 0 {
		return nil
	}
	return r.clients[r.r.IntN(len(r.clients))]
}

// ready returns a client with a loaded view of a mailbox that is there.
func (r *run) ready() *client {
	c := r.client()
	if c == nil || !r.load(c) {
		return nil
	}
	if c.box.removed {
		_, err := c.v.Refresh(ctx, false)
		if !errors.Is(err, store.ErrNoMailbox) {
			r.fail("refresh of a removed mailbox: %v", err)
		}
		r.drop(c)
		return nil
	}
	return c
}

// some returns UIDs of the view, in ranges or single.
func (r *run) some(c *client) store.UIDSet {
	var set store.UIDSet
	if r.r.IntN(8) == 0 {
		return span(1, ^store.UID(0))
	}
	for range 1 + r.r.IntN(4) {
		if n := c.v.Len(); n > 0 {
			lo := c.v.At(1 + r.r.IntN(n)).UID
			set.Add(lo, lo+store.UID(r.r.IntN(3)))
		}
	}
	return set
}

// acts returns what an action of the view can reach: what it knows of and knows
// not to be gone.
func (c *client) acts(set store.UIDSet) store.UIDSet {
	var out store.UIDSet
	for seq := 1; seq <= c.v.Len(); seq++ {
		if u := c.v.At(seq).UID; set.Contains(u) && !c.v.Gone(seq) {
			out.Add(u, u)
		}
	}
	return out
}

func (r *run) refresh() {
	c := r.ready()
	if c == nil {
		return
	}
	hold := r.r.IntN(3) == 0
	ch := refresh(r.t, c.v, hold)
	r.follow(c, ch)
	if !hold {
		if got, want := show(c.v), c.box.show(); got != want {
			r.fail("after refresh\n got %s\nwant %s", got, want)
		}
		if c.v.Changed() || ch.Pending {
			r.fail("still changed after refresh: %+v", ch)
		}
	}
}

// follow applies changes to the client's list as a client would.
func (r *run) follow(c *client, ch store.Changes) {
	for _, seq := range ch.Expunged {
		c.known = slices.Delete(c.known, seq-1, seq)
	}
	if len(c.known) > c.v.Len() || (len(c.known) < c.v.Len()) != ch.Exists {
		r.fail("client knows %d, view has %d, told of arrivals: %t", len(c.known), c.v.Len(), ch.Exists)
	}
	for seq := len(c.known) + 1; seq <= c.v.Len(); seq++ {
		c.known = append(c.known, c.entry(seq))
	}
	for _, seq := range ch.Flags {
		c.known[seq-1] = c.entry(seq)
	}
	if got, want := fmt.Sprint(c.known), fmt.Sprint(c.list()); got != want {
		r.fail("what the client was told %+v\n gives %s\nview is %s", ch, got, want)
	}
}
