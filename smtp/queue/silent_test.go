package queue

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"tripost/smtp/sinktest"
)

// Hosts that say nothing hold up a destination for a time that is bounded as a
// whole, however many addresses they have; the next time others come first.
func TestSilentAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	silent := sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
		if command == "greeting" {
			return sinktest.Silence
		}
		return ""
	}})
	good := sinktest.New(t, sinktest.Options{})
	n.mx["client.test"] = []*net.MX{{Host: "silent.test.", Pref: 1}, {Host: "mx.client.test.", Pref: 2}}
	for i := range 2 {
		n.host("silent.test", fmt.Sprint("192.0.2.", 10+i), silent)
	}
	n.host("mx.client.test", "192.0.2.1", good)
	w.submit("ann@example.test", "joe@client.test")
	w.submit("ann@example.test", "jim@client.test")
	w.run(n, SenderOptions{Search: time.Second, PerHost: 1})
	w.until("they are put off", func() bool {
		items := w.items()
		return items[0].Attempts == 1 && items[1].Attempts == 1
	})
	for _, it := range w.items() {
		if !strings.HasPrefix(it.LastError, "no host of the domain was ready for mail in time (1s): connect to silent.test [192.0.2.1") {
			t.Errorf("put off because %q", it.LastError)
		}
	}
	for len(w.items()) > 0 { // each time an address that was not asked comes first
		before := map[string]int{}
		for _, it := range w.items() {
			before[it.ID] = it.Attempts
			must(t, w.steer(Retry, it.ID))
		}
		w.until("they were tried again", func() bool {
			return !slices.ContainsFunc(w.items(), func(it Item) bool { return it.Attempts == before[it.ID] })
		})
	}
	if got := len(good.Messages()); got != 2 {
		t.Errorf("%d messages came", got)
	}
}
