package alerts

import (
	"context"
	"fmt"
	"time"

	"tripost/store"
)

// Seen tells that an account was shown an alert.
type Seen struct {
	Address string
	At      time.Time // to the second
}

// Seen returns which accounts were shown an alert for a domain or for the
// server, the oldest account first. An alert for an account is removed when it
// is shown: only the System Log tells. ErrNoAlert.
func (a *Alerts) Seen(ctx context.Context, id ID) ([]Seen, error) {
	names, err := a.readDirectory(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding who saw alert %s: %w", id, err)
	}
	var list []Seen
	err = a.store.View(ctx, func(r *store.Snapshot) error {
		if _, found, err := readPosted(r, id); err != nil {
			return err
		} else if !found {
			return ErrNoAlert
		}
		for item, err := range under(r, seenPrefix(id), 0) {
			if err != nil {
				return err
			}
			at, err := decodeNumber(keySeen, item.Value)
			if err != nil {
				return err
			}
			if name := names.accounts[store.AccountID(stampAt(item.Key))]; name != "" {
				list = append(list, Seen{name, time.Unix(int64(at), 0).UTC()})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("finding who saw alert %s: %w", id, err)
	}
	return list, nil
}

// forgetSeen clears away who saw an alert that was removed.
func (a *Alerts) forgetSeen(ctx context.Context, id ID) error {
	for {
		var keys [][]byte
		err := a.store.View(ctx, func(r *store.Snapshot) (err error) {
			keys, err = appendSeen(r, id, nil)
			return err
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := a.clear(ctx, keys); err != nil {
			return err
		}
	}
}

// SeenBy returns how many accounts were shown an alert for a domain or for the
// server.
func (a *Alerts) SeenBy(ctx context.Context, id ID) (n int, err error) {
	err = a.store.View(ctx, func(r *store.Snapshot) (err error) {
		n, err = count(r, seenPrefix(id))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("counting who saw alert %s: %w", id, err)
	}
	return n, nil
}
