package queue

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"tripost/accounts"
)

// compromise marks an account as one in wrong hands, or gives it back.
func (w *world) compromise(name string, on bool) {
	w.t.Helper()
	must(w.t, second(w.dir.SetAccount(w.ctx, name+"@example.test", func(a *accounts.Account) error {
		a.Locked, a.Compromised = on, on
		return nil
	})))
}

// as returns an account as the source of a submission.
func (w *world) as(name string) Source {
	w.t.Helper()
	a, err := w.dir.Account(w.ctx, name+"@example.test")
	must(w.t, err)
	return Source{Protocol: "ESMTPSA", Module: "SMTP", Account: &a}
}

// then is text, at the end of which something happens.
func then(text string, do func()) io.Reader {
	return io.MultiReader(strings.NewReader(text), readerFunc(func([]byte) (int, error) {
		do()
		return 0, io.EOF
	}))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

const leading = `f: forward x@other.test
r: forward bob@example.test, discard
away: vacation "I am away."`

// Nothing goes out by the rules of an account in wrong hands, and its mail is in
// its INBOX. When it is given back they count again.
func TestSuspendedRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.rule("ann", leading)
	w.compromise("ann", true)
	w.receive("shop@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 1, "bob": 0})
	if got := w.waits(); len(got) != 0 {
		t.Errorf("%q wait", got)
	}
	w.compromise("ann", false)
	w.receive("shop@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 1, "bob": 1})
	if got, want := w.waits(), []string{"<> shop@client.test", "<ann@example.test> x@other.test"}; !slices.Equal(got, want) {
		t.Errorf("%q wait, want %q", got, want)
	}

	// An account that is only locked keeps its rules: people leave.
	must(t, second(w.dir.SetAccount(w.ctx, "ann@example.test", func(a *accounts.Account) error {
		a.Locked = true
		return nil
	})))
	w.receive("other@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 1, "bob": 2})
}

// The mark that comes after the rules were looked at, and before what they send
// is recorded, counts too: also for what other accounts pass on to that one.
func TestSuspendedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ what, bob string }{{"its own mail", ""}, {"what is passed on to it", "f: forward ann@example.test"}} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			w.account("carl")
			w.rule("ann", strings.ReplaceAll(leading, "bob", "carl"))
			to := "ann@example.test"
			if c.bob != "" {
				w.rule("bob", c.bob)
				to = "bob@example.test"
			}
			env := Envelope{From: "shop@client.test", Recipients: []string{to}, Source: Source{Module: "SMTP"}}
			text := strings.ReplaceAll(offer, "\n", "\r\n") + "\r\n\r\ntext\r\n"
			must(t, second(w.Submit(w.ctx, env, then(text, func() { w.compromise("ann", true) }))))
			w.holds(map[string]int{"ann": 1, "bob": 0, "carl": 0})
			if got := w.waits(); len(got) != 0 {
				t.Errorf("%q wait", got)
			}
		})
	}
}

// What an account submits while it is marked is not recorded: not for other hosts
// and not for recipients here.
func TestSubmissionOfMarkedAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	env := Envelope{From: "ann@example.test", Recipients: []string{"bob@example.test", "x@other.test"}, Source: w.as("ann")}
	_, err := w.Submit(w.ctx, env, then(hello, func() { w.compromise("ann", true) }))
	var refused *SenderError
	if !errors.As(err, &refused) {
		t.Errorf("submitted while it was marked: %v", err)
	}
	w.holds(map[string]int{"bob": 0})
	if got := w.waits(); len(got) != 0 {
		t.Errorf("%q wait", got)
	}
}

// What rules have sent is held with what the account has sent, whatever
// reverse-path it has.
func TestHoldWhatRulesSend(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{ForwardKeepsSender: true})
	w.rule("ann", "f: forward x@other.test\n"+away)
	w.receive("shop@client.test", offer, "ann@example.test")
	n, err := w.Steer(w.ctx, Selection{Sender: "ann@example.test"}, Hold, Host{})
	if err != nil || n.Messages != 2 {
		t.Errorf("%d messages are held (%v), want 2: %+v", n, err, w.items())
	}
}

// What rules send to other hosts counts as what their account sends. Beyond its
// bound a message is kept instead of being forwarded, and nobody is answered.
func TestFlowOfRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Flow: Flow{Recipients: 5}})
	w.rule("ann", "f: forward x@other.test, forward y@other.test\n"+away)
	w.receive("shop@client.test", offer, "ann@example.test") // counts three
	w.holds(map[string]int{"ann": 0})
	w.receive("shop@client.test", offer, "ann@example.test") // counts two: the shop has its answer
	w.holds(map[string]int{"ann": 0})
	w.receive("other@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 1})
	if got := w.waits(); len(got) != 5 {
		t.Errorf("%q wait, want five", got)
	}
	env := Envelope{From: "ann@example.test", Recipients: []string{"z@other.test"}, Source: w.as("ann")}
	if _, err := w.Submit(w.ctx, env, strings.NewReader(hello)); !errors.Is(err, ErrFlow) {
		t.Errorf("the account submits: %v", err)
	}
	w.rule("ann", "f: forward bob@example.test")
	w.receive("shop@client.test", offer, "ann@example.test") // within this server
	w.holds(map[string]int{"ann": 1, "bob": 1})
}

// What was not recorded after all is not counted.
func TestFlowGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Flow: Flow{Recipients: 2}})
	w.rule("ann", "f: forward x@other.test, forward y@other.test")
	env := Envelope{From: "shop@client.test", Recipients: []string{"ann@example.test"}, Source: Source{Module: "SMTP"}}
	for range 3 {
		_, err := w.Submit(w.ctx, env, &cut{strings.NewReader(strings.ReplaceAll(offer, "\n", "\r\n") + "\r\n\r\nte"), io.ErrUnexpectedEOF})
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	w.receive("shop@client.test", offer, "ann@example.test")
	w.holds(map[string]int{"ann": 0})
}

// The sender hears of what rules send, also when its time is before what was
// looked at already.
func TestForwardIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	s := NewSender(w.Queue, SenderOptions{})
	w.submit("ann@example.test", "joe@client.test")
	if jobs := w.jobs(s); len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	w.rule("ann", "f: forward x@other.test\n"+away)
	w.pass(-time.Minute)
	w.receive("shop@third.test", offer, "ann@example.test")
	if jobs := w.jobs(s); len(jobs) != 2 {
		t.Errorf("%d jobs for the forward and the answer, want 2: %+v", len(jobs), w.items())
	}
}
