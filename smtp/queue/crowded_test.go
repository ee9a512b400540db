package queue

import (
	"errors"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/store"
)

// An account without room is refused for a while as what may pass, then for good,
// and takes mail again as soon as there is room.
func TestOverQuotaBounces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{QuotaBounce: 24 * time.Hour})
	quota := func(octets int64) {
		_, err := w.dir.SetAccount(w.ctx, "ann@example.test", func(a *accounts.Account) error { a.MaxOctets = accounts.Set(octets); return nil })
		must(t, err)
	}
	check := func(want int) {
		t.Helper()
		_, _, err := w.Check(w.ctx, "ann@example.test", Source{Size: 100})
		var refused *RecipientError
		code := 250
		if errors.As(err, &refused) {
			code = refused.Code
			if !errors.Is(err, store.ErrOverQuota) {
				t.Errorf("refused for %v", err)
			}
		}
		if code != want {
			t.Errorf("%d, want %d (%v)", code, want, err)
		}
	}
	quota(50)
	check(452)
	w.pass(23 * time.Hour)
	check(452)
	w.pass(time.Hour)
	check(552)
	quota(500)
	check(250)
	quota(50)
	check(452)
}

// An account over its quota is no reason to refuse what its rules pass on without
// keeping it, and still one for what they might keep.
func TestOverQuotaPassesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.quota("ann", 1)
	for _, c := range []struct {
		rule string
		want bool
	}{
		{`all: forward joe@client.test`, true},
		{`all: forward joe@client.test, keep`, false},
		{`some: if subject contains "offer" then forward joe@client.test`, false},
	} {
		w.rule("ann", c.rule)
		_, _, err := w.Check(w.ctx, "ann@example.test", Source{Size: 100})
		if (err == nil) != c.want || err != nil && !errors.Is(err, store.ErrOverQuota) {
			t.Errorf("%s: %v", c.rule, err)
		}
	}
	w.rule("ann", `all: forward joe@client.test`)
	w.receive("x@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 0})
	if got := w.waits(); len(got) != 1 {
		t.Errorf("waits: %q", got)
	}
}
