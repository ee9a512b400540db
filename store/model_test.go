package store_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tripost/store"
)

// model is what one account should hold, kept in the plainest way.
type model struct {
	names map[string]*modelBox
	trash []modelTrash
}

type modelBox struct {
	id         store.MailboxID
	selectable bool
	remains    bool // left by a deletion for its children's sake
	removed    bool
	next       store.UID
	validity   uint32
	messages   []modelMessage
}

type modelMessage struct {
	uid     store.UID
	flags   string // letters of system flags, each keyword behind a space
	subject string
}

type modelTrash struct {
	box  *modelBox
	name string
	modelMessage
}

func newModel() *model {
	m := &model{names: map[string]*modelBox{}}
	m.names["INBOX"] = &modelBox{selectable: true, next: 1}
	return m
}

func (m *model) children(name string) bool {
	for n := range m.names {
		if strings.HasPrefix(n, name+"/") {
			return true
		}
	}
	return false
}

func parents(name string) []string {
	var list []string
	for i, c := range name {
		if c == '/' {
			list = append(list, name[:i])
		}
	}
	return list
}

func (m *model) create(name string) bool {
	name, directory := strings.CutSuffix(name, "/")
	if b := m.names[name]; b != nil {
		if b.selectable || directory {
			return false
		}
		b.selectable, b.remains, b.next = true, false, 1
		return true
	}
	m.addParents(name)
	m.names[name] = &modelBox{selectable: !directory, next: 1}
	return true
}

func (m *model) addParents(name string) {
	for _, p := range parents(name) {
		if m.names[p] == nil {
			m.names[p] = &modelBox{}
		}
	}
}

func (m *model) delete(name string) bool {
	b := m.names[name]
	if b == nil || name == "INBOX" || m.children(name) && !b.selectable {
		return false
	}
	for _, msg := range b.messages {
		m.trash = append(m.trash, modelTrash{b, name, msg})
	}
	b.removed, b.messages = true, nil
	if m.children(name) {
		m.names[name] = &modelBox{remains: true}
	} else {
		m.dropName(name)
	}
	return true
}

// dropName takes a name away and the remains above it that have no other child.
func (m *model) dropName(name string) {
	delete(m.names, name)
	for _, p := range slices.Backward(parents(name)) {
		if b := m.names[p]; b == nil || !b.remains || m.children(p) {
			return
		}
		delete(m.names, p)
	}
}

func (m *model) rename(from, to string) bool {
	b := m.names[from]
	if b == nil || m.names[to] != nil {
		return false
	}
	if from == "INBOX" {
		m.names["INBOX"] = &modelBox{selectable: true, next: 1}
		m.addParents(to)
		m.names[to] = b
		return true
	}
	if strings.HasPrefix(to, from+"/") {
		return false
	}
	m.addParents(to)
	for n, c := range m.names {
		if strings.HasPrefix(n, from+"/") {
			delete(m.names, n)
			m.names[to+n[len(from):]] = c
		}
	}
	m.names[to] = b
	m.dropName(from)
	return true
}

func (b *modelBox) add(flags, subject string) store.UID {
	b.messages = append(b.messages, modelMessage{b.next, flags, subject})
	b.next++
	return b.next - 1
}

func (b *modelBox) find(u store.UID) *modelMessage {
	for i := range b.messages {
		if b.messages[i].uid == u {
			return &b.messages[i]
		}
	}
	return nil
}

// take removes the messages of a set and returns them.
func (b *modelBox) take(set store.UIDSet, only func(modelMessage) bool) []modelMessage {
	var out []modelMessage
	b.messages = slices.DeleteFunc(b.messages, func(m modelMessage) bool {
		gone := set.Contains(m.uid) && only(m)
		if gone {
			out = append(out, m)
		}
		return gone
	})
	return out
}

// restore puts all that was expunged back.
func (m *model) restore() {
	slices.SortStableFunc(m.trash, func(a, b modelTrash) int {
		return cmp.Or(cmp.Compare(a.box.id, b.box.id), cmp.Compare(a.uid, b.uid))
	})
	for _, t := range m.trash {
		b := t.box
		if b.removed {
			if b = m.names[t.name]; b == nil || !b.selectable {
				m.create(t.name)
				b = m.names[t.name]
			}
		}
		b.add(changeFlags(t.flags, store.FlagsRemove, "D"), t.subject)
	}
	m.trash = nil
}

// changeFlags is SetFlags on flags as text.
func changeFlags(have string, op store.FlagOp, want string) string {
	set := map[string]bool{}
	for _, f := range strings.Fields(have) {
		set[f] = op != store.FlagsReplace
	}
	for _, f := range strings.Fields(want) {
		set[f] = op != store.FlagsRemove
	}
	var out []string
	for f, on := range set {
		if on {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Compare(flagOrder(a), flagOrder(b)) })
	return strings.Join(out, " ")
}

// flagOrder sorts as flagNames lists.
func flagOrder(f string) string {
	if i := strings.Index("SAFDT", f); i >= 0 && len(f) == 1 {
		return fmt.Sprint(i)
	}
	return "k" + f
}

// show writes a mailbox as show writes a view of it.
func (b *modelBox) show() string {
	var out []string
	for _, m := range b.messages {
		s := fmt.Sprint(m.uid)
		if m.flags != "" {
			s += "[" + m.flags + "]"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// list writes the names as names does.
func (m *model) list() string {
	var out []string
	for n, b := range m.names {
		if !b.selectable {
			n += "/"
		}
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b string) int {
		ia, ib := strings.HasPrefix(a+"/", "INBOX/"), strings.HasPrefix(b+"/", "INBOX/")
		if ia != ib {
			return map[bool]int{true: -1, false: 1}[ia]
		}
		key := func(s string) string { return strings.ReplaceAll(strings.TrimSuffix(s, "/"), "/", "\x00") }
		return cmp.Compare(key(a), key(b))
	})
	return strings.Join(out, " ")
}
