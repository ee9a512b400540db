package search

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"tripost/message"
	"tripost/store"
)

// References makes threads of messages and the answers to them, by the identifiers
// that answers name and, for the heads of threads, by subject. RFC 5256 section 3,
// REFERENCES: the numbers of steps in this file are those there.
func (e *Search) References(ctx context.Context, seqs []int) ([]*Thread, error) {
	t := threader{numbers: make(map[string]uint32), memory: e.o.Memory, steps: maxAncestors}
	if err := t.gather(ctx, e, seqs); err != nil {
		return nil, err
	}
	for _, n := range t.messages {
		if err := t.link(n); err != nil {
			return nil, err
		}
	}
	heads := t.mergeSubjects(sorted(t.prune()))
	t.sortSiblings(heads)
	return threadsOf(heads), nil
}

// node is a message, or with seq 0 a dummy.
type node struct {
	seq      int
	date     int64 // sent
	subject  string
	reply    bool     // by its subject
	names    []uint32 // the messages that it names, by the numbers of their identifiers
	parent   *node
	children []*node
	place    int // among the children of parent
}

// threader puts the nodes together.
type threader struct {
	messages []*node
	all      []*node           // dummies too, in the order of their making
	numbers  map[string]uint32 // of identifiers
	named    []*node           // by number: who has it; nil: nobody yet
	names    []uint32          // room for those of nodes
	memory   int64             // octets left
	steps    int               // left for looking for loops
}

// maxAncestors bounds the steps that are spent on looking for loops. Mail that is
// made to need more gets links fewer.
const maxAncestors = 50_000_000

// gather makes a node of every message, the first with an identifier under it.
func (t *threader) gather(ctx context.Context, e *Search, seqs []int) error {
	return e.records(ctx, seqs, func(seq int, m *store.Message, r message.Record) error {
		n := &node{seq: seq, date: sentDate(m, r)}
		n.subject, n.reply = e.baseSubject(r)
		if !spend(&t.memory, len(n.subject)+threadOverhead) {
			return ErrTooMuch
		}
		t.messages = append(t.messages, n)
		t.all = append(t.all, n)
		if id := normalID(r.MessageID()); len(id) > 0 {
			number, err := t.number(id)
			if err != nil {
				return err
			}
			if t.named[number] == nil {
				t.named[number] = n
			}
		}
		return t.gatherNames(n, r)
	})
}

// gatherNames notes which messages one names: the References, or where there are
// none the first of In-Reply-To.
func (t *threader) gatherNames(n *node, r message.Record) error {
	start := len(t.names)
	name := func(id []byte) error {
		if id = normalID(id); len(id) == 0 {
			return nil
		}
		number, err := t.number(id)
		if err == nil && !spend(&t.memory, nameOverhead) {
			err = ErrTooMuch
		}
		t.names = append(t.names, number)
		return err
	}
	for id := range r.References() {
		if err := name(id); err != nil {
			return err
		}
	}
	if len(t.names) == start {
		if err := name(r.InReplyTo()); err != nil {
			return err
		}
	}
	n.names = t.names[start:len(t.names):len(t.names)]
	return nil
}

const (
	nameOverhead   = 8   // about what a name in References takes
	numberOverhead = 100 // and an identifier besides its octets
)

// number returns the number of an identifier.
func (t *threader) number(id []byte) (uint32, error) {
	if number, known := t.numbers[string(id)]; known {
		return number, nil
	}
	if !spend(&t.memory, len(id)+numberOverhead) {
		return 0, ErrTooMuch
	}
	number := uint32(len(t.named))
	t.numbers[string(id)] = number
	t.named = append(t.named, nil)
	return number, nil
}

// link is step 1: it links the messages that one names, and then the last of them
// with it.
func (t *threader) link(n *node) error {
	var last *node
	for _, number := range n.names {
		at, err := t.find(number)
		if err != nil {
			return err
		}
		if last != nil && at.parent == nil && !t.loops(last, at) {
			adopt(last, at)
		}
		last = at
	}
	if n.parent == last {
		return nil
	}
	if n.parent != nil {
		abandon(n)
	}
	if last != nil && !t.loops(last, n) {
		adopt(last, n)
	}
	return nil
}

// find returns the message with an identifier, or a dummy that stands for it.
func (t *threader) find(number uint32) (*node, error) {
	if n := t.named[number]; n != nil {
		return n, nil
	}
	if !spend(&t.memory, threadOverhead) {
		return nil, ErrTooMuch
	}
	n := &node{}
	t.named[number] = n
	t.all = append(t.all, n)
	return n, nil
}

// loops says whether a node that has no parent is the other or above it. Where
// that cannot be found out within the steps left, it is taken to be.
func (t *threader) loops(parent, child *node) bool {
	if len(child.children) == 0 {
		return parent == child
	}
	for n := parent; n != nil; n = n.parent {
		if n == child {
			return true
		}
		if t.steps--; t.steps < 0 {
			return true
		}
	}
	return false
}

func adopt(parent, child *node) {
	child.parent, child.place = parent, len(parent.children)
	parent.children = append(parent.children, child)
}

// abandon takes a node from its parent. The order of those left is of no matter:
// they will be sorted.
func abandon(child *node) {
	p := child.parent
	last := len(p.children) - 1
	p.children[child.place] = p.children[last]
	p.children[child.place].place = child.place
	p.children = p.children[:last]
	child.parent = nil
}

// prune is steps 2 and 3: it returns the heads of threads, and takes the dummies
// out but for heads with several children.
func (t *threader) prune() []*node {
	var heads []*node
	for _, n := range t.all {
		if n.parent == nil {
			heads = append(heads, n)
		}
	}
	order := topDown(heads)
	for _, n := range slices.Backward(order) { // below n there are no dummies any more
		if !slices.ContainsFunc(n.children, (*node).dummy) {
			continue
		}
		var kept []*node
		for _, c := range n.children {
			if c.dummy() {
				kept = append(kept, c.children...)
			} else {
				kept = append(kept, c)
			}
		}
		n.children = kept
	}
	kept := heads[:0]
	for _, n := range heads {
		switch {
		case !n.dummy() || len(n.children) > 1:
			kept = append(kept, n)
		case len(n.children) == 1:
			n.children[0].parent = nil
			kept = append(kept, n.children[0])
		}
	}
	return kept
}

func (n *node) dummy() bool { return n.seq == 0 }

// topDown returns all nodes from some on, each before its children.
func topDown(from []*node) []*node {
	order := slices.Clone(from)
	for i := 0; i < len(order); i++ {
		order = append(order, order[i].children...)
	}
	return order
}

// sorted is step 4: heads by sent date, dummies by that of their first child.
func sorted(heads []*node) []*node {
	for _, n := range heads {
		if n.dummy() {
			sortNodes(n.children)
		}
	}
	sortNodes(heads)
	return heads
}

// sortNodes sorts siblings by sent date, then by sequence number. The children of
// dummies have been sorted.
func sortNodes(list []*node) {
	slices.SortFunc(list, func(a, b *node) int {
		a, b = a.first(), b.first()
		return cmp.Or(cmp.Compare(a.date, b.date), a.seq-b.seq)
	})
}

// first is the message that a node is sorted by and has its subject from.
func (n *node) first() *node {
	if n.dummy() && len(n.children) > 0 {
		return n.children[0]
	}
	return n
}

// mergeSubjects is step 5: it gathers the heads with the same subject.
func (t *threader) mergeSubjects(heads []*node) []*node {
	table := make(map[string]*node)
	for _, n := range heads {
		subject := n.first().subject
		if subject == "" {
			continue
		}
		if old := table[subject]; old == nil || !old.dummy() && (n.dummy() || old.reply && !n.reply) {
			table[subject] = n
		}
	}
	order := heads[:0:0]
	for _, n := range heads {
		subject := n.first().subject
		old := table[subject]
		switch {
		case n.parent != nil: // merged already
		case subject == "" || old == n:
			order = append(order, n)
		default:
			if dummy := merge(old, n); dummy != nil {
				table[subject] = dummy
				order = append(order, dummy)
			}
		}
	}
	return slices.DeleteFunc(order, func(n *node) bool { return n.parent != nil })
}

// merge makes one thread of two with the same subject, old being that of the
// table. A dummy that it made to hold both is returned.
func merge(old, n *node) *node {
	switch {
	case old.dummy() && n.dummy():
		for _, c := range n.children {
			c.parent = old
		}
		old.children = append(old.children, n.children...)
		n.parent = old // it is gone
	case old.dummy(), n.reply && !old.reply:
		n.parent = old
		old.children = append(old.children, n)
	default:
		dummy := &node{children: []*node{old, n}}
		old.parent, n.parent = dummy, dummy
		return dummy
	}
	return nil
}

// sortSiblings is step 6: all sets of siblings, those far down first.
func (t *threader) sortSiblings(heads []*node) {
	for _, n := range slices.Backward(topDown(heads)) {
		sortNodes(n.children)
	}
	sortNodes(heads)
}

// threadsOf returns the trees as the caller sees them.
func threadsOf(heads []*node) []*Thread {
	order := topDown(heads)
	made := make(map[*node]*Thread, len(order))
	for _, n := range order {
		made[n] = &Thread{Seq: n.seq}
	}
	for _, n := range order {
		for _, c := range n.children {
			made[n].Children = append(made[n].Children, made[c])
		}
	}
	threads := make([]*Thread, len(heads))
	for i, n := range heads {
		threads[i] = made[n]
	}
	return threads
}

// normalID returns an identifier in the form in which two that mean the same are
// alike: without the quoting of its local part (RFC 5256 section 3). It is empty for
// what is none.
func normalID(id []byte) []byte {
	if len(id) < 3 || id[0] != '<' || id[len(id)-1] != '>' {
		return nil
	}
	id = id[1 : len(id)-1]
	if id[0] != '"' {
		return id
	}
	end := bytes.LastIndex(id, []byte(`"@`))
	if end < 1 {
		return id
	}
	b := make([]byte, 0, len(id))
	for i := 1; i < end; i++ {
		if id[i] == '\\' && i+1 < end {
			i++
		}
		b = append(b, id[i])
	}
	return append(b, id[end+1:]...)
}
