package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
)

// damaged is a store that is not checked in the end.
func damaged(t *testing.T, o store.Options) (*store.Store, engine.Engine) {
	t.Helper()
	e, err := local.Open(t.TempDir(), local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(ctx, e, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, e
}

// spoil cuts the first value after a prefix short.
func spoil(t *testing.T, e engine.Engine, prefix ...byte) {
	t.Helper()
	err := e.Update(ctx, func(tx engine.Tx) error {
		for item, err := range tx.Range(prefix, nil) {
			if err != nil {
				return err
			}
			key, value := append([]byte(nil), item.Key...), append([]byte(nil), item.Value[:1]...)
			tx.Put(key, value)
			return nil
		}
		return errors.New("there is none")
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What is damaged in one account must not keep the others from being tidied.
func TestTidyGoesOnPastDamage(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, e := damaged(t, store.Options{Undelete: time.Hour, Now: c.now})
	var ids []store.Identity
	for i := range 3 {
		ids = append(ids, newAccount(t, s, fmt.Sprint("user", i)))
	}
	for _, id := range ids {
		appendTo(t, s, id, box(id, "INBOX"), mail("x"), store.FlagSet{})
		if _, err := openView(t, s, id, box(id, "INBOX")).Expunge(ctx, uids(1), true); err != nil {
			t.Fatal(err)
		}
	}
	// The first has a trash record that cannot be read, and all lose a mailbox
	// with their account's whole contents: the second's cannot be read.
	spoil(t, e, 'A', 0, 0, 0, 0, 0, 0, 0, 1, 5)
	for _, id := range ids[1:] {
		appendTo(t, s, id, box(id, "INBOX"), mail("y"), store.FlagSet{})
	}
	spoil(t, e, 'A', 0, 0, 0, 0, 0, 0, 0, 2, 0x10, 0, 0, 0, 1, 1)
	for _, id := range ids[1:] {
		if err := s.Update(ctx, func(tx *store.Tx) error { return tx.RemoveAccount(id.Account) }); err != nil {
			t.Fatal(err)
		}
	}
	c.pass(2 * time.Hour)
	for range 2 { // what the first clears away, the second purges
		if err := s.Tidy(ctx); !errors.Is(err, engine.ErrDamaged) {
			t.Errorf("tidying a damaged store: %v", err)
		}
	}
	if _, text := trash(t, s, ids[1].Account); text != "" {
		t.Errorf("the second account still has %q", text)
	}
	prefix := []byte{'A', 0, 0, 0, 0, 0, 0, 0, 3}
	err := e.View(ctx, func(r engine.Reader) error {
		for item, err := range r.Range(prefix, []byte{'B'}) {
			if err != nil {
				return err
			}
			t.Errorf("the third account still has key %x", item.Key)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A body that is gone though a message has it: the message keeps its place, and
// goes like any other when its time comes.
func TestLostBody(t *testing.T) {
	t.Parallel()
	c := newClock()
	s, _ := damaged(t, store.Options{Undelete: time.Hour, Now: c.now})
	ann, v := withLostBody(t, s)
	if _, err := v.OpenBody(ctx, 2); !errors.Is(err, engine.ErrDamaged) || errors.Is(err, store.ErrNoMessage) {
		t.Errorf("opening it: %v", err)
	}
	if changes := refresh(t, v, false); len(changes.Expunged) > 0 {
		t.Errorf("told to be expunged: %v", changes.Expunged)
	}
	equal(t, "view", show(v), "1 2 3")
	if _, err := v.Expunge(ctx, uids(1, 2, 3), true); err != nil {
		t.Fatal(err)
	}
	items, _ := trash(t, s, ann.Account)
	if n, err := s.Restore(ctx, ann.Account, items); err != nil || n != 2 {
		t.Errorf("%d restored, %v", n, err)
	}
	c.pass(2 * time.Hour)
	if err := s.Tidy(ctx); err != nil {
		t.Errorf("tidying: %v", err)
	}
	if _, text := trash(t, s, ann.Account); text != "" {
		t.Errorf("still to be restored: %q", text)
	}
}

func TestLostBodyWithoutUndelete(t *testing.T) {
	t.Parallel()
	s, _ := damaged(t, store.Options{})
	_, v := withLostBody(t, s)
	if gone, err := v.Expunge(ctx, uids(1, 2, 3), true); err != nil || gone.Count() != 3 {
		t.Errorf("%v expunged, %v", gone, err)
	}
}

// withLostBody makes an account with three messages, of which the second has
// lost its body.
func withLostBody(t *testing.T, s *store.Store) (store.Identity, *store.View) {
	t.Helper()
	ann := newAccount(t, s, "ann")
	for range 3 {
		appendTo(t, s, ann, box(ann, "INBOX"), mail("x"), store.FlagSet{})
	}
	v := openView(t, s, ann, box(ann, "INBOX"))
	refresh(t, v, false)
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.Drop(v.At(2).Body) }); err != nil {
		t.Fatal(err)
	}
	return ann, v
}
