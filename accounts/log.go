package accounts

import (
	"errors"
	"fmt"
	"net/netip"

	"tripost/syslog"
)

// The System Log lines of signing in. A login name is shown as it was typed,
// shortened; a password never.

func (e *exchange) logSignIn(in *SignedIn) {
	e.auth.signedIn.Add(1)
	if e.auth.accepted != nil {
		e.auth.accepted(e.at)
	}
	e.logger().Log(syslog.Major, fmt.Sprintf("'%s' connected(%s) [%s]->[%s]", clip(e.login), e.mechanism, shown(e.at.Remote), shown(e.at.Local)),
		syslog.Field{Key: "event", Value: "login"},
		syslog.Field{Key: "login", Value: clip(e.login)},
		syslog.Field{Key: "account", Value: in.Identity.Name},
		syslog.Field{Key: "mechanism", Value: e.mechanism},
		syslog.Field{Key: "tls", Value: e.at.encrypted()})
}

func (e *exchange) logRefusal(err error) {
	e.auth.refused.Add(1)
	reason := err.Error()
	if e.detail != "" && (errors.Is(err, ErrCredentials) || errors.Is(err, ErrService) || errors.Is(err, ErrInsecure)) {
		reason = e.detail // the client is told less
	}
	e.logged = true
	e.logger().Log(syslog.Failure, fmt.Sprintf("login('%s') failed: %s", clip(e.login), reason),
		syslog.Field{Key: "event", Value: "login refused"},
		syslog.Field{Key: "login", Value: clip(e.login)},
		syslog.Field{Key: "mechanism", Value: e.mechanism},
		syslog.Field{Key: "reason", Value: reason},
		syslog.Field{Key: "remote", Value: shown(e.at.Remote)})
}

// note logs something that went wrong and does not stop the sign-in.
func (e *exchange) note(text string, err error) {
	e.logger().Log(syslog.Problem, fmt.Sprintf("login('%s'): %s: %v", clip(e.login), text, err))
}

// logger returns the session's log if it brought one.
func (e *exchange) logger() *syslog.Logger {
	if e.at.Log != nil {
		return e.at.Log
	}
	return e.auth.log
}

func shown(addr netip.Addr) string {
	if !addr.IsValid() {
		return "local"
	}
	return addr.Unmap().String()
}
