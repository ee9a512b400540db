package store

import (
	"container/list"
	"sync"
	"sync/atomic"

	"tripost/store/engine"
)

// pictures keeps the newest index of each mailbox that sessions have open, so
// that they share it, and of some that none has open any more.
type pictures struct {
	engine engine.Engine
	limit  int64

	mu    sync.Mutex // guards what follows and each picture's fields marked so
	boxes map[boxKey]*picture
	idle  *list.List // of *picture without sessions, the longest idle in front
	held  int64      // octets of their indexes
}

// picture is what the sessions of one mailbox share.
type picture struct {
	key     boxKey
	changes atomic.Uint64 // counts the wake-ups
	moves   atomic.Uint64 // counts those of the mailbox's own record
	waiting waiting

	// guarded by pictures.mu
	users int
	index *index // the newest that a session has seen; nil: none
	stop  func() // ends the watch
	idle  *list.Element
}

func (p *pictures) init(e engine.Engine, limit int64) {
	p.engine, p.limit = e, limit
	p.boxes = map[boxKey]*picture{}
	p.idle = list.New()
}

// changed notes that a commit may have changed the mailbox, and then wakes the
// sessions: in the other order one could look, see nothing, and sleep on.
func (x *picture) changed() {
	x.changes.Add(1)
	x.waiting.wake()
}

// waiting is the functions that wake the sessions of one mailbox.
type waiting struct {
	mu    sync.RWMutex // held for reading while functions run: stop waits for them
	wakes map[*func()]struct{}
}

func (w *waiting) add(wake func()) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wakes == nil {
		w.wakes = map[*func()]struct{}{}
	}
	w.wakes[&wake] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.wakes, &wake)
	}
}

func (w *waiting) wake() {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for wake := range w.wakes {
		(*wake)()
	}
}

// acquire returns a mailbox's picture, watched from now on.
func (p *pictures) acquire(k boxKey) *picture {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.boxes[k]
	if x == nil {
		x = &picture{key: k}
		p.boxes[k] = x
	}
	if x.idle != nil {
		p.idle.Remove(x.idle)
		x.idle = nil
		p.held -= x.index.octets()
	}
	if x.users == 0 {
		contents := p.engine.Watch(stateKey(k.account, k.mailbox), x.changed)
		record := p.engine.Watch(mailboxKey(k.account, k.mailbox), func() { x.moves.Add(1) })
		x.stop = func() {
			contents()
			record()
		}
	}
	x.users++
	return x
}

// release gives a picture back. The last one ends the watch, and the index
// waits among the idle ones.
func (p *pictures) release(x *picture) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x.users--
	if x.users > 0 {
		return
	}
	x.stop()
	x.stop = nil
	if x.index == nil || x.index.octets() > p.limit {
		delete(p.boxes, x.key)
		return
	}
	x.idle = p.idle.PushBack(x)
	p.held += x.index.octets()
	for p.held > p.limit {
		oldest := p.idle.Remove(p.idle.Front()).(*picture)
		p.held -= oldest.index.octets()
		delete(p.boxes, oldest.key)
	}
}

// newest returns the newest index that is known, nil for none.
func (p *pictures) newest(x *picture) *index {
	p.mu.Lock()
	defer p.mu.Unlock()
	return x.index
}

// share offers an index that is exactly the mailbox as of its modseq, and
// returns the one to use: where another session made the same, that one.
func (p *pictures) share(x *picture, made *index) *index {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case x.index == nil || x.index.modSeq < made.modSeq:
		x.index = made
	case x.index.modSeq == made.modSeq:
		return x.index
	}
	return made
}
