package queue

import (
	"errors"
	"testing"
	"time"
)

// The count slides: what was sent an hour ago counts no more.
func TestFlow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m := newMeterOfFlow(Flow{Recipients: 10}, func() time.Time { return now })
	take := func(n int, ok bool) {
		t.Helper()
		if err := m.take(1, n); (err == nil) != ok || err != nil && !errors.Is(err, ErrFlow) {
			t.Errorf("%d: %v", n, err)
		}
	}
	take(11, false)
	take(10, true)
	take(1, false)
	m.back(1, 4)
	take(4, true)
	now = now.Add(90 * time.Minute)
	take(6, false)
	take(5, true) // half of the ten before still count
	now = now.Add(3 * time.Hour)
	take(10, true)
	now = now.Add(-time.Hour) // the clock was set back
	take(10, true)
	if err := m.take(2, 10); err != nil {
		t.Errorf("another account: %v", err)
	}
	now = now.Add(5 * time.Hour)
	take(1, true)
	if len(m.accounts) != 1 {
		t.Errorf("%d accounts are remembered", len(m.accounts))
	}
	off := newMeterOfFlow(Flow{}, time.Now)
	if err := off.take(1, 1<<30); err != nil {
		t.Errorf("without a bound: %v", err)
	}
}
