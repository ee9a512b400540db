package queue

import (
	"context"
	"errors"
	"fmt"

	"tripost/accounts"
	"tripost/router"
	"tripost/rules"
	"tripost/store"
)

// What a recipient is accepted for, as the reply to RCPT says it.
const (
	whyLocal    = "will be delivered here"
	whyList     = "will be passed on to its members"
	whyDiscard  = "accepted"
	whySignedIn = "will relay mail for a signed-in user"
	whyClient   = "will relay mail from a client address"
	whyRoute    = "will be passed on by a rule of this server"
)

// Check routes one recipient for a source, without a message: it is the answer
// to RCPT. why says on what ground the address is taken. A refusal is a
// [*RecipientError]; any other error means that the answer could not be found
// now, which is temporary.
func (q *Queue) Check(ctx context.Context, addr string, src Source) (res router.Result, why string, err error) {
	res, err = q.route(ctx, addr)
	if err != nil {
		return res, "", err
	}
	if why, err = q.admit(ctx, addr, &res, &src); err != nil {
		return res, "", err
	}
	if res.Kind == router.Local {
		err = q.room(ctx, addr, &res, src.Size)
	}
	return res, why, err
}

func (q *Queue) route(ctx context.Context, addr string) (router.Result, error) {
	res, err := q.router.Route(ctx, addr, router.ForMail, false)
	if err != nil {
		return res, fmt.Errorf("route %q: %w", addr, err)
	}
	return res, nil
}

// admit decides whether this source may send to where the address leads.
func (q *Queue) admit(ctx context.Context, addr string, res *router.Result, src *Source) (why string, err error) {
	switch res.Kind {
	case router.Refused:
		return "", refused(addr, res)
	case router.Local, router.List, router.Discard, router.Remote:
	default:
		return "", fmt.Errorf("route %q: no result", addr)
	}
	if res.Relay {
		return q.mayRelay(ctx, addr, src)
	}
	switch res.Kind {
	case router.Local:
		return whyLocal, nil
	case router.List:
		return whyList, q.maySendTo(ctx, addr, res, src)
	case router.Discard:
		return whyDiscard, nil
	default:
		return whyRoute, nil
	}
}

// refused turns the router's refusal into the error of a recipient.
func refused(addr string, res *router.Result) *RecipientError {
	e := &RecipientError{Address: addr, Code: res.Code, Enhanced: res.Enhanced, Reason: res.Reason}
	if e.Code < 400 || e.Code > 599 {
		if e.Code = 550; res.Temporary {
			e.Code = 451
		}
	}
	if e.Enhanced == "" {
		if e.Enhanced = "5.1.1"; e.Code < 500 {
			e.Enhanced = "4.3.0"
		}
	}
	if e.Reason == "" {
		e.Reason = "no such recipient"
	}
	return e
}

// mayRelay decides who may send to the outside: signed-in users whose account
// and domain have the service, and client addresses.
func (q *Queue) mayRelay(ctx context.Context, addr string, src *Source) (why string, err error) {
	switch {
	case src.Internal:
		return whyRoute, nil
	case src.Account != nil:
		return q.mayUserRelay(ctx, addr, src.Account)
	case src.Client:
		return whyClient, nil
	default:
		return "", &RecipientError{Address: addr, Code: 550, Enhanced: "5.7.1",
			Reason: "not a recipient of this server; sign in to send to other hosts"}
	}
}

// maySendTo refuses who may not send to a list. What the server itself sends
// always may.
func (q *Queue) maySendTo(ctx context.Context, addr string, res *router.Result, src *Source) error {
	if src.Internal {
		return nil
	}
	may, err := q.dir.MaySend(ctx, src.Account, res.List, res.Senders)
	if err != nil {
		return fmt.Errorf("who may send to %q: %w", addr, err)
	}
	if !may {
		return &RecipientError{Address: addr, Code: 550, Enhanced: "5.7.2", Reason: "you may not send to this list"}
	}
	return nil
}

// mayUserRelay looks the account up again: a session may last longer than the
// right to send, and a locked account must stop sending at once.
func (q *Queue) mayUserRelay(ctx context.Context, addr string, a *accounts.Account) (why string, err error) {
	now, err := q.dir.AccountByID(ctx, a.ID)
	var d accounts.Domain
	if err == nil {
		d, err = q.dir.Domain(ctx, now.Domain)
	}
	gone := errors.Is(err, accounts.ErrNoAccount) || errors.Is(err, accounts.ErrNoDomain)
	if err != nil && !gone {
		return "", fmt.Errorf("services of %q: %w", a.Address(), err)
	}
	if gone || now.Locked || !q.dir.Services(now, d).Has(accounts.Relay) {
		return "", &RecipientError{Address: addr, Code: 550, Enhanced: "5.7.1",
			Reason: "this account may not send to other hosts"}
	}
	return whySignedIn, nil
}

// room refuses a local recipient whose quota does not allow another message of
// that size, so that the others of the message need not wait for that mailbox. An
// account whose rules keep no copy needs no room, nor does mail for the postmaster.
func (q *Queue) room(ctx context.Context, addr string, res *router.Result, size int64) error {
	full, passes := false, false
	err := q.store.View(ctx, func(r *store.Snapshot) error {
		octets, messages, err := r.Room(res.Account.ID)
		if err != nil {
			return err
		}
		full = !res.Role && (octets < max(size, 1) || messages < 1)
		if !full || q.o.Rules == nil {
			return nil
		}
		list, err := q.o.Rules.Of(r, res.Account.ID)
		passes = rules.LeavesNothing(list, addr, q.o.Now())
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("quota of %q: %w", res.Account.Address(), err)
	case !full:
		q.crowded.hasRoom(res.Account.ID)
	case !passes:
		return q.crowded.refusal(res.Account.ID, addr)
	}
	return nil
}

func overQuota(addr string) *RecipientError {
	return &RecipientError{Address: addr, Code: 452, Enhanced: "4.2.2",
		Reason: "the mailbox is over its quota", Err: store.ErrOverQuota}
}
