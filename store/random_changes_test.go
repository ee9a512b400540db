package store_test

import (
	"slices"
	"strings"

	"tripost/message"
	"tripost/store"
)

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
