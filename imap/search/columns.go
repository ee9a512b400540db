package search

import (
	"bytes"
	"cmp"
	"container/list"
	"slices"
	"sync"
	"sync/atomic"

	"tripost/store"
)

// Columns keeps what was read of the headers of all messages of a mailbox, for the
// mailboxes that were sorted or searched lately: their order, and what stands in a
// field. A header never changes, so that a mailbox that is sorted or searched again
// costs what came since. It is safe for concurrent use; nil keeps nothing.
type Columns struct {
	limit int64 // octets

	gathering atomic.Int64 // octets that searches have read and not given yet
	adding    sync.Mutex   // held while texts grow, so that one copy of them is made at a time

	mu   sync.Mutex // guards what follows
	held int64
	all  map[columnKey]*list.Element // of kept
	used *list.List                  // the longest unused in front
}

// kept is what Columns keeps: a [*column] or [*texts]. It never changes.
type kept interface {
	of() columnKey
	size() int64 // octets of memory
}

// NewColumns returns columns that take up to so many octets together.
func NewColumns(octets int64) *Columns {
	return &Columns{limit: octets, all: map[columnKey]*list.Element{}, used: list.New()}
}

// columnKey is a mailbox, under whatever name, and what is kept of its messages.
type columnKey struct {
	account     store.AccountID
	mailbox     store.MailboxID
	uidValidity uint32
	by          SortKey // what they are ordered by,
	field       string  // or else the field whose texts are kept, in lower case
	collation   Collation
}

// columnKey returns the key of an order, or with a field of its texts.
func (e *Search) columnKey(by SortKey, field string) columnKey {
	box := e.box.Mailbox()
	return columnKey{box.Account, box.ID, e.box.State().UIDValidity, by, field, e.o.Collation}
}

// column is some messages of a mailbox in order. It never changes once made.
type column struct {
	key    columnKey
	uids   []store.UID // ascending
	keys   [][]byte    // of each: they compare as the messages do
	order  []int32     // places in uids, by ascending keys
	ranks  []uint32    // of each: alike where the keys are
	octets int64
}

// columnOverhead is about what a message takes in a column besides its key.
const columnOverhead = 4 + 24 + 4 + 4

// room is how much may be kept, in octets.
func (c *Columns) room() int64 {
	if c == nil {
		return 0
	}
	return c.limit
}

// find returns what is kept with a key, nil where nothing is.
func (c *Columns) find(k columnKey) kept {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.all[k]
	if at == nil {
		return nil
	}
	c.used.MoveToBack(at)
	return at.Value.(kept)
}

// get returns a column, an empty one where none is kept.
func (c *Columns) get(k columnKey) *column {
	if found, is := c.find(k).(*column); is {
		return found
	}
	return &column{key: k}
}

// texts returns the texts with a key, without messages where none are kept, or where
// most of those that are kept have gone from the mailbox, which has so many.
func (c *Columns) texts(k columnKey, messages int) *texts {
	if found, is := c.find(k).(*texts); is && len(found.uids) <= 2*messages+64 {
		return found
	}
	return &texts{key: k}
}

// gathers notes that a search holds so many octets more that it is going to add, and
// reports whether all of them together are within the room.
func (c *Columns) gathers(octets int64) bool {
	return c != nil && c.gathering.Add(octets) <= c.limit
}

// add keeps what a search has gathered with the texts that are kept with the key.
func (c *Columns) add(k columnKey, g *gathered, messages int) {
	c.adding.Lock()
	defer c.adding.Unlock()
	c.put(c.texts(k, messages).with(g))
}

// put keeps something in the place of what has its key, and lets the longest unused
// go where the room does not do.
func (c *Columns) put(made kept) {
	if made.size() > c.room() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.all[made.of()])
	c.all[made.of()] = c.used.PushBack(made)
	c.held += made.size()
	for c.held > c.limit {
		c.drop(c.used.Front())
	}
}

func (c *Columns) drop(at *list.Element) {
	if at != nil {
		old := c.used.Remove(at).(kept)
		delete(c.all, old.of())
		c.held -= old.size()
	}
}

// placeOf returns where a message stands among UIDs that ascend, if it does; near is
// where it is likely to.
func placeOf(uids []store.UID, u store.UID, near int) (int, bool) {
	if uint(near) < uint(len(uids)) && uids[near] == u {
		return near, true
	}
	return slices.BinarySearch(uids, u)
}

func (c *column) of() columnKey { return c.key }
func (c *column) size() int64   { return c.octets }

// place returns where a message stands in uids, as placeOf does.
func (c *column) place(u store.UID, near int) (int, bool) { return placeOf(c.uids, u, near) }

// with returns a column that has messages besides, which ascend and are not in it
// yet.
func (c *column) with(uids []store.UID, keys [][]byte) *column {
	n := len(c.uids) + len(uids)
	made := &column{
		key: c.key, uids: make([]store.UID, 0, n), keys: make([][]byte, 0, n),
		order: make([]int32, 0, n), ranks: make([]uint32, n), octets: c.octets,
	}
	old, added := make([]int32, len(c.uids)), make([]int32, len(uids)) // their new places
	for i, j := 0, 0; i < len(old) || j < len(added); {
		if j == len(added) || i < len(old) && c.uids[i] < uids[j] {
			old[i] = int32(len(made.uids))
			made.uids, made.keys = append(made.uids, c.uids[i]), append(made.keys, c.keys[i])
			i++
			continue
		}
		added[j] = int32(len(made.uids))
		made.uids, made.keys = append(made.uids, uids[j]), append(made.keys, keys[j])
		made.octets += int64(len(keys[j])) + columnOverhead
		j++
	}
	made.arrange(c.order, old, inOrder(keys), added)
	return made
}

// inOrder returns the places of keys, by ascending keys.
func inOrder(keys [][]byte) []int32 {
	type entry struct {
		prefix uint64
		place  int32
	}
	list := make([]entry, len(keys))
	for i, key := range keys {
		list[i] = entry{prefix(key), int32(i)}
	}
	slices.SortFunc(list, func(a, b entry) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return bytes.Compare(keys[a.place], keys[b.place])
	})
	order := make([]int32, len(list))
	for i, e := range list {
		order[i] = e.place
	}
	return order
}

// arrange merges two orders, whose places have become others, and numbers the
// messages.
func (c *column) arrange(a, placesA, b, placesB []int32) {
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && bytes.Compare(c.keys[placesA[a[0]]], c.keys[placesB[b[0]]]) <= 0 {
			c.order, a = append(c.order, placesA[a[0]]), a[1:]
		} else {
			c.order, b = append(c.order, placesB[b[0]]), b[1:]
		}
	}
	rank := uint32(0)
	for i, place := range c.order {
		if i > 0 && !bytes.Equal(c.keys[place], c.keys[c.order[i-1]]) {
			rank++
		}
		c.ranks[place] = rank
	}
}
