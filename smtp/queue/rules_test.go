package queue

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/rules"
	"tripost/store"
)

// rule gives an account rules.
func (w *world) rule(name, text string) {
	w.t.Helper()
	list, err := rules.Parse(text)
	must(w.t, err)
	must(w.t, w.ask.Replace(w.ctx, name+"@example.test", list))
}

// receive takes a message from outside.
func (w *world) receive(from, header string, to ...string) {
	w.t.Helper()
	_, err := w.Submit(w.ctx, Envelope{From: from, Recipients: to, Source: Source{Protocol: "ESMTP", Module: "SMTP"}},
		strings.NewReader(strings.ReplaceAll(header, "\n", "\r\n")+"\r\n\r\ntext\r\n"))
	must(w.t, err)
}

// holds checks how many messages mailboxes have.
func (w *world) holds(want map[string]int) {
	w.t.Helper()
	for place, n := range want {
		name, mailbox, _ := strings.Cut(place, "/")
		if mailbox == "" {
			mailbox = "INBOX"
		}
		if got := len(w.mailbox(name, mailbox)); got != n {
			w.t.Errorf("%s: %d messages, want %d", place, got, n)
		}
	}
}

// waits returns where what waits goes to, as "reverse-path recipient".
func (w *world) waits() []string {
	w.t.Helper()
	var all []string
	for _, it := range w.items() {
		for _, r := range it.Recipients {
			all = append(all, "<"+it.From+"> "+r.Address)
		}
	}
	slices.Sort(all)
	return all
}

const offer = "From: Shop <shop@client.test>\nTo: ann@example.test\nSubject: An offer\nMessage-ID: <1@client.test>"

func TestRulesFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.rule("ann", `offers: if subject contains "OFFER" then file "shops/offers", mark seen, stop
both: if from is boss@client.test then file boss, keep, mark flagged
spam: if header X-Spam is yes then discard
late: file late`)
	w.receive("shop@client.test", offer, "ann@example.test", "bob@example.test")
	w.receive("boss@client.test", "From: boss@client.test\nSubject: work", "ann@example.test")
	w.receive("x@client.test", "X-Spam: Yes\nSubject: win", "bob@example.test")
	w.holds(map[string]int{"ann": 1, "ann/shops/offers": 1, "ann/boss": 1, "ann/late": 1, "bob": 2})

	v := w.view("ann", "shops/offers")
	if m := v.At(1); m.Flags != store.FlagSeen {
		t.Errorf("flags are %v", m.Flags)
	}
	if m := w.view("ann", "boss").At(1); m.Flags != store.FlagFlagged {
		t.Errorf("flags are %v", m.Flags)
	}
}

func TestRulesDiscard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.rule("ann", `all: discard`)
	w.receive("x@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 0})
	if n := w.blobs(); n != 0 {
		t.Errorf("%d bodies are kept", n)
	}
}

// TestRulesFileWhereNothingFits puts into the INBOX what no mailbox takes.
func TestRulesFileWhereNothingFits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.rule("ann", `all: file inbox`)
	w.receive("x@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 1})
	w.quota("ann", 1)
	_, err := w.Submit(w.ctx, envelope("x@client.test", "ann@example.test"), strings.NewReader(hello))
	if err == nil || !strings.Contains(err.Error(), "over its quota") {
		t.Errorf("over quota: %v", err)
	}
}

func TestRulesForward(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, rule string
		keepSender bool
		from       string
		want       []string
		holds      map[string]int
	}{
		{"to another host", `f: forward x@other.test`, false, "shop@client.test", []string{"<ann@example.test> x@other.test"}, map[string]int{"ann": 0}},
		{"in the sender's name", `f: forward x@other.test`, true, "shop@client.test", []string{"<shop@client.test> x@other.test"}, map[string]int{"ann": 0}},
		{"with a copy", `f: forward x@other.test, keep`, false, "shop@client.test", []string{"<ann@example.test> x@other.test"}, map[string]int{"ann": 1}},
		{"a report", `f: forward x@other.test`, false, "", []string{"<> x@other.test"}, map[string]int{"ann": 1}},
		{"here", `f: forward bob@example.test`, false, "shop@client.test", nil, map[string]int{"ann": 0, "bob": 1}},
		{"here and there", `f: forward bob@example.test, forward x@other.test, forward y@other.test`, false, "shop@client.test",
			[]string{"<ann@example.test> x@other.test", "<ann@example.test> y@other.test"}, map[string]int{"ann": 0, "bob": 1}},
		{"to nobody", `f: forward nobody@example.test`, false, "shop@client.test", nil, map[string]int{"ann": 1}},
		{"to nobody and somebody", `f: forward nobody@example.test, forward bob@example.test`, false, "shop@client.test", nil, map[string]int{"ann": 1, "bob": 1}},
		{"to itself by another way", `f: forward ann+x@example.test`, false, "shop@client.test", nil, map[string]int{"ann": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{ForwardKeepsSender: c.keepSender})
			w.rule("ann", c.rule)
			w.receive(c.from, offer, "ann@example.test")
			if got := w.waits(); !slices.Equal(got, c.want) {
				t.Errorf("%q wait, want %q", got, c.want)
			}
			w.holds(c.holds)
		})
	}
}

// TestRulesForwardedText looks at a message that was passed on here: each server
// field is there once, and the text is whole.
func TestRulesForwardedText(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.rule("ann", `f: forward bob@example.test`)
	long := strings.Repeat("X-Filler: "+strings.Repeat("y", 990)+"\r\n", 300) // more than is looked at
	for _, header := range []string{"Subject: hi\r\n", long + "Subject: hi\r\n"} {
		body := strings.Repeat("0123456789\r\n", 5000)
		_, err := w.Submit(w.ctx, Envelope{From: "x@client.test", Recipients: []string{"ann@example.test"}, Source: Source{Module: "SMTP"}},
			strings.NewReader("Return-Path: <forged@x.test>\r\n"+header+"\r\n"+body))
		must(t, err)
		all := w.inbox("bob")
		got := all[len(all)-1]
		before, _, _ := strings.Cut(got, header+"\r\n"+body)
		if !strings.HasSuffix(got, header+"\r\n"+body) {
			t.Fatalf("the message was changed: %d octets, begins %.500q", len(got), got)
		}
		for _, field := range []string{"Return-Path: <x@client.test>\r\n", "Delivered-To: <ann@example.test>\r\n"} {
			if strings.Count(before, field) != 1 {
				t.Errorf("%q is not there once in %q", field, before)
			}
		}
		if n := strings.Count(before, "Received: "); n != 2 {
			t.Errorf("%d Received fields in %q", n, before)
		}
	}
}

// TestRulesCircle lets two accounts forward to each other, and an account
// forward to a host that sends everything back.
func TestRulesCircle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.rule("ann", `f: forward bob@example.test`)
	w.rule("bob", `f: forward ann@example.test`)
	w.receive("x@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 1, "bob": 0})

	w.rule("ann", `f: forward y@other.test`)
	w.receive("x@client.test", "Delivered-To: ANN@example.test\n"+offer, "ann@example.test")
	w.holds(map[string]int{"ann": 2})
	if got := w.waits(); len(got) != 0 {
		t.Errorf("%q wait", got)
	}
}

// TestRulesChain passes a message on from account to account, up to the bound.
func TestRulesChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	names := strings.Split("a b c d e f g h i j k l m n", " ")
	for i, name := range names {
		w.account(name)
		if i+1 < len(names) {
			w.rule(name, `f: forward `+names[i+1]+`@example.test`)
		}
	}
	w.receive("x@client.test", offer, "a@example.test")
	for i, name := range names {
		want := 0
		if i == maxForwarded {
			want = 1
		}
		if got := len(w.inbox(name)); got != want {
			t.Errorf("%s has %d messages, want %d", name, got, want)
		}
	}
}

// TestRulesForwardToFull gives the message to the account that forwards where
// whom it is for has no room.
func TestRulesForwardToFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.rule("ann", `f: forward bob@example.test`)
	w.quota("bob", 1)
	w.receive("x@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 1, "bob": 0})
	w.rule("ann", `f: forward bob@example.test, forward x@other.test, keep`)
	w.receive("x@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 2, "bob": 0})
	if got := w.waits(); len(got) != 1 {
		t.Errorf("%q wait", got)
	}
}

const away = `away: vacation "I am away.\nSee you in May." days 3`

func TestVacation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	must(t, second(w.dir.SetAccount(w.ctx, "ann@example.test", func(a *accounts.Account) error {
		a.RealName = "Ann Ölsen"
		return nil
	})))
	w.rule("ann", away)
	w.receive("bob@example.test", "From: bob@example.test\nTo: Ann <ANN@example.test>\nSubject: Gr\u00fc\u00dfe\nMessage-ID: <2@x.test>\nReferences: <0@x.test>\n <1@x.test>", "ann@example.test")
	w.holds(map[string]int{"ann": 1, "bob": 1})
	got := w.inbox("bob")[0]
	for _, want := range []string{
		"Return-Path: <>\r\n", "From: =?utf-8?q?Ann_=C3=96lsen?= <ann@example.test>\r\n", "To: <bob@example.test>\r\n",
		"Subject: =?utf-8?q?Auto:_Gr=C3=BC=C3=9Fe?=\r\n", "Auto-Submitted: auto-replied\r\n", "In-Reply-To: <2@x.test>\r\n",
		"References: <0@x.test>\r\n <1@x.test>\r\n <2@x.test>\r\n", "Date: ", "Message-ID: <", "\r\n\r\nI am away.\r\nSee you in May.\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}

	again := func(days int, want int) {
		t.Helper()
		w.pass(time.Duration(days) * 24 * time.Hour)
		w.receive("BOB@example.test", "To: ann@example.test\nSubject: again", "ann@example.test")
		if n := len(w.inbox("bob")); n != want {
			t.Errorf("%d replies, want %d", n, want)
		}
	}
	again(2, 1)
	again(1, 2)
	again(0, 2)
	w.rule("ann", `away: vacation "Another text."`)
	again(0, 3)
	again(6, 3)
	must(t, w.ask.Forget(w.ctx))
	again(0, 3)
	again(1, 4)
}

func second[T any](_ T, err error) error { return err }

// TestVacationBothAway lets two accounts that are away write to each other.
func TestVacationBothAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.rule("ann", away)
	w.rule("bob", away)
	w.receive("bob@example.test", "To: ann@example.test\nSubject: hi", "ann@example.test")
	w.holds(map[string]int{"ann": 1, "bob": 1})
}

func TestNoVacation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.rule("ann", away)
	for _, c := range []struct{ what, from, header string }{
		{"a report", "", "To: ann@example.test"},
		{"a program", "x@client.test", "To: ann@example.test\nAuto-Submitted: auto-generated (cron)"},
		{"a list", "x@client.test", "To: ann@example.test\nList-Id: <l.client.test>"},
		{"bulk mail", "x@client.test", "To: ann@example.test\nPrecedence: Bulk"},
		{"another address", "x@client.test", "To: all@client.test\nCc: bob@example.test"},
		{"no address", "x@client.test", "Subject: hi"},
		{"a list's owner", "owner-l@client.test", "To: ann@example.test"},
		{"a request", "l-request@client.test", "To: ann@example.test"},
		{"a daemon", "MAILER-DAEMON@client.test", "To: ann@example.test"},
		{"herself", "ann@example.test", "To: ann@example.test"},
		{"nobody here", "nobody@example.test", "To: ann@example.test"},
	} {
		w.receive(c.from, c.header, "ann@example.test")
		if got := w.waits(); len(got) != 0 {
			t.Errorf("%s: %q wait", c.what, got)
		}
	}
	w.holds(map[string]int{"ann": 11, "bob": 0})
	w.receive("x@client.test", "To: ann@example.test\nAuto-Submitted: no", "ann@example.test")
	if got := w.waits(); !slices.Equal(got, []string{"<> x@client.test"}) {
		t.Errorf("%q wait", got)
	}
}

// TestVacationToFull loses a reply that nobody can take, and nothing else.
func TestVacationToFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.rule("ann", away)
	w.quota("bob", 1)
	w.receive("bob@example.test", "To: ann@example.test\nSubject: hi", "ann@example.test")
	w.holds(map[string]int{"ann": 1, "bob": 0})
}

// TestRulesOfRecipientsThemselves compares the envelope's recipient, which an
// alias may be.
func TestRulesOfRecipient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	must(t, w.dir.AddAlias(w.ctx, "sales@example.test", "ann"))
	w.rule("ann", `sales: if recipient begins "sales@" then file sales`)
	w.receive("x@client.test", offer, "sales@example.test")
	w.receive("x@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 1, "ann/sales": 1})
}

// TestRulesTangle has accounts that all forward to all others: what comes of one
// message is bounded, and who does not pass it on any more keeps it.
func TestRulesTangle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	names := strings.Split("a b c d e f g h i j", " ")
	for _, name := range names {
		w.account(name)
	}
	for _, name := range names {
		var to []string
		for _, other := range names {
			if other != name {
				to = append(to, "forward "+other+"@example.test")
			}
		}
		w.rule(name, "all: "+strings.Join(to, ", "))
	}
	w.receive("x@client.test", offer, "a@example.test")
	if n := w.Submitted(); n != 1 {
		t.Errorf("%d messages were submitted", n)
	}
	total := 0
	for _, name := range names {
		total += len(w.inbox(name))
	}
	if most := (maxMade + 1) * len(names); total == 0 || total > most {
		t.Errorf("%d copies came of one message, want 1 to %d", total, most)
	}
}
