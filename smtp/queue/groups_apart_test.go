package queue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/store"
)

// group makes a group of space-separated members.
func (w *world) group(name, members string, change func(*accounts.Group)) {
	w.t.Helper()
	_, err := w.dir.AddGroup(w.ctx, name, strings.Fields(members))
	must(w.t, err)
	_, err = w.dir.SetGroup(w.ctx, name, func(g *accounts.Group) error { change(g); return nil })
	must(w.t, err)
}

func owned(by string) func(*accounts.Group) { return func(g *accounts.Group) { g.Owner = by } }
func answered(g *accounts.Group)            { g.ReplyTo = true }

// TestGroupApart looks at what the members of a group get whose answers go to it and
// whose reports to its owner.
func TestGroupApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.group("crew", "ann bob joe@client.test", func(g *accounts.Group) { g.ReplyTo, g.Owner = true, "team" })
	body := strings.Repeat("0123456789\r\n", 30_000) // beyond what is kept in memory
	filler := strings.Repeat("X-Filler: "+strings.Repeat("y", 990)+"\r\n", 300)
	for _, c := range []struct{ before, replyTo, after, body string }{
		{"Subject: hi\r\n", "", "X-End: 1\r\n", "\r\ntext\r\n"},
		{"Subject: hi\r\n", "Reply-To: Joe <joe@client.test>,\r\n\tjim@client.test\r\n", "X-End: 1\r\n", "\r\n" + body},
		{filler, "reply-to : joe@client.test\r\n", "X-End: 1\r\n", "\r\nReply-To: this is text\r\n"},
		{"Subject: hi\r\n", "Reply-To: joe@client.test\r\n", "", ""}, // nothing but a header
		{"", "Reply-To: a@b.test\r\n", "Reply-To: c@d.test", ""},     // and without its end
	} {
		_, err := w.Submit(w.ctx, envelope("x@client.test", "crew@example.test"), strings.NewReader(c.before+c.replyTo+c.after+c.body))
		must(t, err)
		all := w.inbox("ann")
		got := all[len(all)-1]
		want := c.before + c.after + c.body
		if strings.HasPrefix(c.after, "Reply-To") {
			want = ""
		}
		if !strings.HasSuffix(got, want) {
			t.Fatalf("the message was changed: %d octets, begins %.700q", len(got), got)
		}
		top := strings.TrimSuffix(got, want)
		for _, field := range []string{"Return-Path: <team@example.test>\r\n", "Delivered-To: <crew@example.test>\r\n", "Reply-To: <crew@example.test>\r\n"} {
			if strings.Count(top, field) != 1 {
				t.Errorf("%q is not there once in %q", field, top)
			}
		}
		if n := strings.Count(top, "Reply-To"); n != 1 {
			t.Errorf("%d Reply-To fields in %q", n, top)
		}
	}
	if n := len(w.inbox("bob")); n != 5 {
		t.Errorf("bob has %d messages", n)
	}
}

// TestGroupOwner lets members fail, and looks who hears of it.
func TestGroupOwner(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, from, owner string
		notify            Notify
		waits             string
		owns, sender      int // reports
	}{
		{"an owner", "bob@example.test", "team", 0, "<team@example.test> joe@client.test", 1, 0},
		{"who asked for nothing", "bob@example.test", "team", NotifyNever, "<team@example.test> joe@client.test", 1, 0},
		{"who asked for success", "bob@example.test", "team", NotifySuccess, "<team@example.test> joe@client.test", 1, 1},
		{"no owner", "bob@example.test", "", 0, "<bob@example.test> joe@client.test", 0, 1},
		{"no owner, who asked for nothing", "bob@example.test", "", NotifyNever, "<bob@example.test> joe@client.test", 0, 0},
		{"a report", "", "team", NotifyFailure, "<> joe@client.test", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			w.group("crew", "ann joe@client.test", func(g *accounts.Group) { g.ReplyTo, g.Owner = true, c.owner })
			env := envelope(c.from, "crew@example.test")
			env.Options = []RecipientOptions{{Notify: c.notify}}
			_, err := w.Submit(w.ctx, env, strings.NewReader(hello))
			must(t, err)
			if got := w.waits(); !slices.Equal(got, []string{c.waits}) {
				t.Fatalf("%q wait, want %q", got, c.waits)
			}
			w.try(failed, "550 5.1.1 no such user")
			w.holds(map[string]int{"ann": 1, "team": c.owns, "bob": c.sender})
			if c.owns > 0 && !strings.Contains(w.inbox("team")[0], "\r\nFinal-Recipient: rfc822; joe@client.test\r\n") {
				t.Errorf("the owner does not learn who failed:\n%s", w.inbox("team")[0])
			}
			if c.sender > 0 && strings.Contains(w.inbox("bob")[0], "rfc822; joe@client.test") {
				t.Errorf("the sender learns who is a member:\n%s", w.inbox("bob")[0])
			}
			if got := w.waits(); len(got) != 0 {
				t.Errorf("%q wait", got)
			}
		})
	}
}

// TestGroupOwnerHere is about members here who cannot be reached: the owner hears of
// them at once, and the sender when nobody is left.
func TestGroupOwnerHere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	_, err := w.dir.SetForwarder(w.ctx, "gone", "nobody@example.test", true)
	must(t, err)
	w.group("crew", "ann bob gone", owned("team"))
	w.group("few", "ann", owned("team"))
	w.group("none", "gone", owned("team"))
	w.quota("ann", 10)
	w.submit("x@client.test", "crew@example.test")
	w.holds(map[string]int{"ann": 0, "bob": 1, "team": 1}) // one report about both
	for _, member := range []string{"gone@example.test", "ann@example.test"} {
		if !strings.Contains(strings.Join(w.inbox("team"), ""), "\r\nFinal-Recipient: rfc822; "+member+"\r\n") {
			t.Errorf("%s is not reported", member)
		}
	}
	for to, want := range map[string]string{"few@example.test": "452 4.2.2", "none@example.test": "550 5.1.1"} {
		_, err := w.Submit(w.ctx, envelope("x@client.test", to), strings.NewReader(hello))
		var refused *RecipientError
		if !errors.As(err, &refused) || fmt.Sprint(refused.Code, " ", refused.Enhanced) != want || refused.Address != to {
			t.Errorf("to %s: %v, want %s", to, err, want)
		}
	}
	w.submit("x@client.test", "few@example.test", "bob@example.test")
	w.holds(map[string]int{"ann": 0, "bob": 2, "team": 2})
	_, refused, err := w.SubmitEach(w.ctx, envelope("x@client.test", "few@example.test", "none@example.test", "bob@example.test"), strings.NewReader(hello))
	must(t, err)
	if refused[0] != nil || refused[1] == nil || refused[2] != nil {
		t.Errorf("refused %v", refused)
	}
	w.holds(map[string]int{"ann": 0, "bob": 3, "team": 3})
}

// TestGroupOwnerGone sends reports to the sender while the owner cannot be reached.
func TestGroupOwnerGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.group("crew", "joe@client.test", owned("team"))
	must(t, w.dir.RemoveAccount(w.ctx, "team@example.test"))
	w.submit("bob@example.test", "crew@example.test")
	w.try(failed, "550 5.1.1 no such user")
	w.holds(map[string]int{"bob": 1})
}

// TestGroupApartOnce gives everybody one copy, whatever ways lead there.
func TestGroupApartOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	must(t, w.dir.AddAlias(w.ctx, "anna", "ann"))
	w.group("crew", "ann bob joe@client.test", owned("team"))
	w.group("desk", "ann joe@client.test", answered)
	w.group("plain", "bob jim@client.test", func(*accounts.Group) {})
	w.group("outer", "crew plain team", answered)
	w.group("back", "outer crew", owned("bob"))
	w.group("named", "ann bob", func(g *accounts.Group) { g.ReplyTo, g.Once = true, true })
	copies := map[string]int{}
	for _, c := range []struct{ to, header, want, waits string }{
		{"crew", "X: y", "1 1 0", "<team@example.test> joe@client.test"},
		{"crew anna", "X: y", "1 1 0", "<team@example.test> joe@client.test"},
		{"ann crew", "X: y", "1 1 0", "<team@example.test> joe@client.test"},
		{"crew desk", "X: y", "1 1 0", "<team@example.test> joe@client.test"},
		{"desk crew", "X: y", "1 1 0", "<x@client.test> joe@client.test"},
		{"plain crew", "X: y", "1 1 0", "<team@example.test> joe@client.test <x@client.test> jim@client.test"},
		{"outer", "X: y", "1 1 1", "<team@example.test> joe@client.test <x@client.test> jim@client.test"},
		{"back", "X: y", "1 1 1", "<bob@example.test> jim@client.test <team@example.test> joe@client.test"},
		{"desk joe@client.test", "X: y", "1 0 0", "<x@client.test> joe@client.test"},
		{"named", "To: bob@example.test", "1 0 0", ""},
		{"named", "To: bob@example.test, anna@example.test", "0 0 0", ""},
	} {
		var to []string
		for _, name := range strings.Fields(c.to) {
			if !strings.Contains(name, "@") {
				name += "@example.test"
			}
			to = append(to, name)
		}
		_, err := w.Submit(w.ctx, envelope("x@client.test", to...), strings.NewReader(c.header+"\r\n\r\nHello.\r\n"))
		must(t, err)
		var got []string
		for _, name := range []string{"ann", "bob", "team"} {
			n := len(w.inbox(name))
			got = append(got, fmt.Sprint(n-copies[name]))
			copies[name] = n
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("to %s: %v copies, want %s", c.to, got, c.want)
		}
		if got := strings.Join(w.waits(), " "); got != c.waits {
			t.Errorf("to %s: %s waits, want %s", c.to, got, c.waits)
		}
		for _, it := range w.items() {
			must(t, w.steer(Drop, it.ID))
		}
	}
}

// TestGroupApartLoop refuses what a member sends back.
func TestGroupApartLoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.group("crew", "ann joe@client.test", answered)
	w.group("around", "ann", answered)
	w.group("other", "around", owned("team"))
	_, err := w.dir.SetGroup(w.ctx, "around", func(g *accounts.Group) error { g.Members = append(g.Members, "other"); return nil })
	must(t, err)
	back := "Delivered-To: <Crew@example.test>\r\n" + hello
	_, err = w.Submit(w.ctx, envelope("joe@client.test", "crew@example.test"), strings.NewReader(back))
	var refused *RecipientError
	if !errors.As(err, &refused) || refused.Code != 554 || refused.Enhanced != "5.4.6" {
		t.Errorf("what came back alone: %v", err)
	}
	_, err = w.Submit(w.ctx, envelope("joe@client.test", "crew@example.test", "bob@example.test"), strings.NewReader(back))
	must(t, err)
	w.holds(map[string]int{"ann": 0, "bob": 1})
	w.submit("joe@client.test", "around@example.test")
	w.holds(map[string]int{"ann": 1})
	if got := w.waits(); len(got) != 0 {
		t.Errorf("%q wait", got)
	}
	if n := len(w.inbox("team")); n != 0 {
		t.Errorf("%d reports", n)
	}
}

// TestGroupOwnerIsGroup lets a group own another, whose members fail: reports are
// passed on to its members, and none begets another.
func TestGroupOwnerIsGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.group("owners", "team lost@other.test", func(*accounts.Group) {})
	w.group("crew", "joe@client.test", owned("owners"))
	_, err := w.dir.SetGroup(w.ctx, "owners", func(g *accounts.Group) error { g.Owner, g.ReplyTo = "crew", true; return nil })
	must(t, err)
	w.submit("x@client.test", "crew@example.test")
	w.try(failed, "550 5.1.1 no such user")
	w.holds(map[string]int{"team": 1})
	if got := w.waits(); !slices.Equal(got, []string{"<> lost@other.test"}) {
		t.Fatalf("%q wait", got)
	}
	w.try(failed, "550 5.1.1 no such user")
	w.holds(map[string]int{"team": 1})
	if got := w.waits(); len(got) != 0 {
		t.Errorf("%q wait", got)
	}
	if n := w.blobs(); n != 1 {
		t.Errorf("%d bodies are kept, want the report", n)
	}
}

// TestGroupApartAndRules has rules of members count, and rules that lead to a group.
func TestGroupApartAndRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.group("crew", "ann bob joe@client.test", owned("team"))
	w.group("few", "bob", owned("team"))
	w.rule("ann", `f: file lists`)
	w.receive("x@client.test", offer, "crew@example.test")
	w.holds(map[string]int{"ann": 0, "ann/lists": 1, "bob": 1, "team": 0})

	w.rule("team", `f: forward crew@example.test`)
	w.receive("x@client.test", offer, "team@example.test")
	w.holds(map[string]int{"ann/lists": 2, "bob": 2, "team": 0})
	if got := w.waits(); !slices.Equal(got, []string{"<team@example.test> joe@client.test", "<team@example.test> joe@client.test"}) {
		t.Errorf("%q wait", got)
	}

	w.rule("team", `f: forward few@example.test`)
	w.quota("bob", 10)
	w.receive("x@client.test", offer, "team@example.test")
	w.holds(map[string]int{"bob": 2, "team": 1}) // nobody takes it: the account keeps it
}

// TestGroupApartJunk leads a judged message to the members' mailboxes for it.
func TestGroupApartJunk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{SpoolDirectory: t.TempDir()})
	w.group("crew", "ann bob joe@client.test", answered)
	_, err := w.stranger(func(m *Inspected) (Verdict, error) {
		if len(m.Local) != 2 || !m.Other {
			t.Errorf("the inspector was told %+v", m)
		}
		return Verdict{Fields: []byte("X-Screen: here\r\n"), Junk: []store.AccountID{m.Local[0].ID}}, nil
	}, hello, "crew@example.test")
	must(t, err)
	w.holds(map[string]int{"ann": 0, "ann/Junk": 1, "bob": 1})
	if !strings.Contains(w.inbox("bob")[0], "\r\nX-Screen: here\r\n") {
		t.Errorf("without the verdict: %s", w.inbox("bob")[0])
	}
}

// TestGroupApartBounds refuses what would make too many messages, and takes nothing
// of a message that the queue has no room for.
func TestGroupApartBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{MaxItems: 1})
	w.group("crew", "ann joe@client.test", answered)
	var many []string
	for i := range maxApart + 1 {
		many = append(many, fmt.Sprintf("g%d@example.test", i))
		w.group(fmt.Sprint("g", i), "ann", answered)
	}
	_, err := w.Submit(w.ctx, envelope("x@client.test", many...), strings.NewReader(hello))
	var refused *RecipientError
	if !errors.As(err, &refused) || refused.Enhanced != "5.5.3" {
		t.Errorf("%d groups: %v", len(many), err)
	}
	w.submit("x@client.test", "jim@client.test")
	if _, err = w.Submit(w.ctx, envelope("x@client.test", "crew@example.test"), strings.NewReader(hello)); !errors.Is(err, ErrQueueFull) {
		t.Errorf("a full queue: %v", err)
	}
	w.holds(map[string]int{"ann": 0})
}

// TestGroupApartHistory asks what became of a message to a group, and of what its
// members got.
func TestGroupApartHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.group("crew", "ann joe@client.test", owned("team"))
	r := w.submit("x@client.test", "crew@example.test")
	if r.Local != 1 || r.Remote != 1 {
		t.Errorf("the receipt is %+v", r)
	}
	child := w.only().ID
	for id, want := range map[string][]string{
		r.ID:  {"received by ESMTP", "passed on to the members of <crew@example.test>, as message " + child},
		child: {"passed on to the members of <crew@example.test>, from message " + r.ID + ": from <team@example.test>", "delivered to INBOX of ann@example.test", "queued for <joe@client.test>"},
	} {
		stories, err := w.history.Explain(w.ctx, id, func(store.AccountID) string { return "somebody" })
		must(t, err)
		var text []string
		for _, e := range stories[0].Events {
			text = append(text, e.Text)
		}
		for _, sentence := range want {
			if len(stories) != 1 || !strings.Contains(strings.Join(text, "\n"), sentence) {
				t.Errorf("%s: %q lacks %q", id, text, sentence)
			}
		}
	}
}

// TestGroupOwnerAtOnce tells the owner of a member who is gone, also when everybody
// else gets the message.
func TestGroupOwnerAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	_, err := w.dir.SetForwarder(w.ctx, "gone", "nobody@example.test", true)
	must(t, err)
	w.group("crew", "bob gone", owned("team"))
	w.submit("ann@example.test", "crew@example.test")
	w.holds(map[string]int{"bob": 1, "team": 1, "ann": 0})
}

// TestGroupApartAnswersFor holds an account to what it sends by way of a group, and
// leaves what strangers send theirs.
func TestGroupApartAnswersFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Flow: Flow{Recipients: 3, Period: time.Hour}})
	w.group("crew", "bob joe@client.test jim@client.test", answered)
	send := func(src Source) error {
		env := envelope("ann@example.test", "crew@example.test")
		env.Source = src
		_, err := w.Submit(w.ctx, env, strings.NewReader(hello))
		return err
	}
	must(t, send(w.as("ann")))
	if it := w.only(); it.Account != "ann@example.test" {
		t.Errorf("it is sent for %q", it.Account)
	}
	for range 2 { // what was refused is not counted
		if err := send(w.as("ann")); !errors.Is(err, ErrFlow) {
			t.Errorf("a fourth recipient: %v", err)
		}
	}
	w.holds(map[string]int{"bob": 1})
	must(t, send(Source{Module: "SMTP"}))
	ours := map[string]bool{}
	for _, it := range w.items() {
		id, err := parseID(it.ID)
		must(t, err)
		must(t, w.store.View(w.ctx, func(r *store.Snapshot) error {
			m, err := getMessage(r, id)
			ours[it.Account] = m.ours
			return err
		}))
	}
	if len(ours) != 2 || !ours["ann@example.test"] || ours[""] {
		t.Errorf("this server answers for %v", ours)
	}
}

// TestGroupApartIsNoticed has the sender hear of what a group's members get, also
// when its time is before what was looked at already.
func TestGroupApartIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.group("crew", "jim@third.test", answered)
	s := NewSender(w.Queue, SenderOptions{})
	w.submit("ann@example.test", "joe@client.test")
	if jobs := w.jobs(s); len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	w.pass(-time.Minute)
	w.submit("ann@example.test", "crew@example.test")
	if jobs := w.jobs(s); len(jobs) != 1 {
		t.Errorf("%d jobs for the group, want 1: %+v", len(jobs), w.items())
	}
}

// TestReportToGroup brings reports to a sender that is a group: of failures also to
// members who have no room, and others to nobody then.
func TestReportToGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.group("crew", "ann", answered)
	w.quota("ann", 10)
	_, err := w.Submit(w.ctx, Envelope{From: "crew@example.test", Recipients: []string{"bob@example.test"},
		Options: []RecipientOptions{{Notify: NotifySuccess}}, Source: Source{Client: true}}, strings.NewReader(hello))
	must(t, err)
	w.holds(map[string]int{"ann": 0, "bob": 1})
	w.submit("crew@example.test", "joe@client.test")
	w.try(failed, "550 5.1.1 no such user")
	w.holds(map[string]int{"ann": 1})
	if got := w.waits(); len(got) != 0 {
		t.Errorf("%q wait", got)
	}
}

// TestGroupApartSuspended suspends the rules of a member while a message to the group
// is under way: what they would have sent is kept.
func TestGroupApartSuspended(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.group("crew", "ann", answered)
	w.rule("ann", `f: forward joe@client.test`)
	_, err := w.Submit(w.ctx, envelope("x@other.test", "crew@example.test"), then(hello, func() { w.compromise("ann", true) }))
	must(t, err)
	w.holds(map[string]int{"ann": 1})
	if got := w.waits(); len(got) != 0 {
		t.Errorf("%q wait", got)
	}
}
