package queue

import (
	"context"
	"errors"
	"iter"
	"time"

	"tripost/store"
)

// Item is one message that waits, as an administrator sees it.
type Item struct {
	ID         string
	From       string // reverse-path; empty: null
	Account    string // that submitted it; empty: none
	Recipients []ItemRecipient
	Size       int64     // octets that are sent
	Created    time.Time // when it was submitted
	Next       time.Time // the earliest attempt of its destinations; zero when all are held
	Attempts   int       // the most that one destination has had
	Held       bool      // some destination is held
	LastError  string    // of the latest attempt that failed
	Secured    string    // how its connection was secured: "TLS 1.3, DANE", "clear"; empty: there was none
}

// ItemRecipient is one address that has not yet got the message.
type ItemRecipient struct {
	Address string
	Host    string // the domain or host it is sent to
	Status  string // "queued", "held", or the peer's last reply to it
}

// pageSize is how many messages one transaction of a listing reads.
const pageSize = 256

// Items yields what waits, in the order of submission. It reads in pages, so a
// long listing holds up nobody and may miss what changes meanwhile.
func (q *Queue) Items(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		from := []byte{keyMessage}
		for from != nil {
			var page []Item
			err := q.store.View(ctx, func(r *store.Snapshot) (err error) {
				page, from, err = readPage(r, from)
				return err
			})
			if err != nil {
				yield(Item{}, err)
				return
			}
			for _, it := range page {
				if !yield(it, nil) {
					return
				}
			}
		}
	}
}

// readPage reads messages beginning at a key and returns where the next page
// begins; nil: nowhere.
func readPage(r *store.Snapshot, from []byte) (page []Item, next []byte, err error) {
	for it, err := range r.Range(store.SpaceQueue, from, []byte{keyMessage + 1}) {
		if err != nil {
			return nil, nil, err
		}
		id, err := idOf(it.Key)
		if err != nil {
			return nil, nil, err
		}
		if len(page) == pageSize {
			return page, messageKey(id), nil
		}
		one, err := readItem(r, id, it.Value)
		if err != nil {
			return nil, nil, err
		}
		page = append(page, one)
	}
	return page, nil, nil
}

// readItem reads one message. What cannot be read is listed as such, and keeps
// nobody from seeing the others.
func readItem(r *store.Snapshot, id uint64, record []byte) (Item, error) {
	m, err := decodeMessage(id, record)
	var dests []*destination
	if err == nil {
		dests, err = destinations(r, id)
	}
	if errors.Is(err, errRecord) {
		return Item{ID: formatID(id), LastError: err.Error()}, nil
	}
	if err != nil {
		return Item{}, err
	}
	return item(m, dests), nil
}

func item(m *message, dests []*destination) Item {
	it := Item{ID: formatID(m.id), From: m.from, Account: m.account, Size: m.size, Created: m.created}
	var tried time.Time
	for _, d := range dests {
		it.Attempts = max(it.Attempts, d.attempts)
		if d.held {
			it.Held = true
		} else if it.Next.IsZero() || d.next.Before(it.Next) {
			it.Next = d.next
		}
		if d.lastError != "" && !d.tried.Before(tried) {
			it.LastError, it.Secured, tried = d.lastError, d.secured, d.tried
		}
		for _, r := range d.recipients {
			it.Recipients = append(it.Recipients, ItemRecipient{Address: r.address, Host: d.host, Status: d.status(&r)})
		}
	}
	return it
}

func (d *destination) status(r *recipient) string {
	switch {
	case d.held:
		return "held"
	case r.reply != "":
		return r.reply
	case d.lastError != "":
		return d.lastError
	default:
		return "queued"
	}
}

// Item returns one message that waits, or ErrNoItem.
func (q *Queue) Item(ctx context.Context, id string) (it Item, err error) {
	n, err := parseID(id)
	if err != nil {
		return it, err
	}
	err = q.store.View(ctx, func(r *store.Snapshot) error {
		m, err := getMessage(r, n)
		if err != nil {
			return err
		}
		dests, err := destinations(r, n)
		if err == nil {
			it = item(m, dests)
		}
		return err
	})
	return it, err
}

// Bodies yields every body to which the queue holds a reference, for the check
// of the store.
func Bodies(r *store.Snapshot) iter.Seq2[store.Body, error] {
	return func(yield func(store.Body, error) bool) {
		for it, err := range r.Range(store.SpaceQueue, []byte{keyMessage}, []byte{keyMessage + 1}) {
			var m *message
			if err == nil {
				m, err = decodeKeyed(it.Key, it.Value)
			}
			if err != nil {
				yield(0, err)
				return
			}
			if !yield(m.body, nil) {
				return
			}
		}
	}
}

func decodeKeyed(key, value []byte) (*message, error) {
	id, err := idOf(key)
	if err != nil {
		return nil, err
	}
	return decodeMessage(id, value)
}
