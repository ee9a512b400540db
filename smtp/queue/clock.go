package queue

import (
	"context"
	"time"

	"tripost/store"
)

// recallEvery is how often the sender looks for what waits too long.
const recallEvery = time.Minute

// recall makes due what waits for longer than any pause lasts: it was put off
// while a clock was ahead, and would wait until that time comes.
func (q *Queue) recall(ctx context.Context) error {
	longest := time.Duration(0)
	for _, pause := range q.o.Retry {
		longest = max(longest, pause)
	}
	from := dueKey(q.o.Now().Add(2*longest), 0, "")
	for from != nil {
		var page []work
		var next []byte
		err := q.store.View(ctx, func(r *store.Snapshot) error {
			page, next = nil, nil
			for it, err := range r.Range(store.SpaceQueue, from, []byte{keyDue + 1}) {
				if err != nil {
					return err
				}
				if len(page) == pageSize {
					next = append(next, it.Key...)
					return nil
				}
				_, id, dest, err := parseDue(it.Key)
				if err != nil {
					return err
				}
				page = append(page, work{id, dest})
			}
			return nil
		})
		if err != nil || len(page) == 0 {
			return err
		}
		if err := q.hurry(ctx, page); err != nil {
			return err
		}
		from = next
	}
	return nil
}
