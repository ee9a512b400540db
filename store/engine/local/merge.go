package local

import (
	"bytes"
	"errors"
	"iter"

	"go.etcd.io/bbolt"

	"tripost/store/engine"
)

var errOutside = errors.New("transaction used outside its function")

// layers is one state of the key space: two overlays above the index. It
// reads all keys, the engine's own included.
type layers struct {
	active *node // newest
	frozen *node // being written to the index
	tx     *bbolt.Tx
	bucket *bbolt.Bucket
	done   bool
}

func (l *layers) get(key []byte) ([]byte, error) {
	if l.done {
		return nil, errOutside
	}
	if value, said := l.changed(key); said {
		return value, nil
	}
	return l.bucket.Get(key), nil
}

// changed returns what the overlays say of a key, if anything: a nil value where
// the key is gone.
func (l *layers) changed(key []byte) (value []byte, said bool) {
	for _, root := range [2]*node{l.active, l.frozen} {
		it := root.lookup(key)
		if it == nil || it.kind == itemNone {
			continue
		}
		if it.kind == itemDeleted {
			return nil, true
		}
		return it.value, true
	}
	return nil, false
}

// cursor is what forward and backward iteration share: the head of each layer,
// newest first. A nil head is an exhausted layer.
type cursor struct {
	trees [2]treeIter
	bolt  *bbolt.Cursor
	heads [3]head
}

type head struct {
	key, value []byte
	deleted    bool
}

func (c *cursor) takeTree(i int) {
	it := c.trees[i].item()
	if it == nil {
		c.heads[i] = head{}
		return
	}
	c.heads[i] = head{it.key, it.value, it.kind == itemDeleted}
}

func (c *cursor) takeBolt(key, value []byte) { c.heads[2] = head{key: key, value: value} }

// pick returns the layer whose head comes next: the lowest key, or with
// down the highest; of equal keys the newest layer. -1 at the end.
func (c *cursor) pick(down bool) int {
	best := -1
	for i := range c.heads {
		if c.heads[i].key == nil {
			continue
		}
		if best < 0 {
			best = i
			continue
		}
		order := bytes.Compare(c.heads[i].key, c.heads[best].key)
		if down && order > 0 || !down && order < 0 {
			best = i
		}
	}
	return best
}

// advance moves each layer whose head has the key.
func (c *cursor) advance(key []byte, down bool) {
	for i := range c.trees {
		if c.heads[i].key == nil || !bytes.Equal(c.heads[i].key, key) {
			continue
		}
		if down {
			c.trees[i].previous()
		} else {
			c.trees[i].next()
		}
		c.takeTree(i)
	}
	if c.heads[2].key == nil || !bytes.Equal(c.heads[2].key, key) {
		return
	}
	if down {
		c.takeBolt(c.bolt.Prev())
	} else {
		c.takeBolt(c.bolt.Next())
	}
}

func (l *layers) forward(lo, hi []byte) iter.Seq2[engine.Item, error] {
	return l.walk(false, lo, hi, func(c *cursor) {
		c.trees[0].seek(l.active, lo)
		c.trees[1].seek(l.frozen, lo)
		c.takeBolt(c.bolt.Seek(lo))
	})
}

func (l *layers) backward(lo, hi []byte) iter.Seq2[engine.Item, error] {
	return l.walk(true, lo, hi, func(c *cursor) {
		c.trees[0].seekBelow(l.active, hi)
		c.trees[1].seekBelow(l.frozen, hi)
		if hi == nil {
			c.takeBolt(c.bolt.Last())
			return
		}
		if key, _ := c.bolt.Seek(hi); key == nil {
			c.takeBolt(c.bolt.Last())
		} else {
			c.takeBolt(c.bolt.Prev())
		}
	})
}

func (l *layers) walk(down bool, lo, hi []byte, start func(*cursor)) iter.Seq2[engine.Item, error] {
	return func(yield func(engine.Item, error) bool) {
		if l.done {
			yield(engine.Item{}, errOutside)
			return
		}
		c := &cursor{bolt: l.bucket.Cursor()}
		start(c)
		c.takeTree(0)
		c.takeTree(1)
		for {
			i := c.pick(down)
			if i < 0 {
				return
			}
			h := c.heads[i]
			if down && bytes.Compare(h.key, lo) < 0 ||
				!down && hi != nil && bytes.Compare(h.key, hi) >= 0 {
				return
			}
			if !h.deleted && !yield(engine.Item{Key: h.key, Value: h.value}, nil) {
				return
			}
			if l.done {
				yield(engine.Item{}, errOutside)
				return
			}
			c.advance(h.key, down)
		}
	}
}

// reader is what callers see of a state: all but the engine's own keys.
type reader struct{ layers }

func (r *reader) Get(key []byte) ([]byte, error) {
	if reserved(key) {
		return nil, nil
	}
	return r.get(key)
}

func (r *reader) Range(lo, hi []byte) iter.Seq2[engine.Item, error] {
	return r.forward(above(lo), hi)
}

func (r *reader) Reverse(lo, hi []byte) iter.Seq2[engine.Item, error] {
	return r.backward(above(lo), hi)
}

func (r *reader) References(b engine.Blob) (int64, error) { return r.references(b) }

func (l *layers) references(b engine.Blob) (int64, error) {
	entry, err := l.entry(b)
	if errors.Is(err, engine.ErrNoBlob) {
		return 0, nil
	}
	return int64(entry.refs), err
}

func reserved(key []byte) bool { return len(key) == 0 || key[0] == 0 }

// above keeps a lower bound out of the engine's own keys.
func above(lo []byte) []byte {
	if reserved(lo) {
		return publicFirst
	}
	return lo
}
