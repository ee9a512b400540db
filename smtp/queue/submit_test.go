package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tripost/accounts"
	"tripost/router"
	"tripost/store"
)

// One body serves all recipients, here and elsewhere.
func TestSubmitStoresOneBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	var to []string
	for i := range 50 {
		w.account(fmt.Sprintf("user%d", i))
		to = append(to, fmt.Sprintf("user%d@example.test", i))
	}
	to = append(to, "joe@client.test", "jim@client.test", "eve@other.test")
	before := w.blobs()
	r := w.submit("ann@example.test", to...)
	if r.Local != 50 || r.Remote != 3 {
		t.Errorf("receipt %+v, want 50 local and 3 remote", r)
	}
	if n := w.blobs() - before; n != 1 {
		t.Errorf("%d bodies stored, want 1", n)
	}
	for i := range 50 {
		if n := len(w.inbox(fmt.Sprintf("user%d", i))); n != 1 {
			t.Errorf("user%d has %d messages", i, n)
		}
	}
	it := w.only()
	if it.ID != r.ID || len(it.Recipients) != 3 || it.From != "ann@example.test" {
		t.Errorf("item %+v", it)
	}
}

// A failing body leaves nothing behind, and its error is the caller's.
func TestSubmitKeepsNothingOfBrokenBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	before := w.blobs()
	broken := errors.New("the line broke")
	_, err := w.Submit(w.ctx, envelope("ann@example.test", "bob@example.test", "joe@client.test"),
		&cut{strings.NewReader(hello), broken})
	if err != broken {
		t.Errorf("got %v, want the body's own error", err)
	}
	if len(w.inbox("bob")) != 0 || len(w.items()) != 0 || w.blobs() != before {
		t.Error("something was kept")
	}
}

// All or nothing: one bad recipient refuses the message for all.
func TestSubmitAllOrNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, bad := range []string{"nobody@example.test", "no address", "a\rb@client.test", ""} {
		_, err := w.Submit(w.ctx, envelope("ann@example.test", "bob@example.test", "joe@client.test", bad), strings.NewReader(hello))
		var refused *RecipientError
		if !errors.As(err, &refused) || refused.Temporary() {
			t.Errorf("%q: %v, want a permanent refusal", bad, err)
		}
	}
	_, err := w.Submit(w.ctx, envelope("ann@example.test"), strings.NewReader(hello))
	if !errors.Is(err, ErrNoRecipients) {
		t.Errorf("no recipients: %v", err)
	}
	_, err = w.Submit(w.ctx, envelope("a\n@b", "bob@example.test"), strings.NewReader(hello))
	if err == nil {
		t.Error("a reverse-path with a line end was taken")
	}
	if len(w.inbox("bob")) != 0 || len(w.items()) != 0 {
		t.Error("something was kept")
	}
}

func TestSubmitOverQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	_, err := w.dir.SetAccount(w.ctx, "bob@example.test", func(a *accounts.Account) error {
		a.MaxOctets = accounts.Set(int64(10))
		return nil
	})
	must(t, err)
	_, err = w.Submit(w.ctx, envelope("ann@example.test", "ann@example.test", "bob@example.test"), strings.NewReader(hello))
	var refused *RecipientError
	if !errors.As(err, &refused) || refused.Code != 452 || refused.Enhanced != "4.2.2" || !errors.Is(err, store.ErrOverQuota) {
		t.Errorf("got %v, want 452 4.2.2", err)
	}
	if len(w.inbox("ann")) != 0 {
		t.Error("the other recipient got it")
	}
}

func TestSubmitLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{MaxSize: 100, MaxHops: 1, MaxItems: 1})
	env := envelope("ann@example.test", "bob@example.test")
	if _, err := w.Submit(w.ctx, env, strings.NewReader(strings.Repeat("x", 101))); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	if _, err := w.Submit(w.ctx, env, strings.NewReader("Received: 1\r\nReceived: 2\r\n\r\n")); !errors.Is(err, ErrLoop) {
		t.Errorf("loop: %v", err)
	}
	env.Size = 101
	if _, err := w.Submit(w.ctx, env, strings.NewReader(hello)); !errors.Is(err, ErrTooLong) {
		t.Errorf("announced too long: %v", err)
	}
	w.submit("ann@example.test", "joe@client.test")
	_, err := w.Submit(w.ctx, envelope("ann@example.test", "joe@client.test"), strings.NewReader(hello))
	if !errors.Is(err, ErrQueueFull) {
		t.Errorf("full: %v", err)
	}
	must(t, w.steer(Drop, w.only().ID))
	w.submit("ann@example.test", "joe@client.test")
}

// Individuals who share an account know of each other; nobody else learns of
// them.
func TestSubmitIndividuals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.submit("ann@example.test", "x@team.local", "y@team.local", "X@team.local", "bob@example.test", "joe@client.test")
	got := w.inbox("team")
	if len(got) != 1 || !strings.HasPrefix(got[0], "Return-Path: <ann@example.test>\r\nX-Real-To: x, y\r\nReceived: ") {
		t.Errorf("the shared account has %q", got)
	}
	if got := w.inbox("bob"); len(got) != 1 || strings.Contains(got[0], "X-Real-To") {
		t.Errorf("bob has %q", got)
	}
	if sent := w.sent(t, 0); strings.Contains(sent, "X-Real-To") || strings.Contains(sent, "Return-Path") || !strings.HasPrefix(sent, "Received: ") {
		t.Errorf("sent is %q", sent)
	}
}

// sent returns what would be sent of the n-th message that waits.
func (w *world) sent(t *testing.T, n int) string {
	t.Helper()
	id, err := parseID(w.items()[n].ID)
	must(t, err)
	var m *message
	must(t, w.store.View(w.ctx, func(r *store.Snapshot) (err error) {
		m, err = getMessage(r, id)
		return err
	}))
	body, err := w.store.OpenBody(w.ctx, m.body)
	must(t, err)
	defer body.Close()
	b := make([]byte, m.size)
	_, err = body.ReadAt(b, m.offset)
	must(t, err)
	if body.Size() != m.offset+m.size {
		t.Errorf("offset %d and size %d of %d octets", m.offset, m.size, body.Size())
	}
	return string(b)
}

// A mailbox that is not there is no reason to lose mail, nor to get it twice.
func TestSubmitWithoutMailbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.submit("ann@example.test", "no/such#bob@example.test", "bob@example.test", "x#bob@example.test")
	w.submit("ann@example.test", "no/such#bob@example.test")
	if n := len(w.inbox("bob")); n != 2 {
		t.Errorf("bob has %d messages, want 2", n)
	}
}

func TestSubmitLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	p, err := w.prepare(w.ctx, ptr(envelope("ann@example.test", "bob@example.test", "joe@client.test")), strings.NewReader(hello), w.plan)
	must(t, err)
	defer p.close()
	if got, want := string(p.routes()), " LOCAL(bob@example.test) SMTP(client.test)<joe@client.test>"; got != want {
		t.Errorf("routes are %q, want %q", got, want)
	}
}

func ptr[T any](v T) *T { return &v }

// Ids are unique, also over a new process.
func TestIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	seen := map[uint64]bool{}
	for range 3 {
		var c counter
		for range idBlock + 10 {
			id, err := c.take(w.ctx, w.store)
			must(t, err)
			if seen[id] || id == 0 {
				t.Fatalf("id %d was given out before", id)
			}
			seen[id] = true
		}
	}
}

// fakeRouter leads where the test wants.
type fakeRouter map[string]router.Result

func (f fakeRouter) Route(_ context.Context, addr string, _ router.Purpose, _ bool) (router.Result, error) {
	if res, ok := f[addr]; ok {
		return res, nil
	}
	if strings.HasPrefix(addr, "broken") {
		return router.Result{}, errors.New("the directory is broken")
	}
	return router.Result{Kind: router.Refused, Code: 550, Enhanced: "5.1.1", Reason: "no such recipient"}, nil
}

func TestPlanOfLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, err := w.dir.Account(w.ctx, "ann@example.test")
	must(t, err)
	local := router.Result{Kind: router.Local, Account: ann}
	remote := router.Result{Kind: router.Remote, Host: "Client.Test", Address: "joe@client.test", Relay: true}
	list := func(members ...string) router.Result { return router.Result{Kind: router.List, Addresses: members} }
	many := make([]string, 0, maxExpanded+1)
	routes := fakeRouter{
		"ann": local, "joe": remote, "null": {Kind: router.Discard},
		"staff":  list("ann", "joe", "gone", "staff"),
		"nested": list("staff", "ann", "null"),
		"dead":   list("gone", "gone2"),
		"self":   list("self"),
		"round":  list("about"),
		"about":  list("round"),
		"partly": list("about", "dead", "ann"),
		"empty":  list(),
		"broken": {},
	}
	for i := range maxExpanded + 1 {
		name := fmt.Sprintf("m%d", i)
		many = append(many, name)
		routes[name] = router.Result{Kind: router.Discard}
	}
	routes["huge"] = list(many...)
	deep := "ann"
	for i := range maxNesting + 1 {
		name := fmt.Sprintf("deep%d", i)
		routes[name] = list(deep)
		deep = name
	}
	w.router = routes

	for _, c := range []struct {
		to     []string
		copies int
		sent   []string
		code   int // of the refusal
	}{
		{to: []string{"staff"}, copies: 1, sent: []string{"joe@client.test"}},
		{to: []string{"nested", "staff"}, copies: 1, sent: []string{"joe@client.test"}},
		{to: []string{"self"}, code: 550}, // or the message would be taken for nobody
		{to: []string{"round"}, code: 550},
		{to: []string{"empty"}, code: 550},
		{to: []string{"partly"}, copies: 1},
		{to: []string{"partly", "about"}, code: 550},
		{to: []string{"partly", "staff"}, copies: 1, sent: []string{"joe@client.test"}},
		{to: []string{"joe"}, code: 550}, // a stranger may use the list, not the outside
		{to: []string{"dead"}, code: 550},
		{to: []string{"huge"}, code: 550},
		{to: []string{deep}, code: 550},
		{to: []string{"ann", "gone"}, code: 550},
	} {
		env := Envelope{From: "x@y.test", Recipients: c.to}
		p, err := w.plan(w.ctx, &env)
		var refused *RecipientError
		if errors.As(err, &refused) {
			if refused.Code != c.code {
				t.Errorf("%q: %v, want %d", c.to, err, c.code)
			}
			continue
		}
		if err != nil || c.code != 0 {
			t.Errorf("%q: %v, want %d", c.to, err, c.code)
			continue
		}
		var sent []string
		for _, d := range p.dests {
			for _, r := range d.recipients {
				sent = append(sent, r.address)
				if d.host != "client.test" || r.original == "" {
					t.Errorf("%q: destination %+v", c.to, d)
				}
			}
		}
		if len(p.copies) != c.copies || !slices.Equal(sent, c.sent) {
			t.Errorf("%q: %d copies and %q, want %d and %q", c.to, len(p.copies), sent, c.copies, c.sent)
		}
	}
	if _, err := w.plan(w.ctx, &Envelope{Recipients: []string{"broken2"}}); err == nil || errors.As(err, new(*RecipientError)) {
		t.Errorf("a broken directory: %v, want a temporary error", err)
	}
	if _, err := w.plan(w.ctx, &Envelope{Recipients: []string{"broken"}}); err == nil {
		t.Error("a route that leads nowhere was taken")
	}
}

// Too many shared accounts in one message are refused for now: the sender can
// send the rest in another one.
func TestSubmitManyShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	var to []string
	for i := range MaxShared + 1 {
		w.account(fmt.Sprintf("shared%d", i))
		to = append(to, fmt.Sprintf("x%d@shared%d.local", i, i))
	}
	_, err := w.Submit(w.ctx, envelope("ann@example.test", to...), strings.NewReader(hello))
	var refused *RecipientError
	if !errors.As(err, &refused) || refused.Code != 452 || refused.Enhanced != "4.5.3" {
		t.Errorf("got %v, want 452 4.5.3", err)
	}
	if r := w.submit("ann@example.test", to[1:]...); r.Local != MaxShared {
		t.Errorf("receipt %+v", r)
	}
}

// What an account may do counts at the time, not at sign-in.
func TestRelayOfUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, err := w.dir.Account(w.ctx, "ann@example.test")
	must(t, err)
	src := Source{Account: &ann}
	check := func(when string, want bool) {
		t.Helper()
		_, why, err := w.Check(w.ctx, "joe@client.test", src)
		if (err == nil) != want || err == nil && why != whySignedIn {
			t.Errorf("%s: %q and %v, want %v", when, why, err, want)
		}
		if _, _, err := w.Check(w.ctx, "bob@example.test", src); err != nil {
			t.Errorf("%s, to a local recipient: %v", when, err)
		}
	}
	change := func(fn func(*accounts.Account)) {
		t.Helper()
		_, err := w.dir.SetAccount(w.ctx, "ann@example.test", func(a *accounts.Account) error {
			fn(a)
			return nil
		})
		must(t, err)
	}
	check("at first", true)
	change(func(a *accounts.Account) { a.Locked = true })
	check("locked", false)
	change(func(a *accounts.Account) { a.Locked = false })
	check("unlocked", true)
	change(func(a *accounts.Account) { a.Services = accounts.Set(accounts.AllServices &^ accounts.Relay) })
	check("without the service", false)
	change(func(a *accounts.Account) { a.Services = accounts.Setting[accounts.Service]{} })
	_, err = w.dir.SetDomain(w.ctx, "example.test", func(d *accounts.Domain) error {
		d.Services = accounts.Set(accounts.AllServices &^ accounts.Relay)
		return nil
	})
	must(t, err)
	check("with the domain's service off", false)
	must(t, w.dir.RemoveAccount(w.ctx, "ann@example.test"))
	check("removed", false)
}
