package queue

import (
	"errors"
	"fmt"
	"slices"

	"tripost/accounts"
	"tripost/rules"
	"tripost/store"
)

// rulesOf returns the rules of an account that count now.
func (q *Queue) rulesOf(r *store.Snapshot, id store.AccountID) ([]rules.Rule, error) {
	list, err := q.o.Rules.Of(r, id)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if stopped, err := q.suspended(r, id); err != nil || stopped {
		return nil, err
	}
	return list, nil
}

// suspendedError says that an account was found to be in wrong hands after its
// rules were looked at.
type suspendedError struct{ account store.AccountID }

func (e *suspendedError) Error() string { return "the rules of the account are suspended" }

// suspended tells whether nothing is done that an account's rules ask for: who has
// its password may have made them.
func (q *Queue) suspended(r *store.Snapshot, id store.AccountID) (bool, error) {
	now, err := q.dir.In(r).AccountByID(id)
	if errors.Is(err, accounts.ErrNoAccount) {
		return false, nil // the delivery fails by itself
	}
	if err != nil {
		return false, fmt.Errorf("account %d: %w", id, err)
	}
	return now.Compromised, nil
}

// stillRules asks the same within the transaction that records what rules send:
// it was recorded before they were suspended, or never is.
func (q *Queue) stillRules(tx *store.Tx, c *copyTo) error {
	stopped, err := q.suspended(&tx.Snapshot, c.account.ID)
	if err == nil && stopped {
		err = &suspendedError{c.account.ID}
	}
	return err
}

// suspend takes out what the rules of an account send. The account gets what it
// would have forwarded.
func (p *parcel) suspend(id store.AccountID) {
	for _, r := range p.reports {
		r.suspend(id)
	}
	for _, g := range p.groups {
		g.suspend(id)
	}
	p.rules.replies = slices.DeleteFunc(p.rules.replies, func(r *reply) bool {
		stopped := r.by.account.ID == id
		if stopped {
			r.close()
		} else {
			r.suspend(id)
		}
		return stopped
	})
	var back []copyTo
	p.rules.forwards = slices.DeleteFunc(p.rules.forwards, func(f *forwarded) bool {
		stopped := f.origin.account.ID == id
		if stopped {
			f.close()
			back = append(back, f.origin)
		} else {
			f.suspend(id)
		}
		return stopped
	})
	for _, c := range back {
		p.giveBack(c)
	}
}
