package queue

import (
	"testing"
	"time"
)

// What waits for a domain is due at once, what is held and what is for others is
// not touched.
func TestRetryDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ids := map[string]string{}
	for _, host := range []string{"client.test", "sub.client.test", "otherclient.test", "held.test"} {
		r := w.submit("ann@example.test", "joe@"+host)
		ids[host] = r.ID
		must(t, w.settle(w.ctx, w.attemptOf(r.ID, deferred, "450 4.0.0 not yet")))
	}
	must(t, w.steer(Hold, ids["held.test"]))
	later := w.clock().Add(5 * time.Minute)
	due := func(host string) bool {
		it, err := w.Item(w.ctx, ids[host])
		must(t, err)
		return it.Next.Before(later)
	}
	for _, c := range []struct {
		domain string
		below  bool
		count  int
	}{
		{"nothing.test", true, 0},
		{"held.test", false, 0},
		{"Client.Test.", false, 1},
		{"client.test", true, 1}, // the domain itself is due already
	} {
		n, err := w.RetryDomain(w.ctx, c.domain, c.below)
		if err != nil || n != c.count {
			t.Errorf("%q: %d, %v, want %d", c.domain, n, err, c.count)
		}
	}
	if !due("client.test") || !due("sub.client.test") || due("otherclient.test") {
		t.Error("not what was asked for")
	}
	if it, err := w.Item(w.ctx, ids["held.test"]); err != nil || !it.Held {
		t.Errorf("held: %+v, %v", it, err)
	}
}
