package alerts

import (
	"context"
	"fmt"
	"time"

	"tripost/accounts"
	"tripost/store"
)

// Post makes an alert. Sessions that watch hear of it before Post returns.
// ErrBadText, ErrTooMany, and the errors of the directory for a target that is
// not there.
func (a *Alerts) Post(ctx context.Context, t Target, text string) (Alert, error) {
	p, err := a.address(ctx, &t)
	if err == nil {
		p.text, err = oneLine(text)
	}
	if err != nil {
		return Alert{}, fmt.Errorf("posting an alert for %s: %w", t, err)
	}
	return a.write(ctx, t, p)
}

// Notify is Post by the server itself: to an account known by its id, with a
// text that is cut where it is too long, since it may hold what others chose.
func (a *Alerts) Notify(ctx context.Context, id store.AccountID, text string) error {
	acct, err := a.directory.AccountByID(ctx, id)
	p := posted{scope: Account, account: id}
	if err == nil {
		p.text, err = oneLine(shorten(text))
	}
	if err != nil {
		return fmt.Errorf("posting an alert for account %d: %w", id, err)
	}
	_, err = a.write(ctx, Target{Account, acct.Address()}, p)
	return err
}

// write clears away what removed accounts left, and writes an alert.
func (a *Alerts) write(ctx context.Context, t Target, p posted) (Alert, error) {
	newest, err := a.sweep(ctx)
	var id ID
	if err == nil {
		now := a.o.Now()
		err = a.store.Update(ctx, func(tx *store.Tx) (err error) {
			id, err = a.post(tx, &p, newest, now)
			return err
		})
	}
	if err != nil {
		return Alert{}, fmt.Errorf("posting an alert for %s: %w", t, err)
	}
	alert := Alert{ID: id, Target: t, Text: p.text}
	a.logPosted(alert)
	return alert, nil
}

// address finds whom a target names, and makes its name canonical.
func (a *Alerts) address(ctx context.Context, t *Target) (p posted, err error) {
	p.scope = t.Scope
	switch t.Scope {
	case Server:
		t.Name = ""
	case Domain:
		var d accounts.Domain
		if d, err = a.directory.Domain(ctx, t.Name); err == nil {
			p.domain, p.made, t.Name = d.Name, d.Created.Unix(), d.Name
		}
	case Account:
		var acct accounts.Account
		if acct, err = a.directory.Account(ctx, t.Name); err == nil {
			p.account, t.Name = acct.ID, acct.Address()
		}
	default:
		err = fmt.Errorf("scope %d cannot be posted to", t.Scope)
	}
	return p, err
}

// post writes an alert. Of a domain or the server, the accounts up to newest
// are shown it.
func (a *Alerts) post(tx *store.Tx, p *posted, newest store.AccountID, now time.Time) (ID, error) {
	prefix := p.prefix()
	n, err := count(&tx.Snapshot, prefix)
	if err == nil && n >= a.o.Limit {
		err = fmt.Errorf("%w: there are %d, remove some first", ErrTooMany, n)
	}
	if err != nil {
		return 0, err
	}
	last, err := readNumber(&tx.Snapshot, keyLast)
	if err != nil {
		return 0, err
	}
	stamp := max(uint64(max(now.UnixMicro(), 0)), last+1)
	put(tx, []byte{keyLast}, encodeNumber(stamp))
	put(tx, postedKey(ID(stamp)), p.encode())
	if p.scope.wide() {
		put(tx, stampKey(prefix, stamp), encodeNumber(uint64(newest)))
		put(tx, []byte{keyBell}, encodeNumber(stamp))
		return ID(stamp), nil
	}
	put(tx, stampKey(prefix, stamp), encodeNumber(0))
	return ID(stamp), touch(tx, p.account)
}

func count(r *store.Snapshot, prefix []byte) (n int, err error) {
	for _, err := range under(r, prefix, 0) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// touch writes an account's record as it is, for those who watch it. It fails
// where the account has been removed.
func touch(tx *store.Tx, a store.AccountID) error {
	if _, err := tx.Usage(a); err != nil {
		return err
	}
	s, err := readShown(&tx.Snapshot, a)
	if err == nil {
		put(tx, shownKey(a), s.encode())
	}
	return err
}

// Remove takes an alert away: nobody is shown it any more. It returns what was
// removed. ErrNoAlert.
func (a *Alerts) Remove(ctx context.Context, id ID) (Alert, error) {
	var p posted
	err := a.store.Update(ctx, func(tx *store.Tx) (err error) {
		p, err = remove(tx, id)
		return err
	})
	if err != nil {
		return Alert{}, fmt.Errorf("removing alert %s: %w", id, err)
	}
	names, err := a.readDirectory(ctx)
	if err != nil {
		return Alert{}, fmt.Errorf("naming alert %s, which was removed: %w", id, err)
	}
	alert := Alert{ID: id, Target: names.target(&p), Text: p.text}
	a.logRemoved(alert)
	if err := a.forgetSeen(ctx, id); err != nil { // the next Post does it
		a.logLeft(alert, err)
	}
	return alert, nil
}

func remove(tx *store.Tx, id ID) (posted, error) {
	p, found, err := readPosted(&tx.Snapshot, id)
	if err != nil {
		return posted{}, err
	}
	if !found {
		return posted{}, ErrNoAlert
	}
	del(tx, postedKey(id))
	del(tx, stampKey(p.prefix(), uint64(id)))
	return p, nil
}

// List returns the alerts that are posted for the server, or for the one domain
// or account that only names, or all of them when it is nil: oldest first. What
// an account was shown is no longer among its own.
func (a *Alerts) List(ctx context.Context, only *Target) ([]Alert, error) {
	var want posted
	if only != nil {
		var err error
		t := *only
		if want, err = a.address(ctx, &t); err != nil {
			return nil, fmt.Errorf("listing the alerts for %s: %w", only, err)
		}
	}
	names, err := a.readDirectory(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing alerts: %w", err)
	}
	var list []Alert
	err = a.store.View(ctx, func(r *store.Snapshot) error {
		return eachPosted(r, func(id ID, p *posted) {
			if (only == nil || p.sameTarget(&want)) && !names.orphan(p) {
				list = append(list, Alert{ID: id, Target: names.target(p), Text: p.text})
			}
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing alerts: %w", err)
	}
	return list, nil
}

// eachPosted calls fn with every alert, oldest first.
func eachPosted(r *store.Snapshot, fn func(ID, *posted)) error {
	for item, err := range under(r, []byte{keyPosted}, 0) {
		if err != nil {
			return err
		}
		p, err := decodePosted(item.Value)
		if err != nil {
			return err
		}
		fn(ID(stampAt(item.Key)), &p)
	}
	return nil
}
