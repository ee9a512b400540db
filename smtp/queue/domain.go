package queue

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"tripost/store"
)

// RetryDomain makes everything due now that waits for a domain, or with below
// for domains under it too, and is not held. It returns how much that was.
func (q *Queue) RetryDomain(ctx context.Context, domain string, below bool) (count int, err error) {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	now := q.o.Now()
	names := []string{domain}
	if below {
		if names, err = q.laneNames(ctx, func(name string) bool {
			return name == domain || strings.HasSuffix(name, "."+domain)
		}); err != nil {
			return 0, err
		}
	}
	for _, name := range names {
		n, err := q.retryLane(ctx, name, now)
		if count += n; err != nil {
			return count, err
		}
	}
	return count, nil
}

// retryLane makes due what waits for one destination and is not due yet.
func (q *Queue) retryLane(ctx context.Context, name string, now time.Time) (count int, err error) {
	for after, more := uint64(0), true; more; {
		var found []work
		err := q.store.View(ctx, func(r *store.Snapshot) error {
			looked := 0
			more = false
			for it, err := range r.Range(store.SpaceQueue, laneKey(name, after+1), laneEnd(name)) {
				if err != nil {
					return err
				}
				id, due, held, err := parseLane(name, it.Key, it.Value)
				if err != nil {
					return err
				}
				if !held && due.After(now) {
					found = append(found, work{id, name})
				}
				if looked++; looked == pageOfLane {
					after, more = id, true
					break
				}
			}
			return nil
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

// laneNames lists the destinations for which something waits, of those that are
// wanted. It leaps from one to the next.
func (q *Queue) laneNames(ctx context.Context, want func(string) bool) (names []string, err error) {
	err = q.store.View(ctx, func(r *store.Snapshot) error {
		from := []byte{keyLane}
		for from != nil {
			name, found, err := firstLane(r, from)
			if err != nil || !found {
				return err
			}
			if want(name) {
				names = append(names, name)
			}
			from = laneEnd(name)
		}
		return nil
	})
	return names, err
}

// firstLane returns the first destination from a key on.
func firstLane(r *store.Snapshot, from []byte) (name string, found bool, err error) {
	for it, err := range r.Range(store.SpaceQueue, from, []byte{keyLane + 1}) {
		if err != nil || len(it.Key) < 10 {
			return "", false, cmp.Or(err, errRecord)
		}
		return string(it.Key[1 : len(it.Key)-9]), true, nil
	}
	return "", false, nil
}

// hurry makes destinations due now.
func (q *Queue) hurry(ctx context.Context, all []work) error {
	now := q.o.Now()
	var due []notice
	err := q.store.Update(ctx, func(tx *store.Tx) error {
		due = nil
		for _, one := range all {
			d, err := getDestination(&tx.Snapshot, one.id, one.dest)
			if errors.Is(err, ErrNoItem) || err == nil && d.held {
				continue
			}
			if err != nil {
				return err
			}
			tx.Delete(store.SpaceQueue, dueKey(d.next, d.id, d.name()))
			d.next, d.hurry = now, true
			putDestination(tx, d)
			due = append(due, notice{work{d.id, d.name()}, now, true})
		}
		return wakeSender(tx)
	})
	if err == nil {
		q.notices.tell(due...)
	}
	return err
}
