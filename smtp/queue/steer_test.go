package queue

import (
	"slices"
	"testing"
)

// What is rerouted joins what waits for that host already, wherever it was led to
// before, and nobody is forgotten.
func TestRerouteToWhereSomeAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	id := w.submit("ann@example.test", "joe@client.test", "eve@other.test").ID
	for _, order := range []struct {
		sel Selection
		to  string
	}{
		{Selection{Domain: "client.test"}, "a.host.test"},
		{Selection{Domain: "other.test"}, "b.host.test"},
		{Selection{ID: id}, "b.host.test"},
	} {
		if n, err := w.Steer(w.ctx, order.sel, Reroute, Host{Name: order.to}); n.Messages != 1 || err != nil {
			t.Fatalf("%+v to %s: %d, %v", order.sel, order.to, n, err)
		}
	}
	var to []string
	for _, r := range w.only().Recipients {
		to = append(to, r.Address+" by "+r.Host)
	}
	slices.Sort(to)
	if want := []string{"eve@other.test by b.host.test", "joe@client.test by b.host.test"}; !slices.Equal(to, want) {
		t.Errorf("it waits for %q, want %q", to, want)
	}
	w.try(delivered, "250 2.0.0 taken")
	if items := w.items(); len(items) != 0 {
		t.Errorf("still there: %+v", items)
	}
	w.blobs() // checks the store
}
