package rules

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/store"
	"tripost/store/storetest"
)

// world is a store with the account ann, and a clock that the test sets.
type world struct {
	*Rules
	t   *testing.T
	ctx context.Context
	ann accounts.Account
	now time.Time
}

func newWorld(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), now: time.Unix(1_800_000_000, 0)}
	clock := func() time.Time { return w.now }
	st := storetest.Open(t, t.TempDir(), store.Options{Now: clock, Undelete: 14 * 24 * time.Hour})
	dir := accounts.New(st, accounts.Options{Now: clock})
	_, err := dir.AddDomain(w.ctx, "company.test")
	must(t, err)
	w.ann, err = dir.AddAccount(w.ctx, "ann", "")
	must(t, err)
	o.Now = clock
	w.Rules = New(st, dir, o)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) rules() []Rule {
	w.t.Helper()
	list, err := w.List(w.ctx, "ann")
	must(w.t, err)
	return list
}

// answer asks whether a sender is answered.
func (w *world) answer(sender string, reply *Action) (ok bool) {
	w.t.Helper()
	must(w.t, w.store.Update(w.ctx, func(tx *store.Tx) (err error) {
		ok, err = w.Answer(tx, w.ann.ID, sender, reply)
		return err
	}))
	return ok
}

// keys counts the records of the space.
func (w *world) keys() (n int) {
	w.t.Helper()
	must(w.t, w.store.View(w.ctx, func(r *store.Snapshot) error {
		n = 0
		for _, err := range r.Range(store.SpaceRules, nil, nil) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}))
	return n
}

func TestChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Limit: 3})
	rule := func(name string) Rule { return Rule{Name: name, Actions: []Action{{Do: Keep}}} }
	for _, c := range []struct {
		do   func() error
		want string
		err  error
	}{
		{func() error { _, err := w.Add(w.ctx, "ann", rule("b"), ""); return err }, "[b: keep]", nil},
		{func() error { _, err := w.Add(w.ctx, "ann", rule("c"), ""); return err }, "[b: keep c: keep]", nil},
		{func() error { _, err := w.Add(w.ctx, "ann", rule("a"), "b"); return err }, "[a: keep b: keep c: keep]", nil},
		{func() error { _, err := w.Add(w.ctx, "ann", rule("d"), ""); return err }, "[a: keep b: keep c: keep]", ErrBadRule},
		{func() error { _, err := w.Remove(w.ctx, "ann", "d"); return err }, "[a: keep b: keep c: keep]", ErrNoRule},
		{func() error { _, err := w.Remove(w.ctx, "ann", "b"); return err }, "[a: keep c: keep]", nil},
		{func() error { return w.Replace(w.ctx, "ann", []Rule{rule("x"), rule("x")}) }, "[a: keep c: keep]", ErrBadRule},
		{func() error { return w.Replace(w.ctx, "nobody", nil) }, "[a: keep c: keep]", accounts.ErrNoAccount},
		{func() error { return w.Replace(w.ctx, "ann", nil) }, "[]", nil},
	} {
		if err := c.do(); !errors.Is(err, c.err) {
			t.Errorf("%v, want %v", err, c.err)
		}
		if got := fmt.Sprint(w.rules()); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	if n := w.keys(); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// TestLaterVersion refuses rules that a later version wrote, rather than leave
// out what is not understood; they can be replaced.
func TestLaterVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, value := range []string{"", "\x02[]", "\x01[", `{}`, "\x01" + `[{"name":"a","size":3,"actions":[{"do":"discard"}]}]`} {
		must(t, w.store.Update(w.ctx, func(tx *store.Tx) error {
			tx.Put(store.SpaceRules, rulesKey(w.ann.ID), []byte(value))
			return nil
		}))
		if list, err := w.List(w.ctx, "ann"); !errors.Is(err, errRecord) {
			t.Errorf("%q: %v, %v", value, list, err)
		}
	}
	must(t, w.Forget(w.ctx))
	must(t, w.Replace(w.ctx, "ann", []Rule{{Name: "a", Actions: []Action{{Do: Keep}}}}))
	w.rules()
}

func TestAnswerOnceInDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{VacationDays: 2})
	usual, seldom := &Action{Do: Vacation, Text: "away"}, &Action{Do: Vacation, Text: "away for long", Days: 30}
	must(t, w.Replace(w.ctx, "ann", []Rule{{Name: "a", Actions: []Action{*usual, *seldom}}}))
	for i, c := range []struct {
		after  time.Duration
		sender string
		reply  *Action
		want   bool
	}{
		{0, "x@y.test", usual, true}, {0, "X@Y.test", usual, false}, {0, "z@y.test", usual, true}, {0, "x@y.test", seldom, true},
		{48*time.Hour - time.Second, "x@y.test", usual, false}, {time.Second, "x@y.test", usual, true},
		{24 * time.Hour, "x@y.test", seldom, false}, {27 * 24 * time.Hour, "x@y.test", seldom, true},
		{-24 * time.Hour, "x@y.test", usual, true}, // the clock was set back
	} {
		w.now = w.now.Add(c.after)
		if got := w.answer(c.sender, c.reply); got != c.want {
			t.Errorf("%d: %v, want %v", i, got, c.want)
		}
		must(t, w.Forget(w.ctx))
	}
}

// TestAnsweredIsBounded stops answering where too many were answered, until the
// oldest are forgotten.
func TestAnsweredIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	reply := &Action{Do: Vacation, Text: "away"}
	w.answer("first@y.test", reply)
	must(t, w.store.Update(w.ctx, func(tx *store.Tx) error {
		for i := range maxAnswered - 1 {
			if ok, err := w.Answer(tx, w.ann.ID, fmt.Sprintf("%d@y.test", i), reply); err != nil || !ok {
				return fmt.Errorf("sender %d: %v, %w", i, ok, err)
			}
		}
		return nil
	}))
	if w.answer("one-more@y.test", reply) {
		t.Error("there is no bound")
	}
	w.now = w.now.Add(8 * 24 * time.Hour)
	if !w.answer("first@y.test", reply) {
		t.Error("who is known is not answered")
	}
	must(t, w.Forget(w.ctx))
	if n := w.keys(); n != 2 {
		t.Errorf("%d records are left, want that of the first sender and the count", n)
	}
	if !w.answer("one-more@y.test", reply) {
		t.Error("nobody is answered any more")
	}
}

// TestRestoredAccountHasItsRules keeps the rules for as long as their account can
// come back.
func TestRestoredAccountHasItsRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	list := []Rule{{Name: "a", Actions: []Action{{Do: Keep}}}}
	must(t, w.Replace(w.ctx, "ann", list))
	must(t, w.directory.RemoveAccount(w.ctx, "ann"))
	w.now = w.now.Add(24 * time.Hour)
	must(t, w.Forget(w.ctx))
	_, _, err := w.directory.RestoreAccount(w.ctx, "ann")
	must(t, err)
	if back := w.rules(); !reflect.DeepEqual(back, list) {
		t.Errorf("%+v", back)
	}
}

// TestForgetRemovedAccount leaves nothing of an account that is gone.
func TestForgetRemovedAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	must(t, w.Replace(w.ctx, "ann", []Rule{{Name: "a", Actions: []Action{{Do: Keep}}}}))
	w.answer("x@y.test", &Action{Text: "away"})
	must(t, w.directory.RemoveAccount(w.ctx, "ann"))
	w.now = w.now.Add(365 * 24 * time.Hour)
	must(t, w.Forget(w.ctx))
	if n := w.keys(); n != 0 {
		t.Errorf("%d records are left", n)
	}
}
