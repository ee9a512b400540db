package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"tripost/admin"
	"tripost/pop"
	"tripost/smtp/queue"
)

// popSubmitter gives the POP module the queue: XTND XMIT goes the way of every
// other submission, and pop need not know the queue.
type popSubmitter struct{ queue *queue.Queue }

// Submit is [pop.Submitter].
func (p popSubmitter) Submit(ctx context.Context, m pop.Submission, body io.Reader) (string, error) {
	receipt, err := p.queue.Submit(ctx, queue.Envelope{
		From:       m.From,
		Recipients: m.Recipients,
		Source: queue.Source{
			Protocol: "XMIT", Module: "POP",
			Remote: m.Remote, Account: &m.Account, Log: m.Log,
		},
		Submission: true,
		SMTPUTF8:   m.UTF8,
	}, body)
	return receipt.ID, popRefusal(err)
}

// popRefusal says of an error what a POP client may know of it.
func popRefusal(err error) error {
	var refused *queue.RecipientError
	var sender *queue.SenderError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &sender):
		return &pop.SubmitError{Permanent: true, Text: sender.Error(), Err: err}
	case errors.As(err, &refused):
		text := refused.Reason + ": <" + refused.Address + ">"
		return &pop.SubmitError{Permanent: !refused.Temporary(), Text: text, Err: err}
	case errors.Is(err, queue.ErrTooLong), errors.Is(err, queue.ErrLoop), errors.Is(err, queue.ErrNoRecipients):
		return &pop.SubmitError{Permanent: true, Text: err.Error(), Err: err}
	case errors.Is(err, queue.ErrQueueFull), errors.Is(err, queue.ErrFlow):
		return &pop.SubmitError{Text: err.Error(), Err: err}
	}
	return err
}

// adminQueue gives the administration the queue.
type adminQueue struct{ queue *queue.Queue }

// Items is [admin.Queue].
func (a adminQueue) Items(ctx context.Context) iter.Seq2[admin.QueueItem, error] {
	return func(yield func(admin.QueueItem, error) bool) {
		for item, err := range a.queue.Items(ctx) {
			if !yield(adminItem(item), err) {
				return
			}
		}
	}
}

// Item is [admin.Queue].
func (a adminQueue) Item(ctx context.Context, id string) (admin.QueueItem, error) {
	item, err := a.queue.Item(ctx, id)
	return adminItem(item), adminQueueError(err)
}

// Steer is [admin.Queue].
func (a adminQueue) Steer(ctx context.Context, order string, q admin.QueueRequest) (admin.QueueCount, error) {
	host := queue.Host{Name: q.Host}
	if strings.Contains(q.Host, ":") {
		var err error
		if host.Name, host.Port, err = hostPort("host", q.Host); err != nil {
			return admin.QueueCount{}, &admin.Refusal{Err: err}
		}
	}
	if strings.ContainsFunc(host.Name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || len(host.Name) > 255 {
		return admin.QueueCount{}, &admin.Refusal{Err: fmt.Errorf("%q is not a host", q.Host)}
	}
	n, err := a.queue.Steer(ctx, queue.Selection{ID: q.ID, Sender: q.Sender, Domain: q.Domain}, orders[order], host)
	return admin.QueueCount(n), adminQueueError(err)
}

// orders are the words of the administration for what can be done to messages.
var orders = map[string]queue.Order{
	"retry": queue.Retry, "hold": queue.Hold, "release": queue.Release,
	"reroute": queue.Reroute, "bounce": queue.Bounce, "drop": queue.Drop,
}

func adminQueueError(err error) error {
	if errors.Is(err, queue.ErrNoItem) {
		return admin.ErrNoItem
	}
	return err
}

func adminItem(i queue.Item) admin.QueueItem {
	item := admin.QueueItem{
		ID: i.ID, From: i.From, Size: i.Size, Created: i.Created, Next: i.Next,
		Account: i.Account, Attempts: i.Attempts, Held: i.Held, LastError: i.LastError, Secured: i.Secured,
		Recipients: make([]admin.QueueRecipient, 0, len(i.Recipients)),
	}
	for _, r := range i.Recipients {
		item.Recipients = append(item.Recipients, admin.QueueRecipient(r))
	}
	return item
}
