package store

import (
	"context"
	"fmt"

	"tripost/store/engine"
)

// maxSubscriptions bounds an account's subscriptions. Their names need not
// exist, so nothing else does.
const maxSubscriptions = 10000

// Subscribe puts a name on an account's subscription list or takes it off. The
// name may be another account's, and need not exist (RFC 9051 section 6.3.7).
func (s *Store) Subscribe(ctx context.Context, a AccountID, name string, on bool) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.Subscribe(a, name, on) })
}

// Subscribe is [Store.Subscribe] as part of a transaction.
func (tx *Tx) Subscribe(a AccountID, name string, on bool) error {
	name = canonicalInbox(name)
	if on && (name == "" || len(name) > maxName) {
		return fmt.Errorf("subscribing to %q: %w", name, ErrBadName)
	}
	acct, err := readAccount(tx.r, a)
	if err != nil {
		return fmt.Errorf("subscribing to %q: %w", name, err)
	}
	key := subscriptionKey(a, name)
	if !on {
		tx.tx.Delete(key)
	} else if err := tx.addSubscription(a, key); err != nil {
		return fmt.Errorf("subscribing to %q: %w", name, err)
	}
	acct.modSeq++
	tx.putAccount(a, &acct)
	return nil
}

func (tx *Tx) addSubscription(a AccountID, key []byte) error {
	if have, err := tx.r.Get(key); err != nil || have != nil {
		return err
	}
	names, err := readSubscriptions(tx.r, a)
	if err != nil {
		return err
	}
	if len(names) >= maxSubscriptions {
		return fmt.Errorf("the account has %d subscriptions: %w", len(names), ErrTooManyMailboxes)
	}
	tx.tx.Put(key, []byte{recordVersion})
	return nil
}

// Subscriptions returns an account's subscription list, ordered by octets.
func (s *Store) Subscriptions(ctx context.Context, a AccountID) (names []string, err error) {
	err = s.engine.View(ctx, func(r engine.Reader) error {
		names, err = readSubscriptions(r, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("subscriptions of account %d: %w", a, err)
	}
	return names, nil
}

func readSubscriptions(r engine.Reader, a AccountID) ([]string, error) {
	prefix := appendAccountPart(nil, a, partSubscription)
	var names []string
	for item, err := range r.Range(prefix, prefixEnd(prefix)) {
		if err != nil {
			return nil, err
		}
		names = append(names, string(item.Key[len(prefix):]))
	}
	return names, nil
}
