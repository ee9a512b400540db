package queue

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"tripost/smtp/sinktest"
)

// A message goes in as many transactions as the peer needs for its recipients,
// all of them in one attempt.
func TestManyRecipients(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits     string
		room       int    // recipients that the peer takes in a transaction; 0: any number
		full       string // its reply to those beyond
		recipients int
		want       []int // recipients of the transactions
		waits      int
	}{
		"few":                        {recipients: 3, want: []int{3}},
		"more than every host takes": {recipients: 250, want: []int{100, 100, 50}},
		"the peer takes more":        {limits: "LIMITS RCPTMAX=200 MAILMAX=10", recipients: 250, want: []int{200, 50}},
		"the peer takes fewer":       {limits: "LIMITS MAILMAX=10 RCPTMAX=2", recipients: 5, want: []int{2, 2, 1}},
		"a limit of nothing":         {limits: "LIMITS RCPTMAX=0 x RCPTMAX=y", recipients: 3, want: []int{3}},
		"too many":                   {room: 2, full: "452 4.5.3 too many recipients", recipients: 5, want: []int{2, 2, 1}},
		"too many, without a code":   {room: 4, full: "452 too many recipients", recipients: 5, want: []int{4, 1}},
		"too many, as of old":        {room: 3, full: "552 5.5.3 too many recipients", recipients: 4, want: []int{3, 1}},
		"no room at all":             {room: -1, full: "452 4.5.3 too many recipients", recipients: 2, want: nil, waits: 2},
		"a full mailbox":             {room: 2, full: "452 4.2.2 mailbox full", recipients: 3, want: []int{2}, waits: 1},
		"no further transaction":     {limits: "LIMITS RCPTMAX=2 MAILMAX=1", recipients: 3, want: []int{2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			n := newInternet()
			var mu sync.Mutex
			given := 0
			extensions := []string{"PIPELINING", "8BITMIME"}
			if c.limits != "" {
				extensions = append(extensions, c.limits)
			}
			s := sinktest.New(t, sinktest.Options{Extensions: extensions, Reply: func(command, _ string) string {
				mu.Lock()
				defer mu.Unlock()
				switch command {
				case "MAIL":
					given = 0
				case "RCPT":
					if given++; c.room != 0 && given > max(c.room, 0) {
						return c.full
					}
				}
				return ""
			}})
			n.host("client.test", "192.0.2.1", s)
			var to []string
			for i := range c.recipients {
				to = append(to, fmt.Sprintf("u%03d@client.test", i))
			}
			w.submit("ann@example.test", to...)
			w.run(n, SenderOptions{})
			w.until("one attempt was made", func() bool {
				items := w.items()
				return len(items) == 0 || items[0].Attempts == 1
			})
			var got []int
			var all []string
			for _, m := range s.Messages() {
				got = append(got, len(m.To))
				all = append(all, m.To...)
				if !strings.HasSuffix(m.Data, hello) {
					t.Errorf("the message is %q", m.Data)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("transactions for %v recipients, want %v", got, c.want)
			}
			slices.Sort(all)
			if n := len(slices.Compact(all)); n != c.recipients-c.waits {
				t.Errorf("%d recipients have got it, want %d", n, c.recipients-c.waits)
			}
			if c.waits > 0 && len(w.only().Recipients) != c.waits {
				t.Errorf("%+v wait, want %d", w.only().Recipients, c.waits)
			}
		})
	}
}

// A connection is used for as many messages as the peer takes over one.
func TestMessagesOfAConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	s := sinktest.New(t, sinktest.Options{Extensions: []string{"LIMITS MAILMAX=2", "8BITMIME"}})
	n.host("client.test", "192.0.2.1", s)
	for range 5 {
		w.submit("ann@example.test", "joe@client.test")
	}
	w.run(n, SenderOptions{PerHost: 1})
	w.until("all is sent", w.empty)
	if got := len(s.Wait(5)); got != 5 || s.Connections() != 3 {
		t.Errorf("%d messages over %d connections, want 5 over 3", got, s.Connections())
	}
}

// A peer may bound the domains of the recipients over one connection. Who is in
// further domains has further connections, within the same attempt.
func TestDomainsOfAConnection(t *testing.T) {
	t.Parallel()
	for limits, want := range map[string][]string{
		"LIMITS RCPTDOMAINMAX=1":           {"u@a.test v@a.test", "u@b.test", "u@c.test"},
		"LIMITS RCPTDOMAINMAX=2":           {"u@a.test u@b.test v@a.test", "u@c.test"},
		"LIMITS RCPTDOMAINMAX=1 RCPTMAX=1": {"u@a.test", "v@a.test", "u@b.test", "u@c.test"},
		"LIMITS RCPTDOMAINMAX=3":           {"u@a.test u@b.test v@a.test u@c.test"},
		"LIMITS RCPTDOMAINMAX=0":           {"u@a.test u@b.test v@a.test u@c.test"},
	} {
		t.Run(limits, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			n := newInternet()
			s := sinktest.New(t, sinktest.Options{Extensions: []string{"PIPELINING", limits}})
			n.host("gate.test", "192.0.2.1", s)
			var to []string
			for _, addr := range []string{"u@a.test", "u@b.test", "v@a.test", "u@c.test"} {
				to = append(to, strings.Replace(addr, "@", "%", 1)+"@gate.test._via")
			}
			w.submit("ann@example.test", to...)
			w.run(n, SenderOptions{PerHost: 1})
			w.until("all is sent", w.empty)
			var got []string
			for _, m := range s.Messages() {
				got = append(got, strings.NewReplacer("<", "", ">", "").Replace(strings.Join(m.To, " ")))
			}
			if !slices.Equal(got, want) {
				t.Errorf("transactions %q, want %q", got, want)
			}
		})
	}
}

// The bound holds for the messages of a connection together.
func TestDomainsOfMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	s := sinktest.New(t, sinktest.Options{Extensions: []string{"LIMITS RCPTDOMAINMAX=1"}})
	n.host("gate.test", "192.0.2.1", s)
	for _, domain := range []string{"a", "a", "b", "b"} {
		w.submit("ann@example.test", "u%"+domain+".test@gate.test._via")
	}
	w.run(n, SenderOptions{PerHost: 1})
	w.until("all is sent", w.empty)
	if got := len(s.Wait(4)); got != 4 || s.Connections() != 2 {
		t.Errorf("%d messages over %d connections, want 4 over 2", got, s.Connections())
	}
}
