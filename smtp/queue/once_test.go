package queue

import (
	"fmt"
	"strings"
	"testing"

	"tripost/accounts"
)

// TestGroupOnce writes to groups whose members get no second copy where the header
// names them, here and elsewhere, whatever name of theirs stands there.
func TestGroupOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	must(t, w.dir.AddAlias(w.ctx, "anna", "ann"))
	for _, g := range []string{"crew ann bob joe@client.test", "plain ann", "outer crew"} {
		words := strings.Fields(g)
		_, err := w.dir.AddGroup(w.ctx, words[0], words[1:])
		must(t, err)
	}
	_, err := w.dir.SetGroup(w.ctx, "crew", func(g *accounts.Group) error { g.Once = true; return nil })
	must(t, err)
	ann, bob, sent := 0, 0, 0
	for _, c := range []struct{ to, header, want string }{
		{"crew", "To: crew@example.test", "1 1 1"},
		{"crew", "To: crew@example.test, Ann <ann@example.test>", "0 1 1"},
		{"crew", "To: x@y.test\r\nCc: anna@example.test,\r\n BOB@example.test", "0 0 1"},
		{"crew", "To: Joe@client.test", "1 1 0"},
		{"crew", "To: ann@example.test, bob@example.test, joe@client.test", "0 0 0"},
		{"crew ann", "To: crew@example.test\r\nCc: ann@example.test", "1 1 1"}, // ann is a recipient herself
		{"plain crew", "To: ann@example.test", "1 1 1"},                        // by way of another group
		{"outer", "To: bob@example.test", "1 0 1"},                             // a group in a group
		{"crew", "Subject: ann@example.test", "1 1 1"},                         // not an address
		{"crew", "X-Filler: " + strings.Repeat("x", 1000) + "\r\nTo: ann@example.test", "0 1 1"},
	} {
		var to []string
		for _, name := range strings.Fields(c.to) {
			to = append(to, name+"@example.test")
		}
		_, err := w.Submit(w.ctx, envelope("x@client.test", to...), strings.NewReader(c.header+"\r\nSubject: x\r\n\r\nHello.\r\n"))
		must(t, err)
		a, b, s := len(w.inbox("ann")), len(w.inbox("bob")), 0
		for _, item := range w.items() {
			s += len(item.Recipients)
		}
		if got := fmt.Sprint(a-ann, b-bob, s-sent); got != c.want {
			t.Errorf("to %s, %.60q: %s, want %s", c.to, c.header, got, c.want)
		}
		ann, bob, sent = a, b, s
	}
}
