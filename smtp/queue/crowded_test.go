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
