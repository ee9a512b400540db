package queue

import (
	"context"
	"encoding/binary"
	"time"

	"tripost/store"
)

// scan reads what has become due since the last look, as far as there is room,
// and returns when the next thing will be due; zero: nothing.
func (s *Sender) scan(ctx context.Context) (next time.Time, err error) {
	c := s.schedule
	now := s.queue.o.Now()
	err = s.queue.store.View(ctx, func(r *store.Snapshot) error {
		from := c.cursor
		if from == nil {
			from = []byte{keyDue}
		}
		for it, err := range r.Range(store.SpaceQueue, from, []byte{keyDue + 1}) {
			if err != nil {
				return err
			}
			at, id, dest, err := parseDue(it.Key)
			if err != nil {
				return err
			}
			if at.After(now) {
				next = at
				break
			}
			if !c.add(work{id, dest}, at) {
				break
			}
			c.cursor = append(append(c.cursor[:0], it.Key...), 0)
		}
		return nil
	})
	return next, err
}

// pageOfLane is how much of one destination's messages one transaction reads.
const pageOfLane = 4096

// refill reads further due messages of a lane. It goes through them in the
// order of submission, and once more from the begin where it did not start
// there.
func (s *Sender) refill(ctx context.Context, p *lane) error {
	c := s.schedule
	room := min(c.perLane(), c.limit-len(c.known)) - len(p.ready)
	if room <= 0 {
		room = c.batch // a lane whose turn it is must not starve
	}
	if p.after == 0 {
		p.whole = true
	}
	ids, last, err := s.queue.dueAt(ctx, p.name, p.after, func(id uint64, due time.Time) bool {
		w := work{id, p.name}
		if c.known[w] != nil {
			return false
		}
		c.known[w] = &entry{due: due.UnixMilli()}
		return true
	}, room)
	p.ready = append(p.ready, ids...)
	if err != nil {
		return err
	}
	switch {
	case last != 0:
		p.after = last
	case p.whole:
		p.after, p.more, p.whole = 0, false, false
	default:
		p.after = 0
	}
	return nil
}

// dueAt returns due messages of a destination with higher ids than one, of those
// that are taken, at most as many as there is room for, and the id up to which it has looked; 0: there
// are no more.
func (q *Queue) dueAt(ctx context.Context, dest string, after uint64, take func(uint64, time.Time) bool, room int) (ids []uint64, last uint64, err error) {
	now := q.o.Now()
	err = q.store.View(ctx, func(r *store.Snapshot) error {
		looked := 0
		for it, err := range r.Range(store.SpaceQueue, laneKey(dest, after+1), laneEnd(dest)) {
			if err != nil {
				return err
			}
			id, due, held, err := parseLane(dest, it.Key, it.Value)
			if err != nil {
				return err
			}
			if !held && !due.After(now) && take(id, due) {
				ids = append(ids, id)
			}
			if looked++; looked == pageOfLane || len(ids) == room {
				last = id
				return nil
			}
		}
		return nil
	})
	return ids, last, err
}

// Keys of what waits for one destination, in the order of ids. The value is when
// it is due, or empty while it is held.
func laneKey(dest string, id uint64) []byte {
	b := make([]byte, 0, 10+len(dest))
	b = append(b, keyLane)
	b = append(b, dest...)
	b = append(b, 0)
	return binary.BigEndian.AppendUint64(b, id)
}

func laneEnd(dest string) []byte {
	return append(append([]byte{keyLane}, dest...), 1)
}

func laneValue(d *destination) []byte {
	if d.held {
		return []byte{}
	}
	return binary.BigEndian.AppendUint64(nil, uint64(max(d.next.UnixMilli(), 0)))
}

func parseLane(dest string, key, value []byte) (id uint64, due time.Time, held bool, err error) {
	if len(key) != 10+len(dest) || len(value) != 8 && len(value) != 0 {
		return 0, due, false, errRecord
	}
	id = binary.BigEndian.Uint64(key[2+len(dest):])
	if len(value) == 0 {
		return id, due, true, nil
	}
	return id, time.UnixMilli(int64(binary.BigEndian.Uint64(value))), false, nil
}

// index fills the list of what waits for each destination from the records of a
// version that did not have it. A start in the middle begins anew.
func (q *Queue) index(ctx context.Context) error {
	from := []byte{keyDestination}
	done := false
	err := q.store.View(ctx, func(r *store.Snapshot) error {
		v, err := r.Get(store.SpaceQueue, keyIndexed)
		done = v != nil
		return err
	})
	for err == nil && !done && from != nil {
		var next []byte
		err = q.store.Update(ctx, func(tx *store.Tx) (err error) {
			var page []*destination
			if page, next, err = destinationsFrom(&tx.Snapshot, from); err != nil {
				return err
			}
			for _, d := range page {
				tx.Put(store.SpaceQueue, laneKey(d.name(), d.id), laneValue(d))
			}
			if next == nil {
				tx.Put(store.SpaceQueue, keyIndexed, []byte{1})
			}
			return nil
		})
		from = next
	}
	return err
}

// destinationsFrom reads a page of all destinations, without those that are
// damaged, and returns where the next one begins; nil: nowhere.
func destinationsFrom(r *store.Snapshot, from []byte) (page []*destination, next []byte, err error) {
	looked := 0
	for it, err := range r.Range(store.SpaceQueue, from, []byte{keyDestination + 1}) {
		if err != nil {
			return nil, nil, err
		}
		if looked++; looked > pageSize {
			return page, append([]byte(nil), it.Key...), nil
		}
		id, err := idOf(it.Key)
		if err != nil {
			return nil, nil, err
		}
		if d, err := decodeDestination(id, it.Value); err == nil {
			page = append(page, d)
		}
	}
	return page, nil, nil
}
