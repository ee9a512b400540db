package imap

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/wire/wiretest"
)

// takenAlerts passes alerts on and tells when one was given back.
type takenAlerts struct {
	Alerts
	back chan string
	fail error // of Take
}

func (a *takenAlerts) Take(ctx context.Context, acct accounts.Account) (string, func(), bool, error) {
	if a.fail != nil {
		return "", nil, false, a.fail
	}
	text, giveBack, ok, err := a.Alerts.Take(ctx, acct)
	return text, func() {
		giveBack()
		a.back <- text
	}, ok, err
}

// TestAlertGivenBack has a client go away before an alert could be written: the
// next session tells it.
func TestAlertGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true) // a pipe holds nothing: what is not read has nowhere to go
	taken := &takenAlerts{Alerts: w.alerts, back: make(chan string, 1)}
	w.config.Alerts = taken
	w.do("alert ann@example.test once")

	gone := w.script().Begin(t, "gone")
	gone.Play("S: * OK ...")
	gone.Play("C: a LOGIN ann secret")
	gone.Play("CLOSE")
	select {
	case got := <-taken.back:
		if got != "once" {
			t.Errorf("%q was given back", got)
		}
	case <-time.After(wiretest.Patience):
		t.Fatal("the alert was not given back")
	}

	next := w.script().Begin(t, "next")
	next.Play("S: * OK ...")
	next.Play("C: a LOGIN ann secret")
	next.Play("S: * OK [ALERT] once")
	next.Play("S: a OK ...")
}

// TestAlertsFailing lets a user in whose alerts cannot be read.
func TestAlertsFailing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.config.Alerts = &takenAlerts{Alerts: w.alerts, fail: errors.New("no alerts today")}
	c := w.connect("ann")
	if responses := c.do("NOOP"); len(responses) != 0 {
		t.Errorf("told %s", fmt.Sprint(responses))
	}
}
