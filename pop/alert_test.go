package pop

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"tripost/accounts"
	"tripost/alerts"
	"tripost/store"
)

// testAlerts keeps alerts by account, each shown once, and takes notices.
type testAlerts struct {
	mu      sync.Mutex // guards what follows
	fail    error
	due     map[string][]string // by address
	notices []string
	back    int // how many were given back
}

func (a *testAlerts) Take(_ context.Context, acct accounts.Account) (string, func(), bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.due[acct.Address()]
	if a.fail != nil || len(list) == 0 {
		return "", nil, false, a.fail
	}
	a.due[acct.Address()] = list[1:]
	return list[0], func() { a.giveBack(acct.Address(), list[0]) }, true, nil
}

func (a *testAlerts) giveBack(address, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.back++
	a.due[address] = append([]string{text}, a.due[address]...)
}

func (a *testAlerts) post(address, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.due == nil {
		a.due = make(map[string][]string)
	}
	a.due[address] = append(a.due[address], text)
}

// Post takes a notice for the owner of a mailbox.
func (a *testAlerts) Post(_ context.Context, _ store.AccountID, text string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notices = append(a.notices, text)
	return a.fail
}

// With the alerts of the server itself: every scope, one an attempt, oldest
// first, none for a wrong password, and once for the account.
func TestRealAlerts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	real := alerts.New(w.store, w.dir, alerts.Options{})
	w.config.Alerts = real
	for _, a := range []struct {
		to   alerts.Target
		text string
	}{
		{alerts.Target{Scope: alerts.Server}, "The server stops at 18:00"},
		{alerts.Target{Scope: alerts.Account, Name: "ann@example.test"}, "Your line\r\nwas -ERR\r\n+OK folded"},
		{alerts.Target{Scope: alerts.Domain, Name: "example.test"}, strings.Repeat("x", alerts.MaxText)},
		{alerts.Target{Scope: alerts.Account, Name: "bob@other.test"}, "for bob alone"},
	} {
		if _, err := real.Post(w.ctx, a.to, a.text); err != nil {
			t.Fatal(err)
		}
	}
	c := w.client()
	for _, want := range []string{
		"-ERR [AUTH] wrong name or password", "-ERR [SYS/TEMP] ALERT: The server stops at 18:00", "-ERR [AUTH] wrong name or password",
		"-ERR [SYS/TEMP] ALERT: Your line was -ERR +OK folded", "-ERR [SYS/TEMP] ALERT: " + strings.Repeat("x", alerts.MaxText),
		"+OK 0 messages (0 octets)",
	} {
		password := annPassword
		if strings.HasPrefix(want, "-ERR [AUTH]") {
			password = "wrong"
		}
		c.do("USER ann")
		if got := c.ask("PASS " + password); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	w.signedIn("ann", annPassword).do("STAT") // not again
}

// A client that is gone before the alert could be written sees it next time; one
// that cannot be looked up keeps nobody from his mail.
func TestAlertGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.alerts.post("ann@example.test", "once")
	gone := w.client()
	gone.do("USER ann")
	if _, err := io.WriteString(gone.nc, "PASS "+annPassword+"\r\n"); err != nil {
		t.Fatal(err)
	}
	gone.nc.Close() // a pipe holds nothing: the reply has nowhere to go
	w.settled()
	w.alerts.mu.Lock()
	if w.alerts.back != 1 {
		t.Errorf("the alert was given back %d times", w.alerts.back)
	}
	w.alerts.mu.Unlock()
	c := w.client()
	c.do("USER ann")
	if got := c.ask("PASS " + annPassword); got != "-ERR [SYS/TEMP] ALERT: once" {
		t.Errorf("got %s", got)
	}
	w.alerts.mu.Lock()
	w.alerts.fail = errors.New("no alerts today")
	w.alerts.mu.Unlock()
	c.do("USER ann")
	c.do("PASS " + annPassword)
}
