package local

import "bytes"

// The overlay holds the changes that are in the journal and not yet in the
// index: a B-tree that is copied on write, so that a reader's snapshot costs
// one pointer. It only grows; a checkpoint drops it whole.

const (
	itemValue   = iota // the key has this value
	itemDeleted        // the key is gone, whatever the layers below say
	itemNone           // says nothing, ask below: what an undone change leaves
)

// item is one key's state. It is never changed once it is in a tree.
type item struct {
	key, value []byte
	kind       uint8
}

const nodeItems = 31

// node belongs to the tree with the same gen, which may change it; others
// share it and must copy it first.
type node struct {
	gen   uint64
	n     int
	items [nodeItems]*item
	kids  *[nodeItems + 1]*node // nil in a leaf
}

// search returns the position of the first item not below key.
func (n *node) search(key []byte) (int, bool) {
	lo, hi := 0, n.n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch c := bytes.Compare(n.items[mid].key, key); {
		case c == 0:
			return mid, true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

// lookup returns the item of key below n, nil when there is none.
func (n *node) lookup(key []byte) *item {
	for n != nil {
		i, found := n.search(key)
		if found {
			return n.items[i]
		}
		if n.kids == nil {
			return nil
		}
		n = n.kids[i]
	}
	return nil
}

// tree is the writer's side of an overlay. It is not for concurrent use; the
// roots that snapshot returns are.
type tree struct {
	root *node
	gen  uint64
}

// snapshot returns the tree as it is now. Later changes copy what it shares.
func (t *tree) snapshot() *node {
	t.gen++
	return t.root
}

// restore takes the tree back to a snapshot.
func (t *tree) restore(root *node) {
	t.gen++
	t.root = root
}

func (t *tree) own(n *node) *node {
	if n.gen == t.gen {
		return n
	}
	c := *n
	c.gen = t.gen
	if n.kids != nil {
		kids := *n.kids
		c.kids = &kids
	}
	return &c
}

// set puts it in the place of the item with the same key, which it returns, or
// nil.
func (t *tree) set(it *item) *item {
	if t.root == nil {
		t.root = &node{gen: t.gen}
	}
	t.root = t.own(t.root)
	if t.root.n == nodeItems {
		t.root = &node{gen: t.gen, kids: &[nodeItems + 1]*node{t.root}}
		t.split(t.root, 0)
	}
	n := t.root
	for {
		i, found := n.search(it.key)
		if found {
			old := n.items[i]
			n.items[i] = it
			return old
		}
		if n.kids == nil {
			copy(n.items[i+1:n.n+1], n.items[i:n.n])
			n.items[i] = it
			n.n++
			return nil
		}
		n.kids[i] = t.own(n.kids[i])
		if n.kids[i].n == nodeItems {
			t.split(n, i)
			continue // n has one more item now: look again
		}
		n = n.kids[i]
	}
}

// split divides the full child i of n in two. Both are owned by the tree.
func (t *tree) split(n *node, i int) {
	const mid = nodeItems / 2
	left := n.kids[i]
	right := &node{gen: t.gen, n: nodeItems - mid - 1}
	copy(right.items[:], left.items[mid+1:])
	up := left.items[mid]
	clear(left.items[mid:])
	if left.kids != nil {
		right.kids = new([nodeItems + 1]*node)
		copy(right.kids[:], left.kids[mid+1:])
		clear(left.kids[mid+1:])
	}
	left.n = mid
	copy(n.items[i+1:n.n+1], n.items[i:n.n])
	n.items[i] = up
	copy(n.kids[i+2:n.n+2], n.kids[i+1:n.n+1])
	n.kids[i+1] = right
	n.n++
}

// arena cuts items and their octets from larger pieces, since they all go
// together when the overlay goes.
type arena struct {
	octets []byte
	items  []item
	taken  int64 // memory handed out, in octets
}

const (
	arenaOctets  = 64 << 10
	arenaItems   = 256
	itemOverhead = 96 // an item and its share of the tree, in octets
)

// item returns an item with copies of key and value.
func (a *arena) item(key, value []byte, kind uint8) *item {
	if len(a.items) == 0 {
		a.items = make([]item, arenaItems)
	}
	it := &a.items[0]
	a.items = a.items[1:]
	n := len(key) + len(value)
	var b []byte
	switch {
	case n > arenaOctets/4:
		b = make([]byte, n)
	default:
		if len(a.octets) < n {
			a.octets = make([]byte, arenaOctets)
		}
		b, a.octets = a.octets[:n:n], a.octets[n:]
	}
	copy(b, key)
	copy(b[len(key):], value)
	it.key, it.value, it.kind = b[:len(key):len(key)], b[len(key):], kind
	a.taken += int64(n) + itemOverhead
	return it
}
