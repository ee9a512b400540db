package queue

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tripost/accounts"
	"tripost/router"
)

// Groups and forwarders of the directory: who gets what, once, who may send, and
// what leads in a circle.
func TestGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for name, target := range map[string]string{"desk": "joe@client.test", "self": "self-group", "a": "b", "b": "a"} {
		_, err := w.dir.SetForwarder(w.ctx, name, target, true)
		must(t, err)
	}
	for _, g := range []string{"crew ann bob desk", "both crew ann joe@client.test", "circle ann self", "self-group self", "users ann"} {
		words := strings.Fields(g)
		_, err := w.dir.AddGroup(w.ctx, words[0], words[1:])
		must(t, err)
	}
	_, err := w.dir.SetGroup(w.ctx, "users", func(g *accounts.Group) error { g.Senders = accounts.SendersMembers; return nil })
	must(t, err)
	send := func(src Source, to string) string {
		_, _, err := w.Check(w.ctx, to, src)
		if err == nil {
			env := envelope("x@client.test", to)
			env.Source = src
			_, err = w.Submit(w.ctx, env, strings.NewReader(hello))
		}
		var refused *RecipientError
		if errors.As(err, &refused) {
			return fmt.Sprint(refused.Code, " ", refused.Enhanced)
		}
		must(t, err)
		return "250"
	}
	ann, err := w.dir.Account(w.ctx, "ann@example.test")
	must(t, err)
	bob, err := w.dir.Account(w.ctx, "bob@example.test")
	must(t, err)
	for _, c := range []struct {
		src  Source
		to   string
		want string
	}{
		{Source{}, "both@example.test", "250"},
		{Source{}, "self-group@example.test", "550 5.4.6"},
		{Source{}, "self@example.test", "550 5.4.6"},
		{Source{}, "circle@example.test", "250"}, // ann can be reached
		{Source{}, "a@example.test", "554 5.4.6"},
		{Source{}, "users@example.test", "550 5.7.2"},
		{Source{Account: &bob}, "users@example.test", "550 5.7.2"},
		{Source{Account: &ann}, "users@example.test", "250"},
		{Source{Internal: true}, "users@example.test", "250"},
		{Source{}, "all@example.test", "550 5.1.1"},
	} {
		if got := send(c.src, c.to); got != c.want {
			t.Errorf("to %s: %s, want %s", c.to, got, c.want)
		}
	}
	if n, m := len(w.inbox("ann")), len(w.inbox("bob")); n != 4 || m != 1 {
		t.Errorf("ann has %d messages, bob %d", n, m)
	}
	if items := w.items(); len(items) != 1 || len(items[0].Recipients) != 1 {
		t.Errorf("the queue is %+v", items)
	}
	_, err = w.dir.SetDomain(w.ctx, "example.test", func(d *accounts.Domain) error { d.AllSenders = accounts.SendersUsers; return nil })
	must(t, err)
	if got := send(Source{}, "all@example.test"); got != "550 5.7.2" {
		t.Errorf("a stranger writes to all: %s", got)
	}
	if got := send(Source{Account: &bob}, "all@example.test"); got != "250" || len(w.inbox("bob")) != 2 {
		t.Errorf("bob writes to all: %s", got)
	}
	if res, err := w.router.Route(w.ctx, "self@example.test", router.ForMail, false); err != nil || res.Kind != router.List {
		t.Errorf("%+v, %v", res, err)
	}
}
