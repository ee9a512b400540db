package admin

import (
	"context"
	"errors"
	"iter"
	"time"
)

// ErrNoItem is returned for a queue id that is not in the queue.
var ErrNoItem = errors.New("no such message in the queue")

// Queue is what the operations need of the outbound queue. Identifiers that
// are not there give an error that matches [ErrNoItem].
type Queue interface {
	Items(ctx context.Context) iter.Seq2[QueueItem, error]
	Item(ctx context.Context, id string) (QueueItem, error)
	Retry(ctx context.Context, id string) error
	Hold(ctx context.Context, id string, on bool) error
	Bounce(ctx context.Context, id string) error
	Drop(ctx context.Context, id string) error
}

// QueueItem is a queued message as commands show it.
type QueueItem struct {
	ID         string           `json:"id"`
	From       string           `json:"from"` // reverse-path, empty for the null one
	Recipients []QueueRecipient `json:"recipients"`
	Size       int64            `json:"size"`
	Created    time.Time        `json:"created"`
	Next       time.Time        `json:"next,omitzero"` // of the next attempt
	Attempts   int              `json:"attempts"`
	Held       bool             `json:"held,omitempty"`
	LastError  string           `json:"last_error,omitempty"`
}

// QueueRecipient is one recipient that waits or has failed.
type QueueRecipient struct {
	Address string `json:"address"`
	Host    string `json:"host"`
	Status  string `json:"status,omitempty"`
}

// QueueRequest names a message in the queue.
type QueueRequest struct {
	ID string `json:"id"`
}

// maxListed bounds what one queue listing returns.
const maxListed = 10_000

// QueueList lists the queue, at most 10,000 messages of it.
func (a *API) QueueList(ctx context.Context, _ None) ([]QueueItem, error) {
	list := []QueueItem{}
	for item, err := range a.Queue.Items(ctx) {
		if err != nil {
			return nil, err
		}
		if list = append(list, item); len(list) == maxListed {
			break
		}
	}
	return list, nil
}

// QueueShow shows one message.
func (a *API) QueueShow(ctx context.Context, q QueueRequest) (QueueItem, error) {
	return a.Queue.Item(ctx, q.ID)
}

// QueueRetry makes a message due now.
func (a *API) QueueRetry(ctx context.Context, q QueueRequest) (None, error) {
	return None{}, a.Queue.Retry(ctx, q.ID)
}

// QueueHold keeps a message from being sent until it is released.
func (a *API) QueueHold(ctx context.Context, q QueueRequest) (None, error) {
	return None{}, a.Queue.Hold(ctx, q.ID, true)
}

// QueueRelease lets a held message go.
func (a *API) QueueRelease(ctx context.Context, q QueueRequest) (None, error) {
	return None{}, a.Queue.Hold(ctx, q.ID, false)
}

// QueueBounce gives up on a message and tells its sender.
func (a *API) QueueBounce(ctx context.Context, q QueueRequest) (None, error) {
	return None{}, a.Queue.Bounce(ctx, q.ID)
}

// QueueDrop removes a message and tells nobody.
func (a *API) QueueDrop(ctx context.Context, q QueueRequest) (None, error) {
	return None{}, a.Queue.Drop(ctx, q.ID)
}
