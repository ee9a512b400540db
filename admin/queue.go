package admin

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"
)

// ErrNoItem is returned for a queue id that is not in the queue.
var ErrNoItem = errors.New("no such message in the queue")

// Queue is what the operations need of the outbound queue. Identifiers that
// are not there give an error that matches [ErrNoItem].
type Queue interface {
	Items(ctx context.Context) iter.Seq2[QueueItem, error]
	Item(ctx context.Context, id string) (QueueItem, error)
	// Steer carries out an order (retry, hold, release, reroute, bounce,
	// drop) and returns what it was about.
	Steer(ctx context.Context, order string, q QueueRequest) (QueueCount, error)
}

// QueueItem is a queued message as commands show it.
type QueueItem struct {
	ID         string           `json:"id"`
	From       string           `json:"from"`              // reverse-path, empty for the null one
	Account    string           `json:"account,omitempty"` // that submitted it
	Recipients []QueueRecipient `json:"recipients"`
	Size       int64            `json:"size"`
	Created    time.Time        `json:"created"`
	Next       time.Time        `json:"next,omitzero"` // of the next attempt
	Attempts   int              `json:"attempts"`
	Held       bool             `json:"held,omitempty"`
	LastError  string           `json:"last_error,omitempty"`
	Secured    string           `json:"secured,omitempty"` // how the last connection was secured: "TLS 1.3, DANE", "clear"
}

// QueueRecipient is one recipient that waits or has failed.
type QueueRecipient struct {
	Address string `json:"address"`
	Host    string `json:"host"`
	Status  string `json:"status,omitempty"`
}

// QueueRequest selects messages in the queue: by id, or all of a sender, or all
// that waits for a domain.
type QueueRequest struct {
	ID     string `json:"id,omitempty"`
	Sender string `json:"sender,omitempty"` // reverse-path or submitting account, without a domain one of the Main Domain; "@domain": all of them; "<>": the null one
	Domain string `json:"domain,omitempty"` // what of the messages goes there
	Host   string `json:"host,omitempty"`   // of an order to reroute: where to, "host" or "host:port"
}

// QueueCount tells what an order was about.
type QueueCount struct {
	Messages int `json:"messages"`
	Held     int `json:"held,omitempty"` // of which something is held, so that it was not retried or sent elsewhere
}

// maxListed bounds what one queue listing returns.
const maxListed = 10_000

// QueueList lists the queue, or what of it is selected, at most 10,000 messages.
func (a *API) QueueList(ctx context.Context, q QueueRequest) ([]QueueItem, error) {
	list := []QueueItem{}
	if err := a.completeSender(ctx, &q); err != nil {
		return nil, err
	}
	for item, err := range a.Queue.Items(ctx) {
		if err != nil {
			return nil, err
		}
		if !q.selects(&item) {
			continue
		}
		if list = append(list, item); len(list) == maxListed {
			break
		}
	}
	return list, nil
}

// completeSender gives a sender without a domain the address of the account of that
// name.
func (a *API) completeSender(ctx context.Context, q *QueueRequest) error {
	if q.Sender == "" || q.Sender == "<>" || strings.Contains(q.Sender, "@") {
		return nil
	}
	acc, err := a.Directory.Account(ctx, q.Sender)
	q.Sender = acc.Address()
	return err
}

// selects tells whether a listing shows an item.
func (q *QueueRequest) selects(item *QueueItem) bool {
	if q.ID != "" && item.ID != q.ID {
		return false
	}
	if q.Sender != "" && !isSender(item.From, q.Sender) && (item.Account == "" || !isSender(item.Account, q.Sender)) {
		return false
	}
	domain := strings.TrimSuffix(q.Domain, ".")
	return domain == "" || slices.ContainsFunc(item.Recipients, func(r QueueRecipient) bool {
		return strings.EqualFold(r.Host, domain)
	})
}

// isSender compares an address with a sender as a request gives it.
func isSender(addr, sender string) bool {
	addr = strings.ToLower(addr)
	sender = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(sender, "<"), ">"))
	return addr == sender || strings.HasPrefix(sender, "@") && strings.HasSuffix(addr, sender)
}

// QueueShow shows one message.
func (a *API) QueueShow(ctx context.Context, q QueueRequest) (QueueItem, error) {
	return a.Queue.Item(ctx, q.ID)
}

// queueOrder returns the operation that carries out one order.
func (a *API) queueOrder(order string) func(context.Context, QueueRequest) (QueueCount, error) {
	return func(ctx context.Context, q QueueRequest) (QueueCount, error) {
		given := 0
		for _, s := range []string{q.ID, q.Sender, q.Domain} {
			if s != "" {
				given++
			}
		}
		switch {
		case given > 1:
			return QueueCount{}, refuse("one of id, sender and domain is enough")
		case order == "reroute" && q.Host == "":
			return QueueCount{}, refuse("the host is missing")
		}
		if err := a.completeSender(ctx, &q); err != nil {
			return QueueCount{}, err
		}
		return a.Queue.Steer(ctx, order, q)
	}
}
