package alerts

import (
	"context"
	"fmt"

	"tripost/accounts"
	"tripost/syslog"
)

type sessionKey struct{}

// WithSession returns a context in which alerts are taken by the session of
// this name, such as "POP-000123", for the System Log.
func WithSession(ctx context.Context, session string) context.Context {
	return context.WithValue(ctx, sessionKey{}, session)
}

// by names the session that a context belongs to: " by POP-000123", or nothing.
func by(ctx context.Context) (session, text string) {
	session, _ = ctx.Value(sessionKey{}).(string)
	if session == "" {
		return "", ""
	}
	return session, " by " + session
}

// name tells which alert is meant.
func name(alert *Alert) string {
	if alert.Target.Scope == Quota {
		return "quota alert: " + alert.Text
	}
	return fmt.Sprintf("alert %s for %s", alert.ID, alert.Target)
}

func (a *Alerts) logPosted(alert Alert) {
	a.o.Log.Log(syslog.Major, fmt.Sprintf("posted %s: %s", name(&alert), alert.Text), describe("alert posted", &alert)...)
}

func (a *Alerts) logRemoved(alert Alert) {
	a.o.Log.Log(syslog.Major, fmt.Sprintf("removed %s: %s", name(&alert), alert.Text), describe("alert removed", &alert)...)
}

func (a *Alerts) logLeft(alert Alert, err error) {
	a.o.Log.Logf(syslog.Problem, "who saw %s is still recorded: %v", name(&alert), err)
}

func (a *Alerts) logShown(ctx context.Context, acct accounts.Account, alert *Alert) {
	session, text := by(ctx)
	a.o.Log.Log(syslog.Major, fmt.Sprintf("shown to %s%s: %s", acct.Address(), text, name(alert)),
		append(describe("alert shown", alert),
			syslog.Field{Key: "account", Value: acct.Address()}, syslog.Field{Key: "by", Value: session})...)
}

// logGivenBack is called where an error of giving back stops: the session has
// ended.
func (a *Alerts) logGivenBack(ctx context.Context, acct accounts.Account, alert *Alert, err error) {
	session, text := by(ctx)
	outcome := "it comes again"
	if err != nil {
		outcome = "it is lost: " + err.Error()
	}
	a.o.Log.Log(syslog.Problem, fmt.Sprintf("not sent to %s%s: %s: %s", acct.Address(), text, name(alert), outcome),
		append(describe("alert not sent", alert),
			syslog.Field{Key: "account", Value: acct.Address()}, syslog.Field{Key: "by", Value: session})...)
}

func describe(event string, alert *Alert) []syslog.Field {
	return []syslog.Field{
		{Key: "event", Value: event},
		{Key: "alert", Value: alert.ID.String()},
		{Key: "target", Value: alert.Target.String()},
	}
}
