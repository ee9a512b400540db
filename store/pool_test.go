package store_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
	"tripost/store/storetest"
)

// pooled puts accounts into a new pool.
func pooled(t testing.TB, s *store.Store, ids ...store.Identity) (pool store.PoolID) {
	t.Helper()
	err := s.Update(ctx, func(tx *store.Tx) (err error) {
		pool, err = tx.CreatePool()
		for _, id := range ids {
			err = errors.Join(err, tx.SetPool(id.Account, pool))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// poolHolds compares a pool's counter, in mails of one size, and its limits.
func poolHolds(t *testing.T, s *store.Store, id store.PoolID, want string) {
	t.Helper()
	var u store.Usage
	err := s.View(ctx, func(r *store.Snapshot) (err error) {
		u, err = r.PoolUsage(id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(mail("x")))
	equal(t, "pool", fmt.Sprint(u.Octets/size, u.Messages, u.OctetLimit/size, u.MessageLimit), want)
}

// TestPool fills a pool of two accounts up to its limits, in every way that
// messages come and go.
func TestPool(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	bob, eve := newAccount(t, s, "bob"), newAccount(t, s, "eve")
	size := int64(len(mail("x")))
	appendTo(t, s, bob, box(bob, "INBOX"), mail("x"), store.FlagSet{})
	pool := pooled(t, s, ann, bob)
	quota := func(octets, messages int64) {
		t.Helper()
		if err := s.Update(ctx, func(tx *store.Tx) error { return tx.SetPoolQuota(pool, octets, messages) }); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrOverQuota) {
			t.Errorf("%s: %v", what, err)
		}
	}
	poolHolds(t, s, pool, "1 1 0 0")
	quota(3*size, 0)
	inbox := box(ann, "INBOX")
	appendTo(t, s, store.System(), inbox, mail("x"), store.FlagSet{})
	appendTo(t, s, store.System(), inbox, mail("x"), store.FlagSet{})
	poolHolds(t, s, pool, "3 3 3 0")
	_, err := tryAppend(s, store.System(), inbox, mail("x"), store.FlagSet{})
	refused("a fourth by octets", err)
	_, err = tryAppend(s, store.System(), box(bob, "INBOX"), mail("x"), store.FlagSet{})
	refused("a fourth for the other", err)
	appendTo(t, s, eve, box(eve, "INBOX"), mail("x"), store.FlagSet{})

	v := openView(t, s, store.System(), inbox)
	if _, err := v.Move(ctx, span(1, 1), box(bob, "INBOX")); err != nil {
		t.Errorf("a move within a full pool: %v", err)
	}
	_, err = v.Copy(ctx, span(2, 2), box(bob, "INBOX"))
	refused("a copy within the pool", err)
	outside := openView(t, s, store.System(), box(eve, "INBOX"))
	_, err = outside.Move(ctx, span(1, 1), inbox)
	refused("a move from outside", err)
	if _, err := v.Move(ctx, span(2, 2), box(eve, "INBOX")); err != nil {
		t.Errorf("a move out: %v", err)
	}
	poolHolds(t, s, pool, "2 2 3 0")

	quota(0, 1) // both hold more: it stays, and can be deleted
	own := openView(t, s, bob, box(bob, "INBOX"))
	if _, _, err := own.SetFlags(ctx, span(1, 2), store.FlagsAdd, store.FlagSet{System: seen}, 0); err != nil {
		t.Errorf("marking over quota: %v", err)
	}
	if _, err := own.Expunge(ctx, span(1, 2), true); err != nil {
		t.Errorf("expunging over quota: %v", err)
	}
	appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{})
	_, err = tryAppend(s, bob, box(bob, "INBOX"), mail("x"), store.FlagSet{})
	refused("a second by number", err)
	poolHolds(t, s, pool, "1 1 0 1")
}

// TestPoolFollowsAccounts counts accounts in and out: by pools that they change,
// by removal, and when they are made again.
func TestPoolFollowsAccounts(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	for _, id := range []store.Identity{ann, ann, bob} {
		appendTo(t, s, id, box(id, "INBOX"), mail("x"), store.FlagSet{})
	}
	one, two := pooled(t, s, ann, bob), pooled(t, s)
	update := func(fn func(*store.Tx) error) {
		t.Helper()
		if err := s.Update(ctx, fn); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *store.Tx) error { return tx.SetPool(ann.Account, two) })
	poolHolds(t, s, one, "1 1 0 0")
	poolHolds(t, s, two, "2 2 0 0")
	update(func(tx *store.Tx) error { return tx.RemoveAccount(ann.Account) })
	poolHolds(t, s, two, "0 0 0 0")
	update(func(tx *store.Tx) error {
		return errors.Join(tx.ReviveAccount(ann.Account), tx.SetPool(ann.Account, one))
	})
	appendTo(t, s, ann, box(ann, "INBOX"), mail("x"), store.FlagSet{})
	poolHolds(t, s, one, "2 2 0 0")
	update(func(tx *store.Tx) error { tx.RemovePool(two); return nil })
	err := s.Update(ctx, func(tx *store.Tx) error { return tx.SetPool(bob.Account, two) })
	if !errors.Is(err, store.ErrNoPool) {
		t.Errorf("a pool that is gone: %v", err)
	}
	if three := pooled(t, s); three == two {
		t.Errorf("pool %d is given out twice", two)
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	pool := pooled(t, s, ann)
	for _, c := range []struct{ octets, messages, poolOctets, poolMessages, wantOctets, wantMessages int64 }{
		{0, 0, 0, 0, math.MaxInt64, math.MaxInt64},
		{500, 0, 0, 7, 500, 7},
		{500, 5, 300, 9, 300, 5},
	} {
		var octets, messages int64
		err := s.Update(ctx, func(tx *store.Tx) (err error) {
			if err := errors.Join(tx.SetQuota(ann.Account, c.octets, c.messages), tx.SetPoolQuota(pool, c.poolOctets, c.poolMessages)); err != nil {
				return err
			}
			octets, messages, err = tx.Room(ann.Account)
			return err
		})
		if err != nil || octets != c.wantOctets || messages != c.wantMessages {
			t.Errorf("%+v: room for %d octets, %d messages, %v", c, octets, messages, err)
		}
	}
}

// TestCheckFindsPools has the check find a counter that is wrong, and a pool that
// is not there.
func TestCheckFindsPools(t *testing.T) {
	t.Parallel()
	s, e := damaged(t, store.Options{})
	ann, bob := newAccount(t, s, "ann"), newAccount(t, s, "bob")
	pooled(t, s, ann)
	pooled(t, s, bob)
	err := e.Update(ctx, func(tx engine.Tx) error {
		tx.Put([]byte{'S', 4, 0, 0, 0, 0, 0, 0, 0, 1}, []byte{1, 7, 1, 0, 0})
		tx.Delete([]byte{'S', 4, 0, 0, 0, 0, 0, 0, 0, 2})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var faults string
	_, err = s.Check(ctx, nil, func(f engine.Fault) { faults += f.Text + "\n" })
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "faults", faults, "pool 1 says 1 messages of 7 octets, its accounts hold 0 of 0\naccounts are in pool 2, which does not exist\n")
}

// TestOlderFormat opens a store of the version before there were pools.
func TestOlderFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(ctx, e, store.Options{Undelete: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ann := newAccount(t, s, "ann")
	appendTo(t, s, ann, box(ann, "INBOX"), mail("x"), store.FlagSet{})
	err = e.Update(ctx, func(tx engine.Tx) error {
		tx.Put([]byte{'S', 0}, []byte{1, 4})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = storetest.Open(t, dir, store.Options{Undelete: time.Hour})
	poolHolds(t, s, pooled(t, s, ann), "1 1 0 0")
}
