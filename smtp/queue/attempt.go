package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tripost/store"
)

// state is what one attempt made of one recipient.
type state uint8

const (
	delivered state = iota + 1 // the peer has taken it
	deferred                   // to be tried again
	failed                     // the sender gets it back
	stored                     // delivered here
	expanded                   // a list, passed on to its members
)

// result is what one attempt made of one recipient, and why.
type result struct {
	recipient recipient
	state     state
	enhanced  string // RFC 3463, "5.1.1"
	reply     string // the peer's reply, or our own reason, in one line
	remote    bool   // reply is the peer's
	relayed   bool   // delivered to a peer that sends no reports (RFC 3461)
}

// attempt is one try to send a message to one destination, after the fact.
type attempt struct {
	id             uint64
	name           string // of the destination
	when           time.Time
	via            string // the peer: "mx.company.test [192.0.2.7]"
	secured        string // how the connection was secured; empty: there was none
	results        []result
	administrative bool // not a try at all: somebody decided
	cut            bool // the peer takes the others over a further connection only
}

// goesOn tells that the same attempt goes on over another connection, at once, with
// those who have no result.
func (a *attempt) goesOn() bool {
	return a.cut && len(a.results) > 0 && !slices.ContainsFunc(a.results, func(r result) bool { return r.state == deferred })
}

// settle records what an attempt has brought, with the reports that it makes
// necessary, in one transaction. ErrNoItem: the message was removed while the
// attempt was under way.
func (q *Queue) settle(ctx context.Context, a *attempt) error {
	m, d, err := q.load(ctx, a.id, a.name)
	if err != nil {
		return err
	}
	if !a.when.Before(m.created.Add(q.o.ExpireAfter)) {
		a.expire()
	}
	reports, warned := q.reports(ctx, m, d, a)
	defer closeAll(reports)

	err = q.commit(ctx, q.outcome(a, reports, warned), reports...)
	if isRefusal(err) && len(reports) > 0 {
		q.giveUpReport(m, a, err)
		closeAll(reports)
		reports = nil
		err = q.store.Update(ctx, q.outcome(a, nil, warned))
	}
	if err != nil {
		return fmt.Errorf("record attempt of %d to %q: %w", a.id, a.name, err)
	}
	q.log.attempted(m, d, a)
	for _, p := range reports {
		q.entered(p)
	}
	return nil
}

// load reads a message and one of its destinations.
func (q *Queue) load(ctx context.Context, id uint64, name string) (m *message, d *destination, err error) {
	err = q.store.View(ctx, func(r *store.Snapshot) (err error) {
		if m, err = getMessage(r, id); err == nil {
			d, err = getDestination(r, id, name)
		}
		return err
	})
	return m, d, err
}

// expire gives up what is still deferred (RFC 3463: 4.4.7).
func (a *attempt) expire() {
	for i := range a.results {
		if r := &a.results[i]; r.state == deferred {
			r.state, r.enhanced = failed, "4.4.7"
		}
	}
}

// outcome is the transaction. It may run more than once.
func (q *Queue) outcome(a *attempt, reports []*parcel, warned bool) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		d, err := takeDestination(tx, a.id, a.name)
		if err != nil {
			return err
		}
		d.apply(a)
		d.secured = a.secured
		d.warned = d.warned || warned
		if len(d.recipients) == 0 {
			err = removeDestination(tx, d)
		} else {
			d.next = a.when
			if !a.goesOn() {
				d.next = a.when.Add(q.pause(d.attempts))
			}
			putDestination(tx, d)
		}
		for _, p := range reports {
			if err == nil {
				err = p.record(tx)
			}
		}
		if err == nil {
			err = q.remember(tx, d, a)
		}
		return err
	}
}

// apply leaves the recipients that are deferred, or that the attempt did not
// reach.
func (d *destination) apply(a *attempt) {
	results := make(map[string]*result, len(a.results))
	for i := range a.results {
		results[a.results[i].recipient.address] = &a.results[i]
	}
	var left []recipient
	for _, r := range d.recipients {
		res := results[r.address]
		switch {
		case res == nil:
			left = append(left, r)
		case res.state == deferred:
			r.reply = res.reply
			d.lastError = res.reply
			left = append(left, r)
		}
	}
	d.recipients = left
	if !a.administrative && !a.goesOn() {
		d.attempts++
		d.tried, d.hurry = a.when, false
	}
}

// pause returns how long to wait after so many attempts.
func (q *Queue) pause(attempts int) time.Duration {
	i := min(max(attempts-1, 0), len(q.o.Retry)-1)
	return q.o.Retry[i]
}

// reports makes the messages to the sender that the attempt calls for. Where a
// failure cannot be reported now, its recipients are deferred instead, so that
// the sender hears of it later.
func (q *Queue) reports(ctx context.Context, m *message, d *destination, a *attempt) (made []*parcel, warned bool) {
	if m.from == "" {
		return nil, false // never a report about a report: RFC 5321 section 6.1
	}
	if some := wanted(a.results, failed); len(some) > 0 {
		p, err := q.reportWith(ctx, m, a, some)
		if err != nil {
			q.giveUpReport(m, a, err)
		} else {
			made = append(made, p)
		}
	}
	if some := wanted(a.results, delivered); len(some) > 0 {
		p, err := q.reportWith(ctx, m, a, some)
		if err != nil {
			q.log.reportLost(a.id, m.from, err)
		} else {
			made = append(made, p)
		}
	}
	late := q.o.WarnAfter > 0 && !d.warned && !a.when.Before(m.created.Add(q.o.WarnAfter))
	if some := wanted(a.results, deferred); late && len(some) > 0 {
		p, err := q.reportWith(ctx, m, a, some)
		if err != nil {
			q.log.reportLost(a.id, m.from, err)
			return made, isRefusal(err)
		}
		return append(made, p), true
	}
	return made, false
}

// wanted returns the results of one kind of which the sender wants to hear.
func wanted(all []result, s state) []result {
	of := NotifySuccess
	switch s {
	case failed:
		of = NotifyFailure
	case deferred:
		of = NotifyDelay
	}
	var some []result
	for _, r := range all {
		if r.state == s && r.recipient.notify.wants(of) && (s != delivered || r.relayed) {
			some = append(some, r)
		}
	}
	return some
}

// giveUpReport decides what becomes of failures that cannot be reported. Where
// that may pass, the recipients stay in the queue, and the report is tried with
// the next attempt; for as long again as they were tried.
func (q *Queue) giveUpReport(m *message, a *attempt, err error) {
	var refused *RecipientError
	lost := errors.Is(err, ErrTooLong) || errors.As(err, &refused) && !refused.Temporary() ||
		len(wanted(a.results, failed)) == 0
	if lost || !a.when.Before(m.created.Add(2*q.o.ExpireAfter)) {
		q.log.reportLost(a.id, m.from, err)
		return
	}
	q.log.reportPostponed(a.id, m.from, err)
	a.postpone()
}

// postpone keeps failed recipients in the queue.
func (a *attempt) postpone() {
	for i := range a.results {
		if a.results[i].state == failed {
			a.results[i].state = deferred
		}
	}
}

// isRefusal tells that a report was refused, not that it could not be recorded.
func isRefusal(err error) bool {
	var refused *RecipientError
	return errors.As(err, &refused) || errors.Is(err, ErrTooLong)
}

func closeAll(reports []*parcel) {
	for _, p := range reports {
		p.close()
	}
}
