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

	"tripost/message"
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

func (r *run) setFlags() {
	c := r.ready()
	if c == nil {
		return
	}
	set := r.some(c)
	reach := c.acts(set)
	text, f := r.flags()
	op := store.FlagOp(r.r.IntN(3))
	seqs, _, err := c.v.SetFlags(ctx, set, op, f, 0)
	if err != nil {
		r.fail("%v", err)
	}
	var want []int
	for u := range reach.All() {
		m := c.box.find(u)
		seq, _ := c.v.Seq(u)
		if m == nil {
			if !c.v.Gone(seq) {
				r.fail("message %d is gone, but the view was not told", u)
			}
			continue
		}
		m.flags = changeFlags(m.flags, op, text)
		want = append(want, seq)
		c.known[seq-1] = c.entry(seq) // as the FETCH answers tell
	}
	if !slices.Equal(seqs, want) {
		r.fail("set flags of %v, want %v", seqs, want)
	}
}

func (r *run) expunge() {
	c := r.ready()
	if c == nil {
		return
	}
	var set store.UIDSet
	anyFlags := r.r.IntN(2) == 0
	if anyFlags || r.r.IntN(2) == 0 {
		set = r.some(c)
	}
	reach := set
	if set == nil && !anyFlags {
		reach = span(1, ^store.UID(0))
	}
	gone, err := c.v.Expunge(ctx, set, anyFlags)
	if err != nil {
		r.fail("%v", err)
	}
	var want store.UIDSet
	taken := c.box.take(reach, func(m modelMessage) bool {
		return anyFlags || slices.Contains(strings.Fields(m.flags), "D")
	})
	for _, m := range taken {
		want.Add(m.uid, m.uid)
		r.m.trash = append(r.m.trash, modelTrash{c.box, r.nameOf(c.box), m})
	}
	if gone.String() != want.String() {
		r.fail("expunged %v, want %v", gone, want)
	}
}

func (r *run) nameOf(b *modelBox) string {
	for n, x := range r.m.names {
		if x == b {
			return n
		}
	}
	r.fail("a mailbox without a name")
	return ""
}

func (r *run) transfer(move bool) {
	c := r.ready()
	if c == nil {
		return
	}
	set := r.some(c)
	reach := c.acts(set)
	name := r.name()
	to := r.m.names[name]
	do := c.v.Copy
	if move {
		do = c.v.Move
	}
	res, err := do(ctx, set, r.ref(name))
	r.expect(err, to != nil && to.selectable)
	if err != nil {
		return
	}
	var list []modelMessage
	if move {
		list = c.box.take(reach, func(modelMessage) bool { return true })
	} else {
		for u := range reach.All() {
			if m := c.box.find(u); m != nil {
				list = append(list, *m)
			}
		}
	}
	var from, target store.UIDSet
	for _, m := range list {
		u := to.add(m.flags, m.subject)
		from.Add(m.uid, m.uid)
		target.Add(u, u)
	}
	if res.Source.String() != from.String() || res.Target.String() != target.String() || res.UIDValidity != to.validity {
		r.fail("%+v, want %v to %v", res, from, target)
	}
}

func (r *run) create() {
	name := r.name()
	if r.r.IntN(4) == 0 {
		name += "/"
	}
	err := r.s.Create(ctx, r.ann, r.ref(name), store.CreateOptions{})
	r.expect(err, r.m.create(name))
	r.identify()
}

func (r *run) delete() {
	name := r.name()
	err := r.s.Delete(ctx, r.ann, r.ref(name))
	r.expect(err, r.m.delete(name))
	r.identify()
}

func (r *run) rename() {
	from, to := r.name(), r.name()
	err := r.s.Rename(ctx, r.ann, r.ref(from), to)
	r.expect(err, r.m.rename(from, to))
	r.identify()
}

func (r *run) restore() {
	var items []store.Expunged
	for x, err := range r.s.Expunged(ctx, r.ann.Account) {
		if err != nil {
			r.fail("%v", err)
		}
		items = append(items, x)
	}
	want := len(r.m.trash)
	r.r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	n, err := r.s.Restore(ctx, r.ann.Account, items)
	if err != nil || n != want || len(items) != want {
		r.fail("restored %d of %d, %v; want %d", n, len(items), err, want)
	}
	r.m.restore()
	r.identify()
}

func (r *run) restart() {
	r.stop()
	r.start()
}

func (r *run) tidy() {
	if err := r.s.Tidy(ctx); err != nil {
		r.fail("%v", err)
	}
}

// compare opens every mailbox anew.
func (r *run) compare() {
	r.step += ", comparing"
	r.identify()
	total := int64(0)
	for name, b := range r.m.names {
		if !b.selectable {
			continue
		}
		v, err := r.s.Open(ctx, r.ann, r.ref(name), true)
		if err == nil {
			err = v.Load(ctx)
		}
		if err != nil {
			r.fail("%s: %v", name, err)
		}
		if got, want := show(v), b.show(); got != want {
			r.fail("%s\n got %s\nwant %s", name, got, want)
		}
		r.compareSubjects(v, b)
		r.compareIndividual(name, b)
		total += int64(len(b.messages))
		v.Close()
	}
	if u, err := r.s.Usage(ctx, r.ann.Account); err != nil || u.Messages != total {
		r.fail("usage %+v, %v; want %d messages", u, err, total)
	}
}

func (r *run) compareSubjects(v *store.View, b *modelBox) {
	var bodies []store.Body
	for seq := 1; seq <= v.Len(); seq++ {
		bodies = append(bodies, v.At(seq).Body)
	}
	n, err := r.s.Records(ctx, bodies, func(i int, rec message.Record) bool {
		if rec == nil || string(rec.Subject()) != b.messages[i].subject {
			r.t.Errorf("%s: message %d has the wrong body", r.step, b.messages[i].uid)
		}
		return true
	})
	if err != nil || n != len(bodies) {
		r.fail("%d of %d summaries, %v", n, len(bodies), err)
	}
}

// compareIndividual looks at what a mailbox has for jim.
func (r *run) compareIndividual(name string, b *modelBox) {
	v, err := r.s.OpenIndividual(ctx, r.ann, r.ref(name), "jim", true)
	if err != nil {
		r.fail("%s for jim: %v", name, err)
	}
	defer v.Close()
	seq := 0
	for _, m := range b.messages {
		if !strings.Contains(individualsOf(m.subject), "jim") {
			continue
		}
		if seq++; seq > v.Len() || v.At(seq).UID != m.uid {
			r.fail("%s for jim: %s; message %d of it should be %d", name, show(v), seq, m.uid)
		}
	}
	if v.Len() != seq {
		r.fail("%s for jim: %s; %d messages expected", name, show(v), seq)
	}
}
