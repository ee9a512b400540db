package queue

import (
	"context"
	"errors"
	"strings"
	"time"

	"tripost/store"
)

// pagesOfDue is how much of the list of what waits one transaction reads.
const pagesOfDue = 2048

// RetryDomain makes everything due now that waits for a domain, or with below
// for domains under it too, and is not held. It returns how much that was.
func (q *Queue) RetryDomain(ctx context.Context, domain string, below bool) (count int, err error) {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	now := q.o.Now()
	from := dueKey(now.Add(time.Millisecond), 0, "") // what is due has no need of it
	for from != nil {
		var found []work
		err := q.store.View(ctx, func(r *store.Snapshot) (err error) {
			found, from, err = dueOf(r, from, domain, below)
			return err
		})
		if err == nil && len(found) > 0 {
			err = q.hurry(ctx, found)
		}
		if err != nil {
			return count, err
		}
		count += len(found)
	}
	return count, nil
}

// dueOf reads one page of what waits for its time, and returns where the next
// one begins; nil: nowhere.
func dueOf(r *store.Snapshot, from []byte, domain string, below bool) (found []work, next []byte, err error) {
	seen := 0
	for it, err := range r.Range(store.SpaceQueue, from, []byte{keyDue + 1}) {
		if err != nil {
			return nil, nil, err
		}
		if seen++; seen > pagesOfDue {
			return found, append([]byte(nil), it.Key...), nil
		}
		_, id, dest, err := parseDue(it.Key)
		if err != nil {
			return nil, nil, err
		}
		if dest == domain || below && strings.HasSuffix(dest, "."+domain) {
			found = append(found, work{id, dest})
		}
	}
	return found, nil, nil
}

// hurry makes destinations due now.
func (q *Queue) hurry(ctx context.Context, all []work) error {
	now := q.o.Now()
	return q.store.Update(ctx, func(tx *store.Tx) error {
		for _, one := range all {
			d, err := getDestination(&tx.Snapshot, one.id, one.dest)
			if errors.Is(err, ErrNoItem) || err == nil && d.held {
				continue
			}
			if err != nil {
				return err
			}
			tx.Delete(store.SpaceQueue, dueKey(d.next, d.id, d.name()))
			d.next = now
			putDestination(tx, d)
		}
		return wakeSender(tx)
	})
}
