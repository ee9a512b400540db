package queue

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tripost/accounts"
	"tripost/router"
)

// quota gives an account room for so many octets.
func (w *world) quota(name string, octets int64) {
	w.t.Helper()
	_, err := w.dir.SetAccount(w.ctx, name+"@example.test", func(a *accounts.Account) error {
		a.MaxOctets = accounts.Set(int64(octets))
		return nil
	})
	must(w.t, err)
}

// lists makes addresses lists: "staff" with its members.
func (w *world) lists(members map[string][]string) {
	routes := fakeRouter{}
	real := w.router
	for name, addrs := range members {
		routes[name] = router.Result{Kind: router.List, Addresses: addrs}
		for _, a := range addrs {
			if members[a] == nil {
				res, err := real.Route(w.ctx, a, router.ForMail, false)
				must(w.t, err)
				routes[a] = res
			}
		}
	}
	for _, name := range []string{"ann", "bob", "team"} {
		a := name + "@example.test"
		res, err := real.Route(w.ctx, a, router.ForMail, false)
		must(w.t, err)
		routes[a] = res
	}
	w.router = routes
}

// Each recipient has an answer of its own, and the others get the message.
func TestSubmitEach(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.quota("bob", 10)
	to := []string{"ann@example.test", "bob@example.test", "nobody@example.test", "joe@client.test", "bob@example.test"}
	r, refused, err := w.SubmitEach(w.ctx, envelope("eve@client.test", to...), strings.NewReader(hello))
	must(t, err)
	var codes []int
	for _, e := range refused {
		code := 0
		if e != nil {
			code = e.Code
		}
		codes = append(codes, code)
	}
	if !slices.Equal(codes, []int{0, 452, 550, 0, 452}) || refused[1].Address != "bob@example.test" {
		t.Errorf("answers %v", refused)
	}
	if r.Local != 1 || r.Remote != 1 || len(w.inbox("ann")) != 1 || len(w.inbox("bob")) != 0 || len(w.only().Recipients) != 1 {
		t.Errorf("receipt %+v, queue %+v", r, w.items())
	}

	before := w.blobs()
	_, refused, err = w.SubmitEach(w.ctx, envelope("eve@client.test", "bob@example.test"), strings.NewReader(hello))
	if err != nil || refused[0] == nil || w.blobs() != before {
		t.Errorf("nobody left: %v, %v", refused, err)
	}
}

// A member of a list that is over quota keeps the message from nobody else, and
// the sender hears of it.
func TestListMemberOverQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.quota("bob", 10)
	w.lists(map[string][]string{"staff": {"bob@example.test", "team@example.test"}, "one": {"bob@example.test"}})
	w.submit("ann@example.test", "staff")
	if len(w.inbox("team")) != 1 || len(w.inbox("bob")) != 0 {
		t.Error("the list is not served")
	}
	reports := w.inbox("ann")
	if len(reports) != 1 || !strings.Contains(reports[0], "Final-Recipient: rfc822; staff\r\nAction: failed\r\nStatus: 5.2.2\r\n") ||
		!strings.Contains(reports[0], "Subject: hello\r\n") || strings.Contains(reports[0], "bob@") {
		t.Errorf("reports: %q", reports)
	}
	_, err := w.Submit(w.ctx, envelope("ann@example.test", "one"), strings.NewReader(hello))
	var refused *RecipientError
	if !errors.As(err, &refused) || refused.Code != 452 || refused.Address != "one" {
		t.Errorf("nobody gets it: %v", err)
	}
	_, err = w.Submit(w.ctx, envelope("ann@example.test", "staff", "bob@example.test"), strings.NewReader(hello))
	if !errors.As(err, &refused) || refused.Address != "bob@example.test" {
		t.Errorf("named himself: %v", err)
	}
	_, each, err := w.SubmitEach(w.ctx, envelope("", "one", "staff", "bob@example.test"), strings.NewReader(hello))
	must(t, err)
	if each[0] != nil || each[1] != nil || each[2] == nil || len(w.inbox("team")) != 2 {
		t.Errorf("answers %v", each)
	}
}
