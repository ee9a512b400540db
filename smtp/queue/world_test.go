package queue

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/history"
	"tripost/router"
	"tripost/rules"
	"tripost/store"
	"tripost/store/storetest"
)

// world is a queue on a real store with real accounts, and a clock that the test
// sets.
type world struct {
	*Queue
	t   testing.TB
	ctx context.Context
	dir *accounts.Directory
	ask *rules.Rules

	history *history.History

	mu  sync.Mutex
	now time.Time
}

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	w := &world{t: t, ctx: context.Background(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	st := storetest.Open(t, t.TempDir(), store.Options{Undelete: 24 * time.Hour, Now: w.clock, History: history.Record}, Bodies)
	w.dir = accounts.New(st, accounts.Options{})
	_, err := w.dir.AddDomain(w.ctx, "example.test")
	must(t, err)
	for _, name := range []string{"ann", "bob", "team"} {
		w.account(name)
	}
	o.Hostname, o.Product, o.Now = "mail.example.test", "tripost 0.1", w.clock
	r := router.New(w.dir, router.Options{DirectMailbox: true, Subaddress: "+", Hostname: "mail.example.test"})
	w.ask = rules.New(st, w.dir, rules.Options{Now: w.clock})
	o.Rules = w.ask
	w.history = history.New(st, nil, history.Options{Now: w.clock})
	o.History = w.history
	w.Queue = New(st, r, w.dir, o)
	return w
}

func (w *world) account(name string) {
	w.t.Helper()
	_, err := w.dir.AddAccount(w.ctx, name+"@example.test", "")
	must(w.t, err)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hello is a message as most tests submit it.
const hello = "From: ann@example.test\r\nSubject: hello\r\n\r\nfirst line\r\n"

// submit enters a message from a client address.
func (w *world) submit(from string, to ...string) Receipt {
	w.t.Helper()
	r, err := w.Submit(w.ctx, envelope(from, to...), strings.NewReader(hello))
	must(w.t, err)
	return r
}

func envelope(from string, to ...string) Envelope {
	return Envelope{From: from, Recipients: to, Source: Source{Protocol: "ESMTP", Module: "SMTP", Client: true}}
}

// inbox returns the messages of an account's mailbox.
func (w *world) mailbox(name, mailbox string) []string {
	w.t.Helper()
	a, err := w.dir.Account(w.ctx, name+"@example.test")
	must(w.t, err)
	v, err := w.store.Open(w.ctx, store.System(), store.MailboxRef{Account: a.ID, Name: mailbox}, true)
	must(w.t, err)
	defer v.Close()
	must(w.t, v.Load(w.ctx))
	var all []string
	for seq := 1; seq <= v.Len(); seq++ {
		body, err := v.OpenBody(w.ctx, seq)
		must(w.t, err)
		var b strings.Builder
		_, err = body.WriteTo(&b)
		must(w.t, err)
		must(w.t, body.Close())
		all = append(all, b.String())
	}
	return all
}

func (w *world) inbox(name string) []string {
	w.t.Helper()
	return w.mailbox(name, "INBOX")
}

// items lists what waits.
func (w *world) items() []Item {
	w.t.Helper()
	var all []Item
	for it, err := range w.Items(w.ctx) {
		must(w.t, err)
		all = append(all, it)
	}
	return all
}

// only returns the one message that waits.
func (w *world) only() Item {
	w.t.Helper()
	all := w.items()
	if len(all) != 1 {
		w.t.Fatalf("%d messages wait, want one: %+v", len(all), all)
	}
	return all[0]
}

// blobs returns how many bodies the store keeps.
func (w *world) blobs() int64 {
	w.t.Helper()
	return storetest.Check(w.t, w.store, Bodies).Blobs
}

// try settles an attempt for all recipients of a message's only destination.
func (w *world) try(s state, reply string) {
	w.t.Helper()
	must(w.t, w.settle(w.ctx, w.attemptOf(w.only().ID, s, reply)))
}

func (w *world) attemptOf(id string, s state, reply string) *attempt {
	w.t.Helper()
	n, err := parseID(id)
	must(w.t, err)
	var a *attempt
	must(w.t, w.store.View(w.ctx, func(r *store.Snapshot) error {
		dests, err := destinations(r, n)
		if err != nil {
			return err
		}
		if len(dests) != 1 {
			return errors.New("not one destination")
		}
		a = &attempt{id: n, name: dests[0].name(), when: w.clock(), via: "mx.client.test [192.0.2.1]"}
		for _, rcpt := range dests[0].recipients {
			a.results = append(a.results, result{recipient: rcpt, state: s, enhanced: reply[4:9], reply: reply, remote: true})
		}
		return nil
	}))
	return a
}

// steer carries out an order about one message.
func (w *world) steer(o Order, id string) error {
	_, err := w.Steer(w.ctx, Selection{ID: id}, o, Host{})
	return err
}

// cut is a body that fails after some octets.
type cut struct {
	r   io.Reader
	err error
}

func (c *cut) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err == io.EOF {
		err = c.err
	}
	return n, err
}

// view opens a mailbox.
func (w *world) view(name, mailbox string) *store.View {
	w.t.Helper()
	a, err := w.dir.Account(w.ctx, name+"@example.test")
	must(w.t, err)
	v, err := w.store.Open(w.ctx, store.System(), store.MailboxRef{Account: a.ID, Name: mailbox}, true)
	must(w.t, err)
	w.t.Cleanup(v.Close)
	must(w.t, v.Load(w.ctx))
	return v
}
